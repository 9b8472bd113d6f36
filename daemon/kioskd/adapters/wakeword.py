"""Hears one spoken word, on this machine alone: microWakeWord's models, as `pymicro-wakeword` ships them.

A model is a few dozen kB, and runs on each 30 ms of sound. Nothing is learnt, kept or sent.
"""

from typing import Final

from kioskd.errors import ConfigError

_AGAIN_AFTER: Final = 50
"""Steps of 10 ms below the model's threshold until the word can have been said again: it stays above for some tenths of a
second, and gives a figure with each third step only."""

_SETTING: Final = "conversation.wakeword"


def words() -> tuple[str, ...]:
    """Return the words that the library brings, as the settings spell them. Reads files: not for the event loop.

    ConfigError: the library is not installed, or does not run here.
    """
    try:
        # Its shared library is loaded with it: where a word wakes the kiosk, and nowhere else.
        from pymicro_wakeword import Model  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise _absent(error) from error
    return tuple(sorted(model.value for model in Model))


class WakeWordDetector:
    """One word, listened for without end."""

    def __init__(self, word: str) -> None:
        """Load the word's model, in 30 ms on a desktop. Reads files: not for the event loop.

        `word`: one of `words`; spaces and capitals do not count ("Okay Nabu" is okay_nabu).
        ConfigError: there is no such word, or the library is not installed or does not run here.
        """
        known = words()
        spelt = "_".join(word.replace("-", " ").replace("_", " ").lower().split())
        if spelt not in known:
            raise ConfigError(f"{_SETTING} = {word}: no such wake word; use one of {', '.join(known)}")
        from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model  # noqa: PLC0415  # as in `words`

        try:
            self._model = MicroWakeWord.from_builtin(Model(spelt))
            self._features = MicroWakeWordFeatures()
        except (OSError, ValueError) as error:
            raise _absent(error) from error
        self.word = spelt
        """As the settings spell it."""
        self._silent_for = _AGAIN_AFTER

    def reset(self) -> None:
        """Know that what comes next does not follow what came last.

        The model remembers the last second all the same, maybe a word that was reported already, and only new sound makes it
        forget. So it is deaf for half a second.
        """
        self._features.reset()
        self._silent_for = 0

    def await_pause(self) -> None:
        """Do nothing: a word is a call in the middle of a talk, too."""

    def feed(self, frame_16k: bytes) -> bool:
        """Take the next sound (16 kHz, of any length); return True once each time that the word was said.

        Reported 80 to 300 ms after the word's end (half the time within 160). Costs 60 us a frame on a desktop. For one thread.
        """
        detected = False
        for features in self._features.process_streaming(frame_16k):
            if self._model.process_streaming(features):
                detected = detected or self._silent_for >= _AGAIN_AFTER
                self._silent_for = 0
            else:
                self._silent_for += 1
        return detected


def _absent(error: Exception) -> ConfigError:
    return ConfigError(
        f"conversation.wake = wakeword: the library pymicro-wakeword cannot be used ({error}); "
        "run scripts/install.sh again, which installs what the settings need, or take wakeword out of conversation.wake"
    )
