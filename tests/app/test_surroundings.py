"""Subjects, readers and the presence sensor are made where the settings name them, and cost nothing else."""

import subprocess
import sys
from pathlib import Path

from tests.support.kiosk import QUIET, Kiosk
from tests.support.parts import changed

from kioskd.adapters.fakes.devices import MemoryButton, MemoryReader
from kioskd.app import PresenceSpec, ReaderSpec
from kioskd.app.surroundings import Surroundings, surroundings
from kioskd.flow.link.outbox import Outbox
from kioskd.flow.link.picture_pacer import PicturePacer
from kioskd.flow.subjects.presence import PresenceRules
from kioskd.flow.subjects.subjects import Subject

SOURCE = Path(__file__).parents[2] / "daemon"


def made(**others: object) -> Surroundings:
    """Return the surroundings of a kiosk with these parts."""
    it = Kiosk(QUIET, watchdog_s=None)
    outbox = Outbox(PicturePacer(it.clock, uplink_idle=lambda: True), it.clock)
    return surroundings(changed(it.parts(), **others), lambda _event: None, outbox)


async def test_without_subjects_and_without_a_sensor_there_is_no_worker() -> None:
    assert made() == Surroundings(workers={}, observers=[])


async def test_each_reader_and_the_sensor_have_a_worker() -> None:
    around = made(
        subjects=[Subject("clock", "The clock.")],
        readers=[ReaderSpec(MemoryReader(), "reader one"), ReaderSpec(MemoryReader(), "reader two")],
        presence=PresenceSpec(MemoryButton(), PresenceRules(), "presence gpio:pi/23"),
    )
    assert list(around.workers) == ["reader one", "reader two", "presence gpio:pi/23"]
    assert len(around.observers) == 2


def test_without_subjects_and_without_a_sensor_nothing_of_them_is_imported() -> None:
    asked = (
        "import sys; from kioskd import app; from kioskd.settings.model import Settings; "
        "app.real_parts(Settings(), {'GEMINI_API_KEY': 'not-used'}); "
        "print([name for name in sys.modules if 'subjects.' in name and 'flow' in name or name == 'evdev'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=SOURCE, timeout=240
    )
    assert answer.stdout == "[]\n"
