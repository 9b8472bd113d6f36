"""What the owner's settings mean: for the core, for a session, and for a daemon that runs already."""

from collections.abc import Callable, Mapping
from typing import Final

from kioskd.core.budget import Budget
from kioskd.core.policy import Eyes, Policy, Talk
from kioskd.settings.conversation import ConversationSettings
from kioskd.settings.limits import span
from kioskd.settings.model import Settings

_AT_START: Final = ("wake", "wakeword", "turn_taking", "pace", "uplink")

NEEDS_RESTART: Final[Mapping[str, Callable[[Settings], object]]] = {
    "microphone": lambda settings: settings.microphone,
    "speaker": lambda settings: settings.speaker.model_copy(update={"volume": 0}),
    "camera": lambda settings: settings.camera,
    "controls": lambda settings: settings.controls,
    "conversation": lambda settings: [getattr(settings.conversation, name) for name in _AT_START],
    "tools": lambda settings: settings.tools,
    "metrics": lambda settings: settings.metrics,
    "privacy": lambda settings: settings.privacy,
}
"""Settings that are looked at once, when the devices are opened."""


def policy(settings: Settings) -> Policy:
    """Return what the settings mean for the core."""
    conversation = settings.conversation
    half_duplex = settings.microphone.echo == "half_duplex"
    return Policy(
        half_duplex=half_duplex,
        greeting=settings.assistant.greeting is not None,
        always_on="start" in conversation.wake,
        talk=talk(settings),
        eyes=_EYES[settings.camera.when] if settings.camera.source != "off" else Eyes.NEVER,
        barge_in=not half_duplex and conversation.interruptions != "ignored",
        idle_s=conversation.idle_s,
        follow_up_s=conversation.idle_s if conversation.follow_up_s is None else conversation.follow_up_s,
        longest_s=conversation.longest_s,
        think_s=conversation.think_s,
        age_s=settings.service.renew_s,
    )


def budget(settings: Settings) -> Budget:
    """Return what the settings allow to be spent."""
    limits = settings.limits
    return Budget(
        seconds_per_day=limits.minutes_per_day * 60.0,
        tokens_per_day=limits.tokens_per_day,
        seconds_per_conversation=settings.conversation.longest_s,
        tokens_per_conversation=limits.tokens_per_conversation,
        quiet=tuple(span(text) for text in limits.quiet_hours),
        warn_s=limits.warn_s,
        warn_percent=limits.warn_percent,
    )


_EYES: Final = {"conversation": Eyes.CONVERSATION, "speech": Eyes.SPEECH, "request": Eyes.NEVER}


def talk(settings: Settings) -> Talk:
    """Return what opens the uplink."""
    if any(button.does == "hold" for button in settings.controls.all_buttons):
        return Talk.HELD
    conversation = settings.conversation
    only_speech = conversation.uplink == "voice" or conversation.turn_taking == "local"
    return Talk.VOICE if only_speech else Talk.ALWAYS


def own_turns(settings: Settings) -> bool:
    """Return whether we say when the visitor's turn begins and ends, and not the service."""
    return talk(settings) is Talk.HELD or settings.conversation.turn_taking == "local"


SLOW_MS: Final = 1500
NORMAL_MS: Final = 600


def pause_ms(conversation: ConversationSettings) -> int:
    """Return the silence, in milliseconds, that ends what a visitor says, where we listen for it ourselves."""
    return conversation.silence_ms or (SLOW_MS if conversation.pace == "slow" else NORMAL_MS)


def session_of(settings: Settings) -> str:
    """Return what a session belongs to: with another model or service, its handle is void."""
    service = settings.service
    return f"{service.provider} {service.endpoint} {service.project} {service.location} {service.model}"
