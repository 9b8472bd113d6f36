"""A card that has just been plugged in cannot be opened yet; that is not a refusal of a format."""

import errno
from pathlib import Path
from typing import ClassVar

import pyaudio
import pytest
from tests.support.file_audio import FileAudio, captured, closed_with, fill, install

from kioskd.adapters.portaudio.formats import SoundFormat
from kioskd.adapters.portaudio.streams import PortAudioMicrophone
from kioskd.errors import DeviceLost
from kioskd.media import pcm


class NotYet(FileAudio):
    """Card that has just been plugged in: it accepts its best format, but its first openings fail."""

    error: ClassVar[OSError | ValueError]
    tries: ClassVar[int]

    def is_format_supported(self, rate: int, **wish: int) -> bool:
        NotYet.tries -= 1
        if self.tries >= 0:
            raise self.error
        return rate > 0 and bool(wish)


UNSURE = [
    pytest.param(ValueError("Illegal combination of I/O devices", -9993), id="no permission yet"),
    pytest.param(ValueError("Device unavailable", -9985), id="busy"),
    pytest.param(ValueError("Invalid sample rate", -9997), id="gone while it was asked"),
    pytest.param(OSError(-9999, "Unanticipated host error"), id="anything"),
]
BEST = SoundFormat(pcm.UPLINK_HZ, 1, "int16")


@pytest.fixture
def not_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[NotYet]:
    install(BEST, tmp_path, monkeypatch)
    monkeypatch.setattr(pyaudio, "PyAudio", NotYet)
    fill(BEST)
    return NotYet


def formats(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the formats that were opened."""
    return [record.getMessage().partition("format=")[2].partition(" took")[0] for record in caplog.records]


@pytest.mark.parametrize("error", UNSURE)
@pytest.mark.parametrize("said", [errno.ENODEV, errno.EACCES, errno.EBUSY])
async def test_a_card_that_cannot_be_opened_yet_has_rejected_no_format(
    not_yet: type[NotYet],
    error: OSError | ValueError,
    said: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "kioskd.adapters.portaudio.streams")
    monkeypatch.setattr(not_yet, "error", error, raising=False)
    monkeypatch.setattr(not_yet, "tries", 3, raising=False)
    closed_with(monkeypatch, said)
    for _ in range(3):
        with pytest.raises(DeviceLost) as lost:
            await PortAudioMicrophone("choosy").capture(lambda _: None)
        assert lost.value.listed
    closed_with(monkeypatch, 0)
    await captured(PortAudioMicrophone("choosy"))
    assert formats(caplog) == [str(BEST)]


@pytest.mark.parametrize("error", [each for each in UNSURE if each.id != "gone while it was asked"])
async def test_a_card_that_became_ready_is_tried_again_in_the_best_format(
    not_yet: type[NotYet],
    error: OSError | ValueError,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "kioskd.adapters.portaudio.streams")
    monkeypatch.setattr(not_yet, "error", error, raising=False)
    monkeypatch.setattr(not_yet, "tries", 1, raising=False)
    await captured(PortAudioMicrophone("choosy"))
    assert formats(caplog) == [str(BEST)]


async def test_a_card_in_use_is_not_reported_as_missing(
    not_yet: type[NotYet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(not_yet, "error", ValueError("Device unavailable", -9985), raising=False)
    monkeypatch.setattr(not_yet, "tries", 1, raising=False)
    closed_with(monkeypatch, errno.EBUSY)
    with pytest.raises(DeviceLost, match=r"another program is using it; `sudo fuser -v /dev/snd/pcmC1D0c`"):
        await PortAudioMicrophone("choosy").capture(lambda _: None)
