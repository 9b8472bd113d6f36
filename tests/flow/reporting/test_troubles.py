"""Every pair of troubles, walked through lamp, status, journal and metrics: all four tell what is wrong, and when it ends."""

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
"""How a try at the service ends."""

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
"""How a trouble of the kiosk itself begins and ends."""


class Kiosk:
    """The core, and all four that tell of it."""

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
        """Let `event` happen, and see that all four tell what is wrong, and that the journal tells the difference."""
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
        """Have the service tried, by a visitor or by the kiosk itself; return whether anything tries it now."""
        for way in (TimerFired(Timer.PROBE), TimerFired(Timer.RETRY), Pressed()):
            if self.state.link.phase in (LinkPhase.DOWN, LinkPhase.WAITING):
                self.take(way)
        if self.state.link.phase in (LinkPhase.DOWN, LinkPhase.WAITING):
            return False
        self.take(outcome(self.state.link.epoch))
        return True

    def fail(self, code: Code) -> bool:
        """Have tries end with `code`, as often as it takes to be sure of it."""
        tried = self.try_service(lambda epoch: ConnectionLost(epoch, REMEDIES[code], jitter=0.9))
        if tried and code not in wrong(self.state):  # one loss in mid-conversation is none
            self.try_service(lambda epoch: ConnectionLost(epoch, REMEDIES[code], jitter=0.9))
        return tried

    def begin(self, code: Code) -> bool:
        """Have a trouble begin, if it can now."""
        if code in REMEDIES:
            return self.fail(code)
        self.take(EVENTS[code][0])
        return True

    def end(self, code: Code) -> bool:
        """Have a trouble end, if it can now."""
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
        assert len(list(told(self.caplog))) == len(dict(told(self.caplog))), "said twice"
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
    """Yield what the journal says of troubles, as journalctl finds it: by number and code."""
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
def test_two_troubles_are_told_alike_by_lamp_status_journal_and_metrics(
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
        if set(present) <= OUTAGES and present[1:] not in ([Code.WAY], []):  # who answers is reached
            present = present[1:] if present[0] is not Code.SETTINGS else present
        assert set(present) <= set(wrong(it.state)), f"{context}: {pair} of which {present} is not told"
        order = pair if not ends_first else pair[::-1]
        for code in order:
            ended = it.end(code)
            assert not ended or code not in wrong(it.state), f"{context}: {pair}: {code} has no end"
        walked += 1
    assert walked == len(Code) * (len(Code) - 1)


def test_the_order_of_severity_has_every_code_once() -> None:
    assert sorted(ORDER) == sorted(Code)


# What was not true


def told_of(*events: Event, policy: Policy = POLICY) -> tuple[State, str]:
    """Return the state after `events`, and the status line."""
    state = State()
    for event in (Started(), *events):
        state, _ = step(state, event, policy)
    return state, status(levels(state, policy).show)


def test_a_kiosk_whose_only_button_is_missing_is_out_of_order() -> None:
    gone = DeviceGone(Device.BUTTON, "gpio:pi/17")
    _, said = told_of(gone)
    assert said.startswith("Out of order: a button does not work; check its plug")
    assert "gpio:pi/17" in said


def test_a_kiosk_that_something_else_wakes_goes_on_without_its_button_and_says_so() -> None:
    gone = DeviceGone(Device.BUTTON, "gpio:pi/17")
    _, said = told_of(gone, policy=Policy())
    assert said.startswith("Asleep, ready for the next visitor; but a button does not work")


def test_a_kiosk_with_a_second_button_goes_on_without_the_first() -> None:
    both = Policy(wake_buttons=frozenset({"gpio:pi/17", "gpio:pi/27"}))
    first, second = DeviceGone(Device.BUTTON, "gpio:pi/17"), DeviceGone(Device.BUTTON, "gpio:pi/27")
    assert told_of(first, policy=both)[1].startswith("Asleep, ready for the next visitor; but a button")
    assert told_of(first, second, policy=both)[1].startswith("Out of order: a button")
    back = DeviceCame(Device.BUTTON, "gpio:pi/27")
    assert told_of(first, second, back, policy=both)[1].startswith("Asleep, ready")


def test_a_service_that_was_not_reached_at_the_last_try_is_told_while_asleep() -> None:
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


def test_a_kiosk_whose_file_was_refused_serves_and_says_where_the_fault_is_and_since_when() -> None:
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


def test_a_kiosk_that_is_out_of_order_lists_all_that_is_wrong_the_worst_first() -> None:
    gone = DeviceGone(Device.SPEAKER, "Dock"), DeviceGone(Device.CAMERA, "v4l2:C920")
    _, said = told_of(*gone, StorageFailed("Read-only file system", "/state"))
    assert said == (
        f"Out of order: {WRONG[Code.SPEAKER]}: Dock (code D3). Also: {WRONG[Code.STORAGE]}: "
        f"/state: Read-only file system (code S1). Also: {WRONG[Code.CAMERA]}: v4l2:C920 (code D5)"
    )
