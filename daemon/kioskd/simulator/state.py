"""The state that all connections of one simulator share."""

import secrets
from dataclasses import dataclass
from typing import Self

from pydantic import SecretStr

from kioskd.simulator.auth import EphemeralTokens
from kioskd.simulator.event_feed import EventFeed, EventObserver
from kioskd.simulator.faults import FaultSchedule
from kioskd.simulator.replies import ReplyQueue
from kioskd.simulator.script import ServiceScript
from kioskd.simulator.sessions import Sessions
from kioskd.simulator.tts import SpeechRenderer


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The script, and how far it has been played."""

    script: ServiceScript
    key: SecretStr
    events: EventFeed
    faults: FaultSchedule
    tokens: EphemeralTokens
    sessions: Sessions
    replies: ReplyQueue
    speech: SpeechRenderer

    @classmethod
    def of(cls, script: ServiceScript, observe: EventObserver) -> Self:
        """Return the state at the script's beginning."""
        return cls(
            script=script,
            key=script.key or SecretStr(secrets.token_urlsafe(24)),
            events=EventFeed(observe),
            faults=FaultSchedule(script.faults),
            tokens=EphemeralTokens(),
            sessions=Sessions(last_s=script.handles_last_s, unknown_code=script.unknown_handle),
            replies=ReplyQueue(script.replies),
            speech=SpeechRenderer(script.voice),
        )
