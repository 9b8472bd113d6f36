"""A complete kiosk with picamera2 on libcamera, ALSA, systemd and the installed unit.

Only the sensor is virtual: libcamera's virtual camera shows known pictures; see `tests.support.picamera_box`.
The tests share one machine and run in their order.
"""

import io
import itertools
import json
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from PIL import Image
from tests.box.site import SETTINGS, SOURCE, Site, bare, missing
from tests.support import picamera_box
from tests.support.box import shared_folder
from tests.support.journal import PATIENCE_S, Entry
from tests.support.pictures import UPRIGHT, corners, encoded, opened, quarters

from kioskd import journal_ids
from kioskd.simulator import ReceivedPicture, Reply, ScriptedCall, ServiceScript, SessionRecord

pytestmark = pytest.mark.timeout(600)

SCENE: Final = Path("/opt/pictures")
GREYS: Final = (0, 128, 255)
"""Grey levels in the middle of the pictures, which alternate every half second."""
NEAR: Final = 16
FRAMES_EACH: Final = round(picamera_box.FRAMES_PER_S / 2)

EVERY_S: Final = 1.0
SIZE: Final = 512
IN_SIZE: Final = (512, 288)
"""Size of the virtual camera's pictures: 1280 x 720."""
JITTER_S: Final = 0.5
SOON_S: Final = 8.0
"""Longest time in seconds for something that takes about one on an idle machine."""
SEVERAL: Final = 6

YAML: Final = """\
service: {{endpoint: "{endpoint}", ca_file: ca.pem}}
conversation: {{wake: [start], idle_s: 3600, longest_s: 3600}}
speaker: {{cues: false}}
camera: {{source: picamera, when: conversation, every_s: {every_s}, size: {size}, min_change: 0}}
tools: [{{kind: builtin}}]
"""
HERE: Final = f"""\
[Service]
# The kernel here has no sound card, which ALSA's own configuration would look for, and no memory for cameras.
Environment=ALSA_CONFIG_PATH=/etc/asound.conf
# The installer looks whether it is fed a second time.
WatchdogSec=10
ExecStart=
ExecStart=/opt/kioskd/current/bin/python -P {SOURCE}/tests/support/picamera_box.py {SCENE} run
"""
LOOKING: Final = ServiceScript(
    replies=(
        Reply(text="I see four colours, and a square.", tool_calls=(ScriptedCall(name="look"),)),
        Reply(text="Goodbye."),
    )
)


@pytest.fixture(scope="module")
def kiosk() -> Iterator[Site]:
    """Return a machine where kioskd serves, during a conversation."""
    if lacking := missing():
        pytest.skip(lacking)
    with (
        shared_folder("kioskd-pictures-") as scene,
        bare("camera", script=LOOKING, read_only={scene: str(SCENE)}) as site,
    ):
        show(scene)
        site.box.write(picamera_box.CONFIGURATION, picamera_box.configuration(SCENE))
        site.box.write("/etc/systemd/system/kioskd.service.d/here.conf", HERE)
        site.has_been_prepared(settings(site))
        with site.service.sees("setup_complete"):
            site.install()
        yield site


def settings(kiosk: Site) -> str:
    """Return the owner's YAML."""
    return YAML.format(endpoint=kiosk.service.simulator.endpoint, every_s=EVERY_S, size=SIZE)


def show(scene: Path) -> None:
    """Put the pictures in front of the camera, in order of their names."""
    for place, grey in enumerate(GREYS):
        image = quarters(1280, 720)
        image.paste((grey, grey, grey), (480, 270, 800, 450))
        for frame in range(FRAMES_EACH):
            (scene / f"{place * FRAMES_EACH + frame:03}.jpg").write_bytes(encoded(image, quality=95))


def filmed(session: SessionRecord) -> list[ReceivedPicture]:
    """Return the pictures that came without a request."""
    return [picture for picture in session.pictures if picture.way == "realtime"]


def grey_of(picture: ReceivedPicture) -> int:
    """Return which of `GREYS` is in the middle."""
    with Image.open(io.BytesIO(picture.data)) as image:
        middle = image.convert("L").getpixel((image.width // 2, image.height // 2))
    assert isinstance(middle, int)
    [grey] = [grey for grey in GREYS if abs(grey - middle) < NEAR]
    return grey


def began(kiosk: Site, number: int) -> float:
    """Return the time at which this conversation began."""
    return at(kiosk.box.journal.wait(f"conversation began: number={number}"))


def at(entry: Entry) -> float:
    """Return the time of a line in `time.monotonic()`, which is the journal's clock, too."""
    return int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6


def status(kiosk: Site) -> dict[str, object]:
    """Return the daemon's own status."""
    told: dict[str, object] = json.loads(kiosk.box.exec("kioskd", "status", "--json").stdout)
    return told


def entries(kiosk: Site, *matches: str) -> list[Entry]:
    """Return the daemon's lines that journalctl finds by these fields."""
    found = kiosk.box.exec("journalctl", "--unit=kioskd", "--output=json", *matches).stdout
    return [json.loads(line) for line in found.splitlines()]


def test_the_owners_file_stays_and_a_reference_is_put_beside_it(kiosk: Site) -> None:
    assert kiosk.box.read(SETTINGS) == settings(kiosk)
    assert kiosk.box.read(f"{SETTINGS}.reference") == kiosk.box.read(f"{SOURCE}/config/kioskd.yaml")


def test_camera_is_listed_by_the_name_that_the_settings_take(kiosk: Site) -> None:
    listed = json.loads(kiosk.box.exec("kioskd", "devices", "--json").stdout)
    assert "picamera" in listed["cameras"]


def test_daemon_runs_in_the_sandbox_of_its_unit(kiosk: Site) -> None:
    assert kiosk.box.show("ActiveState") == "active"
    assert kiosk.box.show("User") == "kioskd"
    process = kiosk.box.read(f"/proc/{kiosk.box.show('MainPID')}/status")
    assert "NoNewPrivs:\t1\n" in process
    assert "Seccomp:\t2\n" in process
    assert "CapEff:\t0000000000000000\n" in process


def test_the_model_sees_pictures_from_the_beginning(kiosk: Site) -> None:
    with kiosk.service.sees("picture", max(0, SEVERAL - kiosk.service.seen("picture"))):
        pass
    first = filmed(kiosk.service.simulator.sessions[0])[0]
    assert first.at - began(kiosk, 1) < SOON_S


def test_pictures_show_the_cameras_view_upright_and_in_size(kiosk: Site) -> None:
    found = filmed(kiosk.service.simulator.sessions[0])
    assert {picture.mime for picture in found} == {"image/jpeg"}
    assert {picture.size for picture in found} == {IN_SIZE}
    assert {corners(picture.data) for picture in found} == {UPRIGHT}
    assert len({grey_of(picture) for picture in found}) > 1, "it sees what changes before it"
    assert not any(opened(picture.data).getexif() for picture in found)


def test_pictures_come_in_time_and_one_a_second_at_most(kiosk: Site) -> None:
    came = [picture.at for picture in filmed(kiosk.service.simulator.sessions[0])]
    gaps = [later - earlier for earlier, later in itertools.pairwise(came)]
    assert EVERY_S - JITTER_S < statistics.median(gaps) < EVERY_S + JITTER_S
    assert sum(gaps) > len(gaps) * EVERY_S - JITTER_S


def test_model_that_looks_sees_it_in_the_same_turn(kiosk: Site) -> None:
    with kiosk.service.sees("reply_sent"):
        kiosk.person.speak()
    session = kiosk.service.simulator.sessions[0]
    [call] = session.calls
    assert (call.name, call.state) == ("look", "answered")
    assert session.complaints == []
    [looked_at] = [picture for picture in session.pictures if picture.way != "realtime"]
    # A busy machine may split an utterance in two; the turn in question had ended when the call was made.
    asked = max(
        number
        for number, turn in enumerate(session.turns)
        if turn.kind == "speech" and turn.ended_at <= call.made_at
    )
    assert looked_at.turn == asked
    assert looked_at in session.turns[asked].seen
    assert (looked_at.size, corners(looked_at.data)) == (IN_SIZE, UPRIGHT)
    assert grey_of(looked_at) in GREYS
    kiosk.box.journal.wait("turn 1:")


def test_camera_rests_when_the_conversation_is_over(kiosk: Site) -> None:
    assert status(kiosk)["camera"] == "on"
    kiosk.box.exec("kioskd", "log", "debug")
    place = kiosk.box.journal.now
    kiosk.box.exec("kioskd", "sleep")
    off = kiosk.box.journal.wait("camera off: ", since=place)
    over = at(kiosk.box.journal.wait("conversation ended: number=1", since=place))
    kiosk.box.exec("kioskd", "log", "info")
    assert at(off) - over < SOON_S
    assert status(kiosk)["camera"] == "off"
    pictures = filmed(kiosk.service.simulator.sessions[0])
    said = re.search(r" sent=(\d+)", str(off["MESSAGE"]))
    assert said
    assert abs(int(said[1]) - len(pictures)) <= 1, "one may have been on its way"
    assert pictures[-1].at < over + JITTER_S


def test_camera_that_rested_is_back_with_the_next_conversation(kiosk: Site) -> None:
    with kiosk.service.sees("picture", 2):
        kiosk.box.exec("kioskd", "wake")
    seen = filmed(kiosk.service.simulator.sessions[1])
    assert seen[0].at - began(kiosk, 2) < SOON_S
    assert {corners(picture.data) for picture in seen} == {UPRIGHT}


def test_journal_finds_what_happened_by_its_fields(kiosk: Site) -> None:
    first, second = entries(kiosk, f"MESSAGE_ID={journal_ids.CONVERSATION_BEGAN}")
    assert (first["KIOSKD_CONVERSATION"], second["KIOSKD_CONVERSATION"]) == ("1", "2")
    assert first["_SYSTEMD_UNIT"] == "kioskd.service"
    [turn] = entries(kiosk, f"MESSAGE_ID={journal_ids.TURN}", "KIOSKD_CONVERSATION=1")
    assert turn["KIOSKD_TURN"] == "1"
    assert int(str(turn["KIOSKD_WAITED_MS"])) > 0
    [ended] = entries(kiosk, f"MESSAGE_ID={journal_ids.CONVERSATION_ENDED}")
    assert int(str(ended["KIOSKD_TURNS"])) == 1


def test_no_sound_was_lost_and_no_fault_was_reported(kiosk: Site) -> None:
    assert entries(kiosk, f"MESSAGE_ID={journal_ids.PART_LOST}") == []
    assert entries(kiosk, "PRIORITY=3") == []
    assert kiosk.box.show("NRestarts") == "0"


def test_daemon_with_an_open_camera_leaves_in_time(kiosk: Site) -> None:
    begun = time.monotonic()
    kiosk.box.exec("systemctl", "stop", "kioskd", within_s=PATIENCE_S)
    assert time.monotonic() - begun < 5.0
    assert kiosk.box.show("Result") == "success"
    assert kiosk.box.show("ExecMainStatus") == "0"
