"""Steps of the core -> the lines that an owner would ask for: who came, how long they waited, how it ended."""

import logging
from dataclasses import dataclass
from typing import Final

from kioskd.core.effects import Effect, SetUplink, Show, Shown, Uplink
from kioskd.core.events import (
    Event,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySounded,
    TimerFired,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.machine import State
from kioskd.core.turn import Phase

log = logging.getLogger(__name__)

STATUS: Final = {
    Shown.STARTING: "Starting: waiting for the microphone and the speaker",
    Shown.ASLEEP: "Asleep, ready for the next visitor",
    Shown.WAKING: "Waking: calling the service",
    Shown.LISTENING: "In conversation: listening",
    Shown.THINKING: "In conversation: waiting for the answer",
    Shown.SPEAKING: "In conversation: speaking",
    Shown.OFFLINE: "In conversation, but the service cannot be reached: trying again",
    Shown.FAULT: "Out of order: see the journal's last warning",
}
"""What `systemctl status` says in each state."""


@dataclass(slots=True)
class _Turn:
    """When things happened in the turn that is going on."""

    voice_began: float | None = None
    voice_ended: float | None = None
    reply_began: float | None = None
    sounded: float | None = None


class Journal:
    """Keeps the times of the conversation at hand, and writes one line for each turn and each end."""

    def __init__(self) -> None:
        self._woken = 0.0
        self._turns = 0
        self._turn = _Turn()

    def observe(
        self, now: float, event: Event, before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        """Be told of one step; see `engine.Observer`."""
        if after.turn.awake and not before.turn.awake:
            self._woken, self._turns, self._turn = now, 0, _Turn()
            log.info("conversation began: number=%d cause=%s", after.turn.conversation, _cause(event))
        turn = self._turn
        match event:
            case VoiceBegan():
                turn.voice_began = now
            case VoiceEnded():
                turn.voice_ended = now
            case ReplyBegan() if before.turn.phase is not Phase.SPEAKING:
                turn.reply_began = now
            case ReplySounded() if turn.sounded is None:
                turn.sounded = now
        for effect in effects:
            if isinstance(effect, SetUplink) and effect.uplink is Uplink.SEND and not before.link.met:
                log.info("uplink open: waited=%.2fs", now - self._woken)
            if isinstance(effect, Show):
                log.debug("= shown: %s", effect.shown)
        if before.turn.phase is Phase.SPEAKING and after.turn.phase is not Phase.SPEAKING:
            self._end_turn(now, event, after)
        if before.turn.awake and not after.turn.awake:
            log.info(
                "conversation ended: number=%d turns=%d lasted=%.1fs cause=%s",
                after.turn.conversation,
                self._turns,
                now - self._woken,
                _cause(event),
                extra={"fields": {"conversation": after.turn.conversation, "cause": _cause(event)}},
            )

    def _end_turn(self, now: float, event: Event, after: State) -> None:
        self._turns += 1
        turn = self._turn
        # A visitor who interrupts has begun the next turn already.
        self._turn = _Turn(voice_began=turn.voice_began if after.turn.voice else None)
        voice_ended = turn.voice_ended if _between(turn.voice_ended, turn.reply_began) is not None else None
        waited = _between(voice_ended, turn.sounded)
        reply = _between(turn.sounded, now)
        fields = {
            "conversation": after.turn.conversation,
            "turn": self._turns,
            "waited_ms": _ms(waited),
            "reply_ms": _ms(reply),
        }
        log.info(
            "turn %d: spoke=%s first_byte=%s waited=%s reply=%s ended=%s",
            self._turns,
            _seconds(_between(turn.voice_began, voice_ended)),
            _seconds(_between(voice_ended, turn.reply_began)),
            _seconds(waited),
            _seconds(reply),
            _ENDINGS.get(type(event), "asleep"),
            extra={"fields": {key: value for key, value in fields.items() if value is not None}},
        )


_ENDINGS: Final = {ReplyPlayed: "heard", ReplyInterrupted: "interrupted", Pressed: "silenced"}


def _cause(event: Event) -> str:
    return event.timer.name.lower() if isinstance(event, TimerFired) else type(event).__name__.lower()


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None or end < start else end - start


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}s"


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
