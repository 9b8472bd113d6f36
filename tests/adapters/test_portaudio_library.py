"""PortAudio's one state: what it lets ALSA say."""

import ctypes
from typing import Final

import pytest

pytest.importorskip("pyaudio", reason="no PyAudio here")

from kioskd.adapters.portaudio_library import library  # after the skip

ALSA: Final = ctypes.CDLL("libasound.so.2")


def open_what_is_not_there() -> None:
    ALSA.snd_pcm_open(ctypes.byref(ctypes.c_void_p()), b"no-such-device", 0, 1)


def test_alsa_writes_nothing_to_the_journal_while_streams_run(capfd: pytest.CaptureFixture[str]) -> None:
    ALSA.snd_lib_error_set_handler(None)  # whoever used PortAudio in this process has set it
    open_what_is_not_there()
    assert "no-such-device" in capfd.readouterr().err, "left to itself it complains aloud"
    with library.alone():
        open_what_is_not_there()
    open_what_is_not_there()
    assert capfd.readouterr().err == ""
