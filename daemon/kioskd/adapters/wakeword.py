"""Detection of spoken words on this machine, by microWakeWord models: those that `pymicro-wakeword` contains,
and the owner's.

A model has a few dozen kB, and runs on each 30 ms of sound. It learns, stores and sends nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kioskd.errors import ConfigError

if TYPE_CHECKING:
    from pymicro_wakeword import MicroWakeWord

_AGAIN_AFTER: Final = 50
"""Steps of 10 ms that the model must stay below its threshold before the word counts again.

After a word it stays above for some tenths of a second. Only every third step gives a result.
"""

_SETTING: Final = "conversation.wakeword"

_ODDS: Final[Mapping[str, float]] = {"low": 3.0, "normal": 1.0, "high": 1 / 3}
"""Factor of the odds at a model's own threshold. 0.85 becomes 0.94 with low, and 0.65 with high.

The makers of the models use thresholds like these for devices that are more or less sensitive.
"""

_LONGEST_JSON: Final = 100_000
"""Bytes of a model's description, at most."""

_FEATURES: Final = 40
"""Numbers that describe 10 ms of sound; every microWakeWord model takes as many."""


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
    """Detector of one or more wake words in endless sound."""

    def __init__(self, chosen: Sequence[str], sensitivity: str = "normal") -> None:
        """Load the words' models, each in 30 ms on a desktop. Reads files: not for the event loop.

        ConfigError: a word does not exist, its model cannot be used, or the library is not installed or does
        not run here.

        Args:
            chosen: some of `words`, or paths of descriptions (JSON) beside their models. Spaces and capitals
                of a word do not matter ("Okay Nabu" is okay_nabu).
            sensitivity: low, normal or high.
        """
        known = words()
        from pymicro_wakeword import MicroWakeWordFeatures  # noqa: PLC0415  # as in `words`

        try:
            self._features = MicroWakeWordFeatures()
            self._words = [_Word(_model(each, known), _ODDS[sensitivity]) for each in chosen]
        except (OSError, ValueError) as error:
            raise _absent(error) from error

    def reset(self) -> None:
        """Prepare for sound that does not follow the last.

        The models still remember the last second, perhaps with a word that was reported. Only new sound makes
        them forget, so the detector reports nothing for half a second.
        """
        self._features.reset()
        for word in self._words:
            word.silent_for = 0

    def await_pause(self) -> None:
        """Do nothing: a word counts in the middle of speech, too."""

    def feed(self, frame_16k: bytes) -> bool:
        """Take the next sound (16 kHz, of any length); return True once each time a word is said.

        True comes 80 to 300 ms after the word's end (half the time within 160). Costs 60 us a frame on a
        desktop, and 35 us more for a second word. Use it in one thread.
        """
        detected = False
        for features in self._features.process_streaming(frame_16k):
            for word in self._words:
                detected = word.feed(features) or detected
        return detected


class _Word:
    """One word's model, and the time since it was heard."""

    def __init__(self, model: "MicroWakeWord", factor: float) -> None:
        cutoff = min(max(model.probability_cutoff, 0.01), 0.999)
        odds = factor * cutoff / (1 - cutoff)
        model.probability_cutoff = odds / (1 + odds)
        self._model = model
        self.silent_for = _AGAIN_AFTER

    def feed(self, features: Any) -> bool:
        if not self._model.process_streaming(features):
            self.silent_for += 1
            return False
        anew = self.silent_for >= _AGAIN_AFTER
        self.silent_for = 0
        return anew


def _model(chosen: str, known: Sequence[str]) -> "MicroWakeWord":
    from pymicro_wakeword import MicroWakeWord, Model  # noqa: PLC0415  # as in `words`

    if chosen.endswith(".json"):
        return _own_model(Path(chosen))
    spelt = "_".join(chosen.replace("-", " ").replace("_", " ").lower().split())
    if spelt not in known:
        raise ConfigError(
            f"{_SETTING} = {chosen}: there is no such wake word; use one of {', '.join(known)}, or the path "
            "of a model's .json file"
        )
    return MicroWakeWord.from_builtin(Model(spelt))


def _own_model(path: Path) -> "MicroWakeWord":
    """Return the owner's model.

    The library ends the process if a model is damaged, so each part is tried first.
    """
    from pymicro_wakeword import MicroWakeWord  # noqa: PLC0415  # as in `words`

    description = _description(path)
    with _refusing(path):
        model = path.parent / str(description["model"])
        micro = description["micro"]
        if (
            not 0 < float(micro["probability_cutoff"]) < 1
            or not 1 <= int(micro["sliding_window_size"]) <= 100
        ):
            raise ValueError("probability_cutoff must be between 0 and 1, sliding_window_size 1 to 100")
        str(description["wake_word"])
        with model.open("rb"):
            pass
        _try_model(model)
        return MicroWakeWord.from_config(path)


def _description(path: Path) -> Mapping[str, Any]:
    with _refusing(path):
        with path.open("rb") as file:
            text = file.read(_LONGEST_JSON + 1)
        if len(text) > _LONGEST_JSON:
            raise ValueError(f"longer than {_LONGEST_JSON} bytes")
        read = json.loads(text)
    if isinstance(read, dict) and isinstance(read.get("micro"), dict):
        return read
    raise ConfigError(
        f"{_SETTING} = {path}: does not describe a microWakeWord model of version 2; use the .json file that "
        "belongs to the model"
    )


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{_SETTING} = {path}: {error.filename} cannot be read: {error.strerror}; correct the path or "
            "its permissions"
        ) from None
    except KeyError as error:
        raise ConfigError(
            f"{_SETTING} = {path}: has no {error.args[0]}; use the .json file that belongs to the model"
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{_SETTING} = {path}: is no microWakeWord model that can be used ({error}); use a .json file "
            "with the .tflite file that it names beside it"
        ) from None


def _try_model(path: Path) -> None:
    """Load the model by the library's functions one by one, and compare its form.

    ValueError: it is no model, or not of this kind.
    """
    import pymicro_wakeword  # noqa: PLC0415  # as in `words`
    from pymicro_wakeword.wakeword import TfLiteWakeWord  # noqa: PLC0415

    shared = next(Path(pymicro_wakeword.__file__).parent.joinpath("lib").glob("*tensorflowlite_c.*"))
    lib = TfLiteWakeWord(shared).lib
    model = lib.TfLiteModelCreateFromFile(str(path).encode())
    if not model:
        raise ValueError(f"{path.name} is damaged, or no TensorFlow Lite model")
    try:
        interpreter = lib.TfLiteInterpreterCreate(model, None)
        if not interpreter:
            raise ValueError(f"{path.name} needs more than the library has")
        try:
            if lib.TfLiteInterpreterAllocateTensors(interpreter):
                raise ValueError(f"{path.name} needs more than the library has")
            taken = lib.TfLiteInterpreterGetInputTensor(interpreter, 0)
            if lib.TfLiteTensorNumDims(taken) != 3 or lib.TfLiteTensorDim(taken, 2) != _FEATURES:
                raise ValueError(f"{path.name} does not take microWakeWord's sound")
        finally:
            lib.TfLiteInterpreterDelete(interpreter)
    finally:
        lib.TfLiteModelDelete(model)


def _absent(error: Exception) -> ConfigError:
    return ConfigError(
        f"conversation.wake = wakeword: the library pymicro-wakeword cannot be used ({error}); run "
        "scripts/install.sh again, which installs it, or remove wakeword from conversation.wake"
    )
