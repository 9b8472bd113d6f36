"""Translation of the owner's settings for the core, and the settings that a running daemon can change."""

from dataclasses import replace
from typing import Any

import pytest

from kioskd import app
from kioskd.app import policy
from kioskd.core.policy import CameraMode, Policy, UplinkMode
from kioskd.flow.storage.budget import Notices
from kioskd.settings.buttons_lamps import ButtonSettings, ControlsSettings
from kioskd.settings.camera import CameraSettings
from kioskd.settings.conversation import AssistantSettings, ConversationSettings
from kioskd.settings.limits import LimitsSettings
from kioskd.settings.model import Settings
from kioskd.settings.service import ServiceSettings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings


def test_the_defaults_of_the_settings_are_those_of_the_core_and_a_warning() -> None:
    assert app.core_policy(Settings()) == Policy(warn_s=60.0)


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        (
            Settings(microphone=MicrophoneSettings(echo="hardware")),
            {"half_duplex": False, "barge_in": True},
        ),
        (
            Settings(
                microphone=MicrophoneSettings(echo="cancel"),
                conversation=ConversationSettings(interruptions="ignored"),
            ),
            {"half_duplex": False},
        ),
        (Settings(conversation=ConversationSettings(uplink="voice")), {"uplink_mode": UplinkMode.VOICE}),
        (Settings(conversation=ConversationSettings(turn_taking="local")), {"uplink_mode": UplinkMode.VOICE}),
        (
            Settings(
                controls=ControlsSettings(
                    button=ButtonSettings(source="gpio:c/1"),
                    buttons=(ButtonSettings(source="gpio:c/2", does="hold"),),
                )
            ),
            {"uplink_mode": UplinkMode.HELD, "wake_buttons": frozenset({"gpio:c/1", "gpio:c/2"})},
        ),
        (
            Settings(
                controls=ControlsSettings(
                    button=ButtonSettings(source="gpio:c/1", does="mute"),
                    buttons=(ButtonSettings(source="gpio:c/2", does="hush", double="wake"),),
                )
            ),
            {"wake_buttons": frozenset({"gpio:c/2"})},
        ),
        (
            Settings(
                controls=ControlsSettings(button=ButtonSettings(source="gpio:c/1")),
                conversation=ConversationSettings(wake=("button", "voice")),
            ),
            {},
        ),
        (Settings(camera=CameraSettings(source="picamera")), {}),
        (
            Settings(camera=CameraSettings(source="picamera", when="conversation")),
            {"camera": CameraMode.CONVERSATION},
        ),
        (Settings(camera=CameraSettings(source="v4l2:X", when="speech")), {"camera": CameraMode.SPEECH}),
        (Settings(camera=CameraSettings(when="speech")), {}),
        (Settings(conversation=ConversationSettings(follow_up_s=0.0)), {"follow_up_s": 0.0}),
        (Settings(assistant=AssistantSettings(greeting="Say hello.")), {"greeting": True}),
        (Settings(conversation=ConversationSettings(wake=("start",))), {"always_on": True}),
        (Settings(conversation=ConversationSettings(wake=("button", "start"))), {"always_on": True}),
        (
            Settings(conversation=ConversationSettings(idle_s=7.0)),
            {"idle_s": 7.0, "follow_up_s": 7.0},
        ),
        (Settings(conversation=ConversationSettings(longest_s=77.0)), {"longest_s": 77.0}),
        (Settings(conversation=ConversationSettings(think_s=5.0)), {"think_s": 5.0}),
        (Settings(service=ServiceSettings(renew_s=60.0)), {"age_s": 60.0}),
    ],
)
def test_each_setting_changes_its_rule_and_no_other(settings: Settings, changed: dict[str, Any]) -> None:
    made, default = app.core_policy(settings), Policy(warn_s=60.0)

    assert {name: getattr(made, name) for name in Policy.__slots__} == {
        name: changed.get(name, getattr(default, name)) for name in Policy.__slots__
    }


LOCAL = ConversationSettings(turn_taking="local", silence_ms=900, idle_s=30.0)
HOLD = ControlsSettings(button=ButtonSettings(source="gpio:c/1", does="hold"))


def test_a_setting_that_needs_a_restart_keeps_its_old_value_everywhere() -> None:
    started = Settings()
    new = Settings(
        conversation=LOCAL, controls=HOLD, assistant=AssistantSettings(voice="Puck", language=("de-DE",)),
        microphone=MicrophoneSettings(echo="hardware"), speaker=SpeakerSettings(volume=30, volume_floor=10),
    )  # fmt: skip
    going, later = app.take_over(new, started)
    assert later == (
        "assistant.language",
        "conversation.turn_taking",
        "conversation.silence_ms",
        "microphone.echo",
        "speaker.volume_floor",
        "controls.button",
    )
    assert app.core_policy(going) == replace(app.core_policy(started), idle_s=30.0, follow_up_s=30.0)
    assert (going.assistant.voice, going.assistant.language) == ("Puck", ("en-US",))
    assert (going.speaker.volume, going.speaker.volume_floor) == (30, started.speaker.volume_floor)
    assert app.own_turns(new)
    assert not app.own_turns(going)


def test_changed_tools_need_a_restart_and_are_named_as_a_whole() -> None:
    new = Settings.model_validate({"tools": ({"kind": "builtin"},)})
    assert app.take_over(new, Settings()) == (Settings(), ("tools",))


@pytest.mark.parametrize(
    "new",
    [
        Settings(speaker=SpeakerSettings(volume=30)),
        Settings(assistant=AssistantSettings(voice="Puck", instructions="Speak in verse.")),
        Settings(conversation=ConversationSettings(idle_s=30.0, follow_up_s=5.0, search=True)),
        Settings(limits=LimitsSettings(minutes_per_day=8)),
    ],
)
def test_a_setting_that_needs_no_restart_changes_at_once(new: Settings) -> None:
    assert app.take_over(new, Settings()) == (new, ())


def test_every_section_lists_its_settings_that_need_a_restart() -> None:
    assert set(Settings.model_fields) - set(app.AT_START) == {"service", "limits"}
    for section, names in app.AT_START.items():
        assert names is None or names < set(type(getattr(Settings(), section)).model_fields)


PACED = Settings.model_validate(
    {
        "conversation": {"extensions": {"most": 2, "by_s": 100}},
        "assistant": {"profiles": {"slow": {"pace": "slow"}, "kids": {"voice": "Leda"}}},
        "controls": {"button": {"source": "gpio:c/1"}},
        "tools": ({"kind": "builtin"},),
    }
)


def test_extensions_and_slow_profiles_reach_the_core() -> None:
    assert app.core_policy(PACED) == Policy(
        wake_buttons=frozenset({"gpio:c/1"}),
        warn_s=60.0,
        idle_warn_s=5.0,
        extensions=2,
        extension_s=100.0,
        stretch={"slow": 2.5},
    )


def test_a_slow_pace_stretches_the_times_of_all_profiles_that_have_no_other() -> None:
    slow = PACED.model_copy(update={"conversation": ConversationSettings(pace="slow")})
    assert app.core_policy(slow).stretch == {"default": 2.5, "slow": 2.5, "kids": 2.5}
    assert policy.budget(slow).warn_s == 150.0
    assert (policy.pause_ms(slow), policy.pause_ms(PACED)) == (1500, 600)
    assert policy.pause_ms(PACED, "slow") == 1500


def test_the_notice_names_the_ways_to_more_time() -> None:
    both = policy.notices(PACED)
    assert "press the button or ask you for it" in both.extendable
    assert "call more_time" in both.extendable
    assert (both.final, both.extensions) == (PACED.limits.notice, 2)
    by_button = policy.notices(PACED.model_copy(update={"tools": ()}))
    assert "they can press the button." in by_button.extendable
    assert "more_time" not in by_button.extendable
    assert policy.notices(Settings()) == Notices(Settings().limits.notice)
