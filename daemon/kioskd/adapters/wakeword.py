"""Detection of one spoken word on this machine, by the microWakeWord models that `pymicro-wakeword` contains.

A model has a few dozen kB, and runs on each 30 ms of sound. It learns, stores and sends nothing.
"""

from typing import Final

from kioskd.errors import ConfigError

_AGAIN_AFTER: Final = 50
"""Steps of 10 ms that the model must stay below its threshold before the word counts again.

After a word it stays above for some tenths of a second. Only every third step gives a result.
"""

_SETTING: Final = "conversation.wakeword"


def words() -> tuple[str, ...]:
    """Return the library's wake words, as the settings spell them. Reads files: not for the loop.

    ConfigError: the library is not installed, or does not run here.
    """
    try:
        # The import loads a shared library, so it is done only if a word wakes the kiosk.
        from pymicro_wakeword import Model  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise _absent(error) from error
    return tuple(sorted(model.value for model in Model))


class WakeWordDetector:
    """Detector of one wake word in endless sound."""

    def __init__(self, word: str) -> None:
        """Load the word's model, in 30 ms on a desktop. Reads files: not for the event loop.

        `word`: one of `words`. Spaces and capitals do not matter ("Okay Nabu" is okay_nabu). ConfigError: the
        word does not exist, or the library is not installed or does not run here.
        """
        known = words()
        spelt = "_".join(word.replace("-", " ").replace("_", " ").lower().split())
        if spelt not in known:
            raise ConfigError(
                f"{_SETTING} = {word}: there is no such wake word; use one of {', '.join(known)}"
            )
        from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model  # noqa: PLC0415  # as in `words`

        try:
            self._model = MicroWakeWord.from_builtin(Model(spelt))
            self._features = MicroWakeWordFeatures()
        except (OSError, ValueError) as error:
            raise _absent(error) from error
        self.word = spelt
        """The word, as the settings spell it."""
        self._silent_for = _AGAIN_AFTER

    def reset(self) -> None:
        """Prepare for sound that does not follow the last.

        The model still remembers the last second, perhaps with a word that was reported. Only new sound makes
        it forget, so the detector reports nothing for half a second.
        """
        self._features.reset()
        self._silent_for = 0

    def await_pause(self) -> None:
        """Do nothing: the word counts in the middle of speech, too."""

    def feed(self, frame_16k: bytes) -> bool:
        """Take the next sound (16 kHz, of any length); return True once each time the word is said.

        True comes 80 to 300 ms after the word's end (half the time within 160). Costs 60 us a frame on a
        desktop. Use it in one thread.
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
        f"conversation.wake = wakeword: the library pymicro-wakeword cannot be used ({error}); run "
        "scripts/install.sh again, which installs it, or remove wakeword from conversation.wake"
    )
