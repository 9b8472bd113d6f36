"""Journal lines about visitors: conversations, turns with their waiting times, and faults."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kioskd import journal_ids
from kioskd.core.effects import Effect, KioskStatus, Overlay, SetUplink, ShowStatus, UplinkGate
from kioskd.core.events import Closing, Event, TimerFired, WakeCause, Woken
from kioskd.core.levels import State
from kioskd.core.link_state import LinkPhase
from kioskd.core.recorded_names import recorded_name
from kioskd.core.troubles import CLOSED, OUTAGES, Trouble
from kioskd.errors import Code
from kioskd.flow.reporting.turn_lines import TurnLines
from kioskd.flow.reporting.turn_timing import TurnTimes, TurnTiming

log = logging.getLogger(__name__)

STATUS: Final = {
    KioskStatus.STARTING: "Starting: waiting for the microphone and the speaker",
    KioskStatus.ASLEEP: "Asleep, ready for the next visitor",
    KioskStatus.WAKING: "Waking: connecting to the service",
    KioskStatus.LISTENING: "In conversation: listening",
    KioskStatus.THINKING: "In conversation: waiting for the answer",
    KioskStatus.SPEAKING: "In conversation: speaking",
    KioskStatus.MUTED: "Muted: the microphone is closed; kioskd unmute or a mute button opens it",
    KioskStatus.OFFLINE: "In conversation, but without the service: retrying",
    KioskStatus.CLOSED: "Closed",
    KioskStatus.FAULT: "Out of order",
}
"""The text that `systemctl status` shows in each state."""

WRONG: Final = {
    Code.WAY: "the service cannot be reached; check the network",
    Code.SERVICE: "the service fails; the kiosk tries again by itself",
    Code.QUOTA: "the service's quota is used up; the kiosk tries again by itself",
    Code.CLOCK: "this machine's clock is not set; check its time servers",
    Code.SETTINGS: "the service rejects key, model or settings; sudo kioskd doctor says which",
    Code.FILE: "the settings file was rejected; the kiosk keeps its old settings, but could not start again; "
    "run kioskd check, then kioskd reload",
    Code.MICROPHONE: "the microphone is missing; plug it in, or see kioskd devices",
    Code.DEAF: "the microphone gives nothing but silence; switch it on",
    Code.SPEAKER: "the speaker is missing; plug it in, or see kioskd devices",
    Code.BUTTON: "a button, reader or sensor does not work; check its plug and wiring, or see kioskd devices",
    Code.CAMERA: "the camera gave no picture when one was needed; plug it in, or see kioskd devices",
    Code.LAMP: "a lamp does not work; check its wiring, or see kioskd devices",
    Code.BUDGET: "today's budget is spent",
    Code.HOURS: "quiet hours",
    Code.STORAGE: "volume, mute and the day's budget cannot be stored and would be lost at the next restart; "
    "check the disk",
}
"""The fault of each code and its remedy, in words."""


_JOINT: Final = {
    KioskStatus.FAULT: ": ",
    KioskStatus.CLOSED: ": ",
    KioskStatus.OFFLINE: ": ",
    KioskStatus.MUTED: "; and ",
}
"""The text between a state and its first trouble. A state that is not here gets "; but "."""


def wrong(trouble: Trouble) -> str:
    """Return a trouble in words: the fault, its remedy, and the thing that it is about."""
    words = WRONG[trouble.code]
    if trouble.what:
        words += f"; it opens at {trouble.what}" if trouble.code in CLOSED else f": {trouble.what}"
    return words


def described(trouble: Trouble) -> dict[str, str]:
    """Return a trouble in the form of `kioskd status --json`."""
    return {"code": str(trouble.code), "what": trouble.what, "words": wrong(trouble)}


def status(show: ShowStatus, *, kept: str = "") -> str:
    """Return the text for `systemctl status`. `kept` names the records of a conversation, if any."""
    words = STATUS[show.shown]
    if show.troubles:
        joint = _JOINT.get(show.shown, "; but ")
        if show.shown is KioskStatus.ASLEEP and any(trouble.code in OUTAGES for trouble in show.troubles):
            words, joint = "Asleep", "; at the last try: "
        words += joint + ". Also: ".join(f"{wrong(each)} (code {each.code})" for each in show.troubles)
    if show.asking:
        words = f"{words}; the model asks to use the tool {show.asking}: press the button to allow it"
    if show.overlay is Overlay.ANNOUNCING:
        words = f"{words}; speaking an announcement"
    return f"{words}; stored: {kept}" if kept else words


_UNSURE: Final = frozenset({WakeCause.VOICE.value, WakeCause.PRESENCE.value})
"""Causes that do not prove that a visitor is there."""


class Journal:
    """Writes a journal line for the start and end of each conversation, for turns, and for each trouble."""

    def __init__(self, surround: Callable[[Mapping[str, object]], None] = lambda _fields: None) -> None:
        """`surround` gets the fields that hold for all later lines: state, conversation, turn, epoch."""
        self._surround = surround
        self._surroundings: dict[str, object] = {}
        self._shown = KioskStatus.STARTING
        self._woken = 0.0
        self._turns = 0
        self._timing = TurnTiming()
        self._lines = TurnLines()
        self._wrong: dict[Code, float] = {}
        """The troubles that are going on, each with the clock's time of its start."""

    def observe(
        self, now: float, event: Event, before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        shows = [effect for effect in effects if isinstance(effect, ShowStatus)]
        if shows:
            self._shown = shows[-1].shown
        if after.turn.awake and not before.turn.awake:
            self._woken, self._turns = now, 0
        self._tell_everybody(after)
        if after.turn.awake and not before.turn.awake:
            self._begin(event, after)
        times = self._timing.observe(now, event, before, after)
        if any(isinstance(effect, SetUplink) and effect.uplink is UplinkGate.SEND for effect in effects):
            self._open(now, before)
        for show in shows:
            log.debug("= shown: %s", show.shown)
            self._compare(now, show.troubles)
        if times is not None:
            self._end_turn(now, times, before, after)
        self._lines.look(now)
        if before.turn.awake and not after.turn.awake:
            self._end(now, event, after)

    def _tell_everybody(self, state: State) -> None:
        here: dict[str, object] = {"state": self._shown}
        if state.turn.awake:
            here |= {"conversation": state.turn.conversation, "turn": self._turns + 1}
        if state.link.phase is not LinkPhase.DOWN:
            here["epoch"] = state.link.epoch
        if here != self._surroundings:
            self._surroundings = here
            self._surround(here)

    def _begin(self, event: Event, after: State) -> None:
        log.info(
            "conversation began: number=%d cause=%s",
            after.turn.conversation,
            _cause(event),
            extra={
                "fields": {"conversation": after.turn.conversation, "cause": _cause(event)},
                "message_id": journal_ids.CONVERSATION_BEGAN,
                # Noise can count as a voice, and a movement as a visitor. An answer shows that a person is
                # there.
                "visitor": after.turn.woken_by_person and _cause(event) not in _UNSURE,
            },
        )

    def _open(self, now: float, before: State) -> None:
        if before.link.reached_service:
            return
        waited = now - self._woken
        log.info("uplink open: waited=%.2fs", waited, extra={"fields": {"waited_ms": _ms(waited)}})

    def _compare(self, now: float, troubles: Sequence[Trouble]) -> None:
        codes = {trouble.code for trouble in troubles}
        for code in [code for code in self._wrong if code not in codes]:
            after_s = now - self._wrong.pop(code)
            extra = {"fields": {"code": code, "after_ms": _ms(after_s)}, "message_id": journal_ids.MENDED}
            if code not in CLOSED:
                log.info("in order again: code=%s after=%.0fs", code, after_s, extra=extra)
            elif not codes & CLOSED:
                extra["message_id"] = journal_ids.OPEN_AGAIN
                log.info("the kiosk is open again: code=%s after=%.0fs", code, after_s, extra=extra)
        for trouble in troubles:
            code = trouble.code
            if code in self._wrong:
                continue
            self._wrong[code] = now
            extra = {"fields": {"code": code}, "message_id": journal_ids.BY_CODE[code]}
            if code in CLOSED:
                log.info("closed: code=%s %s", code, wrong(trouble), extra=extra)
            else:
                log.warning("out of order: code=%s %s", code, wrong(trouble), extra=extra)

    def _end_turn(self, now: float, times: TurnTimes, before: State, after: State) -> None:
        self._turns += 1
        fields = {
            "conversation": after.turn.conversation,
            "turn": self._turns,
            "cause": times.ended,
            "spoke_ms": _ms(times.spoke),
            "first_byte_ms": _ms(times.first_byte),
            "waited_ms": _ms(times.waited),
            "reply_ms": _ms(times.reply),
        }
        known = {key: value for key, value in fields.items() if value is not None}
        somebody = before.turn.spoke or after.turn.spoke
        self._lines.tell(now, self._turns, times, known, somebody=somebody)
        self._tell_everybody(after)

    def _end(self, now: float, event: Event, after: State) -> None:
        self._lines.sum_up()
        lasted = now - self._woken
        log.info(
            "conversation ended: number=%d turns=%d lasted=%.1fs cause=%s",
            after.turn.conversation,
            self._turns,
            lasted,
            _cause(event),
            extra={
                "fields": {
                    "conversation": after.turn.conversation,
                    "turns": self._turns,
                    "lasted_ms": _ms(lasted),
                    "cause": _cause(event),
                },
                "message_id": journal_ids.CONVERSATION_ENDED,
            },
        )


def _cause(event: Event) -> str:
    match event:
        case TimerFired(timer):
            return timer.name.lower()
        case Woken(cause):
            return cause.value
        case Closing(code) if code is not None:
            return f"closed {code}"
    return re.sub("(?<!^)(?=[A-Z])", "_", recorded_name(type(event))).lower()


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
