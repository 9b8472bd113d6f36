"""Translates the owner's settings: for the core, for a session, and for a running daemon."""

from collections.abc import Mapping, Sequence
from typing import Final

from kioskd.core.budget import Budget
from kioskd.core.policy import DEFAULT_PROFILE, CameraMode, Policy, UplinkMode
from kioskd.flow.storage.budget import Notices
from kioskd.settings.conversation import ExtensionSettings, Pace
from kioskd.settings.cross_checks import WAKING
from kioskd.settings.limits import span
from kioskd.settings.model import Settings
from kioskd.settings.sound import SpeakerSettings
from kioskd.tools.registry import kind_of
from kioskd.yamlconf.section import Section

AT_START: Final[Mapping[str, frozenset[str] | None]] = {
    "assistant": frozenset({"language", "profiles"}),
    "conversation": frozenset(
        {
            *("wake", "wakeword", "wakeword_sensitivity", "turn_taking", "pace", "silence_ms"),
            *("interruptions", "uplink", "extensions"),
        }
    ),
    "microphone": None,
    "speaker": frozenset(SpeakerSettings.model_fields) - {"volume"},
    "camera": None,
    "controls": None,
    "subjects": None,
    "announcements": None,
    "tools": None,
    "metrics": None,
    "captions": None,
    "privacy": None,
    "fleet": None,
}
"""The settings that are read only at the start, so that they need a restart: names by section; None for
all."""


def take_over(new: Settings, started: Settings) -> tuple[Settings, Sequence[str]]:
    """Return the settings that a daemon can use now, and the names, as SECTION.NAME, that need a restart.

    `started`: the settings at the daemon's start. A setting that is read only then keeps its value
    everywhere, also in the setup of a session.
    """
    kept: dict[str, object] = {}
    later: list[str] = []
    for section, names in AT_START.items():
        then, now = getattr(started, section), getattr(new, section)
        as_it_was = (
            then if names is None else now.model_copy(update={name: getattr(then, name) for name in names})
        )
        if as_it_was != now:
            kept[section] = as_it_was
            later += _changed(section, as_it_was, now)
    return new.model_copy(update=kept), tuple(later)


def _changed(section: str, then: object, now: object) -> list[str]:
    if not (isinstance(now, Section) and isinstance(then, Section)):  # the tools, or no section
        return [section]
    names = type(now).model_fields
    return [f"{section}.{name}" for name in names if getattr(then, name) != getattr(now, name)]


def core_policy(settings: Settings) -> Policy:
    conversation = settings.conversation
    half_duplex = settings.microphone.half_duplex
    more = conversation.extensions or ExtensionSettings(most=0)
    return Policy(
        half_duplex=half_duplex,
        greeting=settings.assistant.greeting is not None,
        always_on="start" in conversation.wake,
        uplink_mode=uplink_mode(settings),
        camera=_CAMERA_MODES[settings.camera.when] if settings.camera.on else CameraMode.NEVER,
        wake_buttons=_wake_buttons(settings),
        barge_in=not half_duplex and conversation.interruptions != "ignored",
        idle_s=conversation.idle_s,
        follow_up_s=conversation.idle_s if conversation.follow_up_s is None else conversation.follow_up_s,
        longest_s=conversation.longest_s,
        warn_s=settings.limits.warn_s,
        idle_warn_s=IDLE_WARN_S if more.most else 0.0,
        extensions=more.most,
        extension_s=more.by_s,
        stretch=_stretch(settings),
        think_s=conversation.think_s,
        age_s=settings.service.renew_s,
    )


IDLE_WARN_S: Final = 5.0
"""Seconds before the end of a silent conversation at which the visitor is warned: time for one press."""


def _stretch(settings: Settings) -> dict[str, float]:
    """Return the factor of the visitor's times for each profile that does not have the normal ones."""
    names = (DEFAULT_PROFILE, *settings.assistant.profiles)
    return {name: SLOW_MS / NORMAL_MS for name in names if pace_of(settings, name) == "slow"}


def _wake_buttons(settings: Settings) -> frozenset[str]:
    """Return the sources of the buttons that wake the kiosk. Empty if it can be woken in another way, too."""
    controls = settings.controls
    seen = controls.presence is not None and controls.presence.greets
    if set(settings.conversation.wake) - {"button"} or controls.readers or seen:
        return frozenset()
    buttons = controls.all_buttons
    return frozenset(each.source for each in buttons if {each.does, each.double} & WAKING)


def budget(settings: Settings) -> Budget:
    limits = settings.limits
    return Budget(
        seconds_per_day=limits.minutes_per_day * 60.0,
        tokens_per_day=limits.tokens_per_day,
        tokens_per_conversation=limits.tokens_per_conversation,
        quiet=tuple(span(text) for text in limits.quiet_hours),
        warn_s=limits.warn_s * _stretch(settings).get(DEFAULT_PROFILE, 1.0),
        warn_percent=limits.warn_percent,
    )


def notices(settings: Settings) -> Notices:
    """Return the instructions by which the model warns a visitor of the end."""
    more = settings.conversation.extensions
    if more is None or not more.most:
        return Notices(settings.limits.notice)
    by_word = any("more_time" in kind_of(tool).names(tool) for tool in settings.tools)
    by_button = any({each.does, each.double} & {"toggle", "wake"} for each in settings.controls.all_buttons)
    ways = [*(["press the button"] if by_button else []), *(["ask you for it"] if by_word else [])]
    text = EXTENDABLE.format(ways=" or ".join(ways)) + (BY_WORD if by_word else "")
    return Notices(settings.limits.notice, text, more.most)


EXTENDABLE: Final = (
    "(This comes from the kiosk, not from the visitor.) The conversation has to end soon, unless the visitor "
    "wants more time. Tell the visitor so in one short sentence, in the language that you speak with them. "
    "Say that they can {ways}. Do not say goodbye yet."
)
"""The notice of an end that the visitor can put off."""

BY_WORD: Final = " If they ask for more time, call more_time."

_CAMERA_MODES: Final = {
    "conversation": CameraMode.CONVERSATION,
    "speech": CameraMode.SPEECH,
    "request": CameraMode.NEVER,
}


def uplink_mode(settings: Settings) -> UplinkMode:
    """Return the condition that opens the uplink."""
    if any(button.does == "hold" for button in settings.controls.all_buttons):
        return UplinkMode.HELD
    conversation = settings.conversation
    only_speech = conversation.uplink == "voice" or conversation.turn_taking == "local"
    return UplinkMode.VOICE if only_speech else UplinkMode.ALWAYS


LEAD_MS: Final = 600
"""Milliseconds from the beginning of a voice to its detection: some 200, and 400 for a soft word."""


def lead_ms(settings: Settings) -> int:
    """Return the milliseconds of sound from before the uplink opens that are sent during a conversation."""
    preroll_ms = settings.microphone.preroll_ms
    return max(preroll_ms, LEAD_MS) if uplink_mode(settings) is UplinkMode.VOICE else preroll_ms


def own_turns(settings: Settings) -> bool:
    """Return whether the kiosk, not the service, decides when the visitor's turn begins and ends."""
    return uplink_mode(settings) is UplinkMode.HELD or settings.conversation.turn_taking == "local"


SLOW_MS: Final = 1500
NORMAL_MS: Final = 600


def pause_ms(settings: Settings, profile: str = DEFAULT_PROFILE) -> int:
    """Return the milliseconds of silence that end the visitor's words in the kiosk's own voice detection."""
    pace = pace_of(settings, profile)
    return settings.conversation.silence_ms or (SLOW_MS if pace == "slow" else NORMAL_MS)


def pace_of(settings: Settings, profile: str = DEFAULT_PROFILE) -> Pace:
    """Return the pace of the visitors who have this profile."""
    own = settings.assistant.profiles.get(profile)
    return (own and own.pace) or settings.conversation.pace


def session_of(settings: Settings) -> str:
    """Return a text that changes with model or service. A resumption handle belongs to one such text."""
    service = settings.service
    return f"{service.provider} {service.endpoint} {service.project} {service.location} {service.model}"
