"""The files that a rehearsal writes."""

import json
import os
import tempfile
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.rehearsals import a_record, a_summary

from kioskd.errors import ConfigError
from kioskd.media import pcm
from kioskd.rehearsal import report
from kioskd.rehearsal.alignment import Gate, GateChange
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.fake_microphone import CapturedTrack
from kioskd.rehearsal.fake_speaker import PlayedSound
from kioskd.rehearsal.run import judged
from kioskd.rehearsal.scenario import Scenario, Step
from kioskd.rehearsal.summary import Summary

CLICK = np.array([9000] + [0] * 239, "<i2").tobytes()


def test_a_missing_folder_is_created(tmp_path: Path) -> None:
    report.prepare(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_files_of_an_earlier_rehearsal_are_removed(tmp_path: Path) -> None:
    for name in report.FILES:
        (tmp_path / name).write_text("old")
    report.prepare(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("precious")
    (tmp_path / "summary.json").write_text("old")
    with pytest.raises(ConfigError, match=r"holiday\.jpg.*name a new or an empty folder"):
        report.prepare(tmp_path)
    assert (tmp_path / "summary.json").read_text() == "old"


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        report.prepare(tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be asked by sudo")
def test_under_sudo_the_report_has_owner_and_rights_of_the_calling_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUDO_UID", "65534")
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        shut = Path(place) / "out"
        with pytest.raises(ConfigError, match="cannot be written: Permission denied"):
            report.prepare(shut)
        Path(place).chmod(0o1777)
        report.prepare(shut)
        report.write(shut, a_record(), a_summary())
        assert {path.stat().st_uid for path in (shut, *shut.iterdir())} == {65534}
        assert {path.name for path in shut.iterdir()} == set(report.FILES)
    assert os.geteuid() == 0


def test_both_voices_are_at_their_times_in_the_recording(tmp_path: Path) -> None:
    track, heard = CapturedTrack(), PlayedSound()
    for number in range(500):
        frame = np.full(320, 8000 if number == 100 else 0, "<i2").tobytes()  # from 2.0 to 2.02 s
        track.add(frame, 100 + (number + 1) * pcm.FRAME_S)
    for number in range(900):  # the speaker opened a second late
        heard.add(CLICK if number == 300 else bytes(480), 101 + number * pcm.PERIOD_S)
    record = a_record(track=track, heard=heard, end=110.0)

    report.write_stereo(tmp_path / "x.wav", *report.voices(record))

    with wave.open(str(tmp_path / "x.wav"), "rb") as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, pcm.DOWNLINK_HZ, 2)
        assert file.getnframes() == 10 * pcm.DOWNLINK_HZ
        left, right = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    assert np.flatnonzero(right).tolist() == [4 * pcm.DOWNLINK_HZ]
    loud = np.flatnonzero(np.abs(left) > 4000)
    assert loud[0] / pcm.DOWNLINK_HZ == pytest.approx(2.0, abs=0.0005)
    assert loud[-1] / pcm.DOWNLINK_HZ == pytest.approx(2.02, abs=0.0005)


def test_a_capture_that_paused_leaves_a_gap() -> None:
    track = CapturedTrack()
    track.add(np.full(320, 8000, "<i2").tobytes(), 101.02)
    track.add(np.full(320, 8000, "<i2").tobytes(), 103.02)
    left, _ = report.voices(a_record(track=track))
    loud = np.flatnonzero(np.abs(left) > 4000) / pcm.DOWNLINK_HZ
    assert (loud.min(), loud.max()) == pytest.approx((1.0, 3.02), abs=0.001)
    assert not ((loud > 1.03) & (loud < 2.99)).any()


def test_the_report_can_be_read_back(tmp_path: Path) -> None:
    notes = [
        LoggedEvent(100.5, "visitor", "presses the button", {"please": False}),
        LoggedEvent(100.6, "kiosk", "shows", {"state": "waking"}),
        LoggedEvent(100.7, "daemon", "Dial", {"epoch": 1, "with_handle": False}),
        LoggedEvent(100.8, "daemon", "Up", {"epoch": 1, "resumed": False}),
        LoggedEvent(101.0, "kiosk", "reply began", {"reply": 1, "greeting": True}),
        LoggedEvent(104.0, "service", "fault", {"do": "close"}),
    ]
    record = a_record(
        notes=notes, gates=[GateChange(0, Gate.SEND)], track=CapturedTrack([bytes(640)], [100.02])
    )
    summary = judged(Scenario(name="x", visitor=(Step(press=True),)), a_summary(trouble="it rained"))

    report.write(tmp_path, record, summary)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(report.FILES)
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert lines[2] == {"t": 0.7, "by": "daemon", "what": "Dial", "epoch": 1, "with_handle": False}
    assert Summary.model_validate_json((tmp_path / "summary.json").read_text()) == summary
    with Image.open(tmp_path / "timeline.png") as picture:
        assert picture.size == (1600, 900)
        colours = {
            tuple(colour) for colour in np.asarray(picture.convert("RGB"))[::3, ::3].reshape(-1, 3).tolist()
        }
    assert {(0xF0, 0xE4, 0x42), (0x00, 0x9E, 0x73), (0xD5, 0x5E, 0x00)} <= colours
