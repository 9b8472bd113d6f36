"""Steps of the core -> the lines that an owner would ask for: who came, how long they waited, what was wrong."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Final

from kioskd import messages
from kioskd.core.effects import Effect, SetUplink, Show, Shown, Uplink
from kioskd.core.events import (
    Cause,
    Closing,
    Event,
    TimerFired,
    Up,
    Woken,
)
from kioskd.core.levels import State, broken
from kioskd.core.link import Phase as LinkPhase
from kioskd.errors import Code
from kioskd.flow.stopwatch import Stopwatch, Times

log = logging.getLogger(__name__)

STATUS: Final = {
    Shown.STARTING: "Starting: waiting for the microphone and the speaker",
    Shown.ASLEEP: "Asleep, ready for the next visitor",
    Shown.WAKING: "Waking: calling the service",
    Shown.LISTENING: "In conversation: listening",
    Shown.THINKING: "In conversation: waiting for the answer",
    Shown.SPEAKING: "In conversation: speaking",
    Shown.MUTED: "Muted: the microphone is closed; kioskd unmute opens it, and so does a button that mutes",
    Shown.OFFLINE: "In conversation, but without the service: trying again",
    Shown.CLOSED: "Closed",
    Shown.FAULT: "Out of order",
}
"""What `systemctl status` says in each state."""

WRONG: Final = {
    Code.WAY: "no way to the service; look at the network",
    Code.SERVICE: "the service fails; it is tried again",
    Code.QUOTA: "the service's quota is used up; it is tried again",
    Code.CLOCK: "this machine's clock is not set; look at its time servers",
    Code.SETTINGS: "the service turns key, model or settings down; see the journal, then kioskd check",
    Code.MICROPHONE: "the microphone is missing; plug it in, or see kioskd devices",
    Code.DEAF: "the microphone gives nothing but silence; switch it on",
    Code.SPEAKER: "the speaker is missing; plug it in, or see kioskd devices",
    Code.BUDGET: "today's budget is spent; it opens tomorrow",
    Code.HOURS: "quiet hours",
    Code.STORAGE: "what is to outlive a restart cannot be written; look at the disk",
}
"""What is wrong, in words."""


def status(show: Show, *, kept: str = "") -> str:
    """Return what `systemctl status` says. `kept`: what of a conversation is kept, if anything is."""
    words = STATUS[show.shown]
    if show.code is not None:
        what = f": {show.what}" if show.what else ""
        but = "; but" if show.code is Code.STORAGE else ":"
        words = f"{words}{but} {WRONG[show.code]}{what} (code {show.code})"
    if show.asking:
        words = f"{words}; a press of the button allows the tool {show.asking}"
    return f"{words}; kept: {kept}" if kept else words


class Journal:
    """Keeps the times of the conversation at hand, and writes one line for each turn, each end, and each trouble."""

    def __init__(self, surround: Callable[[Mapping[str, object]], None] = lambda _fields: None) -> None:
        """`surround` is told what holds for the lines of everybody: state, conversation, turn, epoch."""
        self._surround = surround
        self._surroundings: dict[str, object] = {}
        self._shown = Shown.STARTING
        self._woken = 0.0
        self._turns = 0
        self._stopwatch = Stopwatch()
        self._wrong: dict[Code, float] = {}
        """What is wrong, and since when."""

    def observe(
        self, now: float, event: Event, before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        """Be told of one step; see `engine.Observer`."""
        shows = [effect for effect in effects if isinstance(effect, Show)]
        if shows:
            self._shown = shows[-1].shown
        if after.turn.awake and not before.turn.awake:
            self._woken, self._turns = now, 0
        self._tell_everybody(after)
        if after.turn.awake and not before.turn.awake:
            self._begin(event, after)
        times = self._stopwatch.observe(now, event, before, after)
        if any(isinstance(effect, SetUplink) and effect.uplink is Uplink.SEND for effect in effects):
            self._open(now, before)
        for show in shows:
            log.debug("= shown: %s", show.shown)
        self._look_for_trouble(now, event, after, shows)
        if times is not None:
            self._end_turn(times, after)
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
                "message_id": messages.CONVERSATION_BEGAN,
                # A voice may be any noise: that it was somebody is known when they have an answer.
                "visitor": after.turn.called and event != Woken(Cause.VOICE),
            },
        )

    def _open(self, now: float, before: State) -> None:
        if before.link.met:
            return
        waited = now - self._woken
        log.info("uplink open: waited=%.2fs", waited, extra={"fields": {"waited_ms": _ms(waited)}})

    def _look_for_trouble(self, now: float, event: Event, after: State, shows: list[Show]) -> None:
        mended = {code for code in self._wrong if code in _OF_DEVICES and code is not broken(after)}
        if isinstance(event, Up) and after.link.open:
            mended |= self._wrong.keys() - _OF_DEVICES
        for code in sorted(mended):
            after_s = now - self._wrong.pop(code)
            extra = {"fields": {"code": code, "after_ms": _ms(after_s)}, "message_id": messages.MENDED}
            log.info("in order again: code=%s after=%.0fs", code, after_s, extra=extra)
        for show in shows:
            # Why it is closed is said by who closes it (`Limits`), and what cannot be kept by who keeps (`Keeping`).
            elsewhere = show.shown is Shown.CLOSED or show.code is Code.STORAGE
            if show.code is None or show.code in self._wrong or elsewhere:
                continue
            self._wrong[show.code] = now
            extra = {"fields": {"code": show.code}, "message_id": messages.BY_CODE[show.code]}
            log.warning("out of order: code=%s %s", show.code, WRONG[show.code], extra=extra)

    def _end_turn(self, times: Times, after: State) -> None:
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
        log.info(
            "turn %d: spoke=%s first_byte=%s waited=%s reply=%s ended=%s",
            self._turns,
            _seconds(times.spoke),
            _seconds(times.first_byte),
            _seconds(times.waited),
            _seconds(times.reply),
            times.ended,
            extra={
                "fields": {key: value for key, value in fields.items() if value is not None},
                "message_id": messages.TURN,
                "visitor": times.waited is not None,
            },
        )
        self._tell_everybody(after)

    def _end(self, now: float, event: Event, after: State) -> None:
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
                "message_id": messages.CONVERSATION_ENDED,
            },
        )


_OF_DEVICES: Final = frozenset({Code.MICROPHONE, Code.DEAF, Code.SPEAKER})


def _cause(event: Event) -> str:
    match event:
        case TimerFired(timer):
            return timer.name.lower()
        case Woken(cause):
            return cause.value
        case Closing(code) if code is not None:
            return f"closed {code}"
    return re.sub("(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}s"


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
