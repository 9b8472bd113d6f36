"""The journal and the figures of a whole kiosk say how long a visitor waited."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

import numpy as np
import pytest
from tests.support.kiosk import Kiosk, frames, running, soon, voice
from tests.support.parts import changed

from kioskd import app
from kioskd.adapters.absent import NoMetrics
from kioskd.core.effects import KioskStatus
from kioskd.media import pcm
from kioskd.ports import GenerationEnded, MetricFamily, ReplyAudio, TurnComplete
from kioskd.settings.model import Settings

SERVED_S = 0.5
"""Seconds from the visitor's last word to the answer's first byte."""
HOLD = {"button": {"source": "gpio:pi/17", "does": "hold"}}


class Door(NoMetrics):
    """Gives the figures to the test."""

    async def serve(self, families: Callable[[], Iterable[MetricFamily]]) -> NoReturn:
        self.families = families
        await super().serve(families)


def hush(seconds: float) -> bytes:
    """Return the noise of a quiet room: bare silence would count as a microphone that is switched off."""
    noise = np.random.default_rng(7).integers(-2, 3, round(seconds * pcm.UPLINK_HZ))
    return noise.astype("<i2").tobytes()


async def live(it: Kiosk, sound: bytes) -> None:
    """Capture a sound in true time."""
    for frame in frames(sound):
        it.microphone.say(frame)
        await it.clock.advance(pcm.FRAME_MS / 1000)


@pytest.mark.parametrize("echo", ["half_duplex", "hardware"])
@pytest.mark.parametrize(
    ("conversation", "served_s"),
    [({}, SERVED_S), ({}, 1.0), ({"pace": "slow"}, 1.2), ({"pace": "slow"}, 2.0)],
)
async def test_a_wait_is_measured_from_the_last_word(
    caplog: pytest.LogCaptureFixture, echo: str, conversation: dict[str, str], served_s: float
) -> None:
    settings = {"microphone": {"echo": echo}, "conversation": conversation}
    assert await waited(caplog, settings, served_s) == pytest.approx(served_s, abs=0.05)


@pytest.mark.parametrize("echo", ["half_duplex", "hardware"])
@pytest.mark.parametrize("served_s", [SERVED_S, 1.0])
async def test_a_wait_is_measured_from_the_release_of_the_button(
    caplog: pytest.LogCaptureFixture, echo: str, served_s: float
) -> None:
    settings = {"microphone": {"echo": echo}, "controls": HOLD}
    assert await waited(caplog, settings, served_s) == pytest.approx(served_s, abs=0.05)


async def waited(caplog: pytest.LogCaptureFixture, settings: Mapping[str, object], served_s: float) -> float:
    """Return the journal's times of one question, after checking that the figures agree."""
    caplog.set_level(logging.INFO)
    it = Kiosk(Settings.model_validate({"speaker": {"cues": False}, **settings}), watchdog_s=None)
    door = Door()
    parts = changed(it.parts(), metrics=door)
    async with running(app.serve(it.settings, parts, observers=[it.observe])):
        await it.start()
        held = "controls" in settings
        await live(it, hush(1.0))
        if held:
            it.button.hold()
        else:
            it.button.press()
        connection = await soon(it.live.accept())
        await it.until(lambda: it.state.link.open)
        await live(it, hush(0.6) + voice(1.0))
        if held:
            it.button.release()
        await live(it, hush(served_s))
        connection.say(ReplyAudio(voice(2.0, pcm.DOWNLINK_HZ)), GenerationEnded(), TurnComplete())
        await it.shows(KioskStatus.SPEAKING)
        await it.hear(0.3)
        await live(it, hush(2.0))
        await it.hear(2.0)
        await it.clock.advance(1.0)
        await it.shows(KioskStatus.LISTENING)
        figures = {family.name: family for family in door.families()}
    (fields,) = [
        vars(record)["fields"] for record in caplog.records if record.getMessage().startswith("turn 1")
    ]
    told = fields["waited_ms"] / 1000
    assert isinstance(told, float)
    assert figures["kioskd_reply_wait_seconds"].total == pytest.approx(told, abs=0.001)
    assert figures["kioskd_turns"].values == {"heard": 1}
    return told
