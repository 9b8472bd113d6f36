"""Every pair of troubles: lamp, status, journal and metrics agree about each fault and its end."""

import datetime
import logging
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Final

import pytest
from tests.support.fakes_devices import ManualClock, MemoryLamp

from kioskd import journal_ids
from kioskd.core.effects import KioskStatus, Prompt, ShowStatus
from kioskd.core.events import (
    Closing,
    ConnectionLost,
    ConnectionUp,
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    MicrophoneSilent,
    MuteRequested,
    Pressed,
    SettingsRefused,
    Started,
    StorageFailed,
    Timer,
    TimerFired,
)
from kioskd.core.link_state import LinkPhase
from kioskd.core.machine import State, levels, step
from kioskd.core.policy import Policy
from kioskd.core.troubles import ORDER, OUTAGES, troubles
from kioskd.errors import Code, Remedy
from kioskd.flow.controls.lamps import LampWorker
from kioskd.flow.reporting.journal import WRONG, Journal, status
from kioskd.flow.reporting.metrics import MetricCounts, Readings, families

POLICY: Final = Policy(wake_buttons=frozenset({"gpio:pi/17"}))

REMEDIES: Final = {
    Code.WAY: Remedy.RESUME,
    Code.SERVICE: Remedy.RESUME_LATER,
    Code.QUOTA: Remedy.QUOTA,
    Code.CLOCK: Remedy.CLOCK,
    Code.SETTINGS: Remedy.SETTINGS,
}
"""The ways in which a dial can end."""

EVENTS: Final[dict[Code, tuple[Event, Event]]] = {
    Code.MICROPHONE: (DeviceGone(Device.MICROPHONE, "Jabra"), DeviceCame(Device.MICROPHONE)),
    Code.SPEAKER: (DeviceGone(Device.SPEAKER, "Dock"), DeviceCame(Device.SPEAKER)),
    Code.BUTTON: (
        DeviceGone(Device.BUTTON, "gpio:pi/17"),
        DeviceCame(Device.BUTTON, "gpio:pi/17"),
    ),
    Code.LAMP: (DeviceGone(Device.LAMP, "gpio:pi/25"), DeviceCame(Device.LAMP, "gpio:pi/25")),
    Code.CAMERA: (DeviceGone(Device.CAMERA, "v4l2:C920"), DeviceCame(Device.CAMERA)),
    Code.DEAF: (MicrophoneSilent(deaf=True), MicrophoneSilent(deaf=False)),
    Code.HOURS: (Closing(Code.HOURS, "07:00"), Closing(None)),
    Code.BUDGET: (Closing(Code.BUDGET, "00:00"), Closing(None)),
    Code.STORAGE: (StorageFailed("No space left on device", "/state"), StorageFailed()),
    Code.FILE: (
        SettingsRefused("kioskd.yaml:3:5 speaker.volum: is not a setting", "17:52"),
        SettingsRefused(),
    ),
}
"""The beginning and the end of a trouble of the kiosk itself."""


class Kiosk:
    """The core, with lamp, status, journal and metrics."""

    def __init__(self, journal: pytest.LogCaptureFixture) -> None:
        self.clock = ManualClock()
        self.state = State()
        self.light = MemoryLamp()
        self.lamp = LampWorker(
            [self.light], self.clock, lambda _event: None, local_time=lambda: datetime.time(12)
        )
        self.journal = Journal()
        self.tally = MetricCounts(self.clock.now())
        self.status = ""
        self.caplog = journal
        self.take(Started())

    def take(self, event: Event) -> None:
        """Take a step, and check that all four agree, and that the journal logs the change."""
        before, self.state = self.state, step(self.state, event, POLICY)[0]
        effects = step(before, event, POLICY)[1]
        self.caplog.clear()
        for effect in effects:
            if isinstance(effect, ShowStatus):
                self.lamp.show(effect)
                self.status = status(effect)
        for observe in (self.journal.observe, self.tally.observe):
            observe(self.clock.now(), event, before, self.state, effects)
        self._agree(event, set(wrong(before)))

    def try_service(self, outcome: Callable[[int], Event]) -> bool:
        """Have a visitor or the kiosk dial the service. Return whether there is a dial now."""
        for way in (TimerFired(Timer.PROBE), TimerFired(Timer.RETRY), Pressed()):
            if self.state.link.phase in (LinkPhase.DOWN, LinkPhase.WAITING):
                self.take(way)
        if self.state.link.phase in (LinkPhase.DOWN, LinkPhase.WAITING):
            return False
        self.take(outcome(self.state.link.epoch))
        return True

    def fail(self, code: Code) -> bool:
        """Have dials end with `code` until it counts as a trouble."""
        tried = self.try_service(lambda epoch: ConnectionLost(epoch, REMEDIES[code], jitter=0.9))
        if tried and code not in wrong(self.state):  # one loss during a conversation is not a trouble
            self.try_service(lambda epoch: ConnectionLost(epoch, REMEDIES[code], jitter=0.9))
        return tried

    def begin(self, code: Code) -> bool:
        """Begin a trouble, if it can begin now."""
        if code in REMEDIES:
            return self.fail(code)
        self.take(EVENTS[code][0])
        return True

    def end(self, code: Code) -> bool:
        """End a trouble, if it can end now."""
        if code in REMEDIES:
            return self.try_service(lambda epoch: ConnectionUp(epoch, resumed=False))
        self.take(EVENTS[code][1])
        return True

    def _agree(self, event: Event, before: set[Code]) -> None:
        found = troubles(self.state, POLICY)
        codes = [trouble.code for trouble in found]
        first = codes[0] if codes else ""
        shown = levels(self.state, POLICY).shown
        said = f"{event}: {codes} in {self.status!r}"
        assert (self.light.light.code, self.light.light.state) == (first, shown), said
        places = [self.status.find(f"(code {code})") for code in codes]
        assert places == sorted(places), said
        assert -1 not in places, said
        assert all(WRONG[code] in self.status for code in codes), said
        assert all(trouble.what in self.status for trouble in found), said
        assert self.status.count("(code ") == len(codes), said
        assert gauge(self.tally) == set(codes), said
        assert dict(told(self.caplog)) == {
            **dict.fromkeys(set(codes) - before, "begins"),
            **{code: "ends" for code in before - set(codes) if not replaced(code, codes)},
        }, said
        assert len(list(told(self.caplog))) == len(dict(told(self.caplog))), "logged twice"
        assert "ready" not in self.status or not OUTAGES & set(codes), said


def replaced(code: Code, codes: list[Code]) -> bool:
    """Return whether the kiosk stays closed, for another reason."""
    closing = {Code.BUDGET, Code.HOURS}
    return code in closing and bool(closing & set(codes))


def wrong(state: State) -> list[Code]:
    return [trouble.code for trouble in troubles(state, POLICY)]


def gauge(tally: MetricCounts) -> set[Code]:
    readings = Readings(link={}, sent=0, resent=0, dropped=0, gap_bytes=0, overflow_bytes=0, volume=50)
    by_name = {family.name: family for family in families(tally, readings, 0.0, "1")}
    return {Code(code) for code, value in by_name["kioskd_fault"].values.items() if value}


def told(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[Code, str]]:
    """Yield the journal's lines about troubles, by id and code."""
    numbers = dict.fromkeys(journal_ids.BY_CODE.values(), "begins")
    numbers |= {journal_ids.MENDED: "ends", journal_ids.OPEN_AGAIN: "ends"}
    for record in caplog.records:
        if (said := vars(record).get("message_id")) in numbers:
            yield Code(vars(record)["fields"]["code"]), numbers[said]


CONTEXTS: Final[dict[str, tuple[Event, ...]]] = {
    "asleep": (),
    "in conversation": (Pressed(), ConnectionUp(1, resumed=False)),
    "muted": (MuteRequested(muted=True),),
    "closed": (Closing(Code.HOURS, "07:00"),),
}


@pytest.mark.parametrize("ends_first", [0, 1], ids=["first in, first out", "last in, first out"])
@pytest.mark.parametrize("context", CONTEXTS)
def test_lamp_status_journal_and_metrics_agree_about_two_troubles(
    context: str, ends_first: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    walked = 0
    for pair in permutations(Code, 2):
        it = Kiosk(caplog)
        for event in CONTEXTS[context]:
            it.take(event)
        begun = [it.begin(code) for code in pair]
        present = [code for code, began in zip(pair, begun, strict=True) if began]
        if Code.HOURS in present and Code.BUDGET in present:  # one replaces the other
            present.remove(pair[0])
        if set(present) <= OUTAGES and present[1:] not in (
            [Code.WAY],
            [],
        ):  # a service that answers is reachable
            present = present[1:] if present[0] is not Code.SETTINGS else present
        assert set(present) <= set(wrong(it.state)), f"{context}: {pair}: of {present}, not all are shown"
        order = pair if not ends_first else pair[::-1]
        for code in order:
            ended = it.end(code)
            assert not ended or code not in wrong(it.state), f"{context}: {pair}: {code} has no end"
        walked += 1
    assert walked == len(Code) * (len(Code) - 1)


def test_the_order_of_severity_has_every_code_once() -> None:
    assert sorted(ORDER) == sorted(Code)


# Faults and the status line


def told_of(*events: Event, policy: Policy = POLICY) -> tuple[State, str]:
    """Return the state after `events`, and the status line."""
    state = State()
    for event in (Started(), *events):
        state, _ = step(state, event, policy)
    return state, status(levels(state, policy).show)


def test_a_kiosk_whose_only_button_is_missing_is_out_of_order() -> None:
    gone = DeviceGone(Device.BUTTON, "gpio:pi/17")
    _, said = told_of(gone)
    assert said.startswith("Out of order: a button, reader or sensor does not work; check its plug")
    assert "gpio:pi/17" in said


def test_a_kiosk_with_another_wake_source_goes_on_without_its_button_and_reports_it() -> None:
    gone = DeviceGone(Device.BUTTON, "gpio:pi/17")
    _, said = told_of(gone, policy=Policy())
    assert said.startswith("Asleep, ready for the next visitor; but a button, reader or sensor does not work")


def test_a_kiosk_with_a_second_button_goes_on_without_the_first() -> None:
    both = Policy(wake_buttons=frozenset({"gpio:pi/17", "gpio:pi/27"}))
    first, second = DeviceGone(Device.BUTTON, "gpio:pi/17"), DeviceGone(Device.BUTTON, "gpio:pi/27")
    assert told_of(first, policy=both)[1].startswith("Asleep, ready for the next visitor; but a button")
    assert told_of(first, second, policy=both)[1].startswith("Out of order: a button")
    back = DeviceCame(Device.BUTTON, "gpio:pi/27")
    assert told_of(first, second, back, policy=both)[1].startswith("Asleep, ready")


def test_an_unreachable_service_is_reported_while_asleep() -> None:
    state, said = told_of(
        Pressed(),
        ConnectionLost(1, Remedy.RESUME, jitter=0.9),
        ConnectionLost(2, Remedy.RESUME, jitter=0.9),
        Pressed(),
    )
    assert levels(state, POLICY).shown is KioskStatus.ASLEEP
    assert said == f"Asleep; at the last try: {WRONG[Code.WAY]} (code W1)"


def test_muting_does_not_mend_a_silent_microphone() -> None:
    _, said = told_of(MicrophoneSilent(deaf=True), MuteRequested(muted=True))
    assert said.startswith("Muted")
    assert said.endswith(f"; and {WRONG[Code.DEAF]} (code D2)")


def test_a_closed_kiosk_says_why_and_until_when() -> None:
    assert told_of(Closing(Code.HOURS, "07:00"))[1] == "Closed: quiet hours; it opens at 07:00 (code B2)"


def test_a_kiosk_whose_file_was_rejected_serves_and_shows_the_fault_with_its_date() -> None:
    refused = SettingsRefused("kioskd.yaml:3:5 speaker.volum: is not a setting", "2026-11-30 17:52")
    state, said = told_of(refused)
    assert levels(state, POLICY).shown is KioskStatus.ASLEEP
    assert said == (
        f"Asleep, ready for the next visitor; but {WRONG[Code.FILE]}: "
        "kioskd.yaml:3:5 speaker.volum: is not a setting (since 2026-11-30 17:52) (code K2)"
    )
    state, effects = step(state, Pressed(), POLICY)
    assert state.turn.awake
    assert not [effect for effect in effects if isinstance(effect, Prompt)], "a visitor cannot mend a file"
    assert told_of(refused, SettingsRefused())[1] == "Asleep, ready for the next visitor"


def test_a_kiosk_that_is_out_of_order_lists_all_faults_the_worst_first() -> None:
    gone = DeviceGone(Device.SPEAKER, "Dock"), DeviceGone(Device.CAMERA, "v4l2:C920")
    _, said = told_of(*gone, StorageFailed("Read-only file system", "/state"))
    assert said == (
        f"Out of order: {WRONG[Code.SPEAKER]}: Dock (code D3). Also: {WRONG[Code.STORAGE]}: "
        f"/state: Read-only file system (code S1). Also: {WRONG[Code.CAMERA]}: v4l2:C920 (code D5)"
    )
