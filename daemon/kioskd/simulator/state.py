"""The state that all connections of one simulator share."""

import secrets
import time
from collections.abc import Callable

from pydantic import SecretStr

from kioskd.simulator.ephemeral_tokens import EphemeralTokens
from kioskd.simulator.event_feed import EventFeed, EventObserver
from kioskd.simulator.replies import ReplyQueue
from kioskd.simulator.script import FaultSchedule, ServiceScript
from kioskd.simulator.sessions import Sessions
from kioskd.simulator.tts import SpeechRenderer


class ServiceState:
    """The script of the service, and the progress in it."""

    def __init__(
        self, script: ServiceScript, observe: EventObserver, wall: Callable[[], float] = time.time
    ) -> None:
        """`wall` returns seconds since the epoch, for the lives of tokens."""
        self.script = script
        self.key = script.key or SecretStr(secrets.token_urlsafe(24))
        self.events = EventFeed(observe)
        self.faults = FaultSchedule(script.faults)
        self.tokens = EphemeralTokens(wall)
        self.sessions = Sessions(last_s=script.handles_last_s, unknown_code=script.unknown_handle)
        self.replies = ReplyQueue(script.replies)
        self.speech = SpeechRenderer(script.voice)
