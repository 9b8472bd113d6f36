"""The lines of the README's chapter on installing work in a machine that has the devices."""

import re
from pathlib import Path
from typing import Final

import pytest
from tests.vm.installed import Line, typed
from tests.vm.kiosk import SETTINGS

WRONG: Final = {"clock"}
"""Fault that the doctor finds in each such machine: it has no time server."""


@pytest.fixture(scope="module")
def lines(disk: Path) -> list[Line]:
    """Return the lines that were typed to make the disk, with their outputs."""
    try:
        return typed(disk)
    except FileNotFoundError:
        pytest.skip("the installer ran in a container")


def seen(lines: list[Line], word: str) -> str:
    """Return the output of the first line with this word, without colours."""
    printed = next(line.seen for line in lines if word in line.typed)
    return re.sub(r"\x1b\[[0-9;:]*m", "", printed)


def test_each_line_does_what_the_readme_says(lines: list[Line]) -> None:
    ended = {line.typed.partition("#")[0].strip(): line.code for line in lines}
    assert ended == dict.fromkeys(ended, 0) | {"sudo kioskd doctor": 1}


def test_the_installer_says_what_it_misses_and_what_to_type(lines: list[Line]) -> None:
    said = seen(lines, "install.sh")
    assert "the key: sudo kioskd key" in said
    assert "Failed to start" not in said
    assert "libcamera" not in said


def test_devices_are_listed_by_the_names_that_the_settings_take(lines: list[Line]) -> None:
    listed = seen(lines, "kioskd devices")
    for name in (
        "hw:CARD=Mic,DEV=1",
        "hw:CARD=Spk,DEV=0",
        "v4l2:Front",
        "picamera",
        "evdev:Pedal",
        "pinctrl-bcm2711",
    ):
        assert name in listed


def test_settings_and_key_are_taken(lines: list[Line]) -> None:
    assert f"{SETTINGS}: ok" in seen(lines, "kioskd check")
    assert "stored: /etc/credstore.encrypted/gemini-api-key" in seen(lines, "kioskd key")


def test_the_doctor_finds_no_fault_in_parts_that_are_there(lines: list[Line]) -> None:
    said = seen(lines, "kioskd doctor")
    assert set(re.findall(r"^FAULT +(\w+)", said, re.MULTILINE)) == WRONG, said


def test_the_kiosk_runs_at_the_end(lines: list[Line]) -> None:
    assert 'Status: "Asleep' in seen(lines, "systemctl status")
