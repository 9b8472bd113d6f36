"""Builders for the parts of a rehearsal."""

import asyncio
from pathlib import Path
from typing import Any

from tests.support.fakes_devices import ManualClock

from kioskd.rehearsal.capture import Arrivals, RehearsalRecord, called_functions
from kioskd.rehearsal.fake_microphone import CapturedTrack
from kioskd.rehearsal.fake_speaker import PlayedSound
from kioskd.rehearsal.measures import measure
from kioskd.rehearsal.run import rehearse
from kioskd.rehearsal.scenario import load_scenario
from kioskd.rehearsal.summary import Summary
from kioskd.settings.model import Settings


def a_record(**changes: Any) -> RehearsalRecord:
    """Return the record of a rehearsal in which nothing happened for ten seconds, with `changes`."""
    nothing: dict[str, Any] = {
        "name": "a rehearsal",
        "start": 100.0,
        "end": 110.0,
        "notes": [],
        "track": CapturedTrack(),
        "heard": PlayedSound(),
        "gates": [],
        "utterances": [],
        "received": [],
        "arrivals": Arrivals(ManualClock(), lambda: 0),
        "shots": [],
        "slow": (),
        "after_frames": 0,
        "preroll_frames": 30,
        "stopped_in_s": 0.1,
        "exit_code": 0,
        "trouble": None,
        "called": called_functions([]),
    }
    return RehearsalRecord(**{**nothing, **changes})


def a_summary(**changes: Any) -> Summary:
    """Return the summary of a rehearsal in which nothing happened, with `changes`."""
    return measure(a_record()).model_copy(update=changes)


def rehearsed_in(folder: Path, scenario: Path) -> Summary:
    """Rehearse `scenario` with the default settings, write the report to `folder`, and return the summary."""
    return asyncio.run(rehearse(Settings(), load_scenario(scenario), folder)).summary
