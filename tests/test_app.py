"""The composition root: what the settings mean, and who is imported for them."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakes_devices import ManualClock

from kioskd import app
from kioskd.core.policy import CameraMode, Policy, UplinkMode
from kioskd.errors import ConfigError
from kioskd.settings.buttons_lamps import ButtonSettings, ControlsSettings
from kioskd.settings.camera import CameraSettings
from kioskd.settings.conversation import AssistantSettings, ConversationSettings
from kioskd.settings.limits import LimitsSettings
from kioskd.settings.model import Settings
from kioskd.settings.service import ServiceSettings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings
from kioskd.simulator import Reply, ServiceScript, Simulator
from kioskd.tools.contract import Declaration

SOURCE = Path(app.__file__).parents[1]


def test_the_defaults_of_the_settings_are_the_defaults_of_the_core() -> None:
    assert app.core_policy(Settings()) == Policy()


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
        (Settings(conversation=ConversationSettings(uplink="voice")), {"talk": UplinkMode.VOICE}),
        (Settings(conversation=ConversationSettings(turn_taking="local")), {"talk": UplinkMode.VOICE}),
        (
            Settings(
                controls=ControlsSettings(
                    button=ButtonSettings(source="gpio:c/1"),
                    buttons=(ButtonSettings(source="gpio:c/2", does="hold"),),
                )
            ),
            {"talk": UplinkMode.HELD, "wake_buttons": frozenset({"gpio:c/1", "gpio:c/2"})},
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
            {"eyes": CameraMode.CONVERSATION},
        ),
        (Settings(camera=CameraSettings(source="v4l2:X", when="speech")), {"eyes": CameraMode.SPEECH}),
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
    policy, default = app.core_policy(settings), Policy()

    assert {name: getattr(policy, name) for name in Policy.__slots__} == {
        name: changed.get(name, getattr(default, name)) for name in Policy.__slots__
    }


LOCAL = ConversationSettings(turn_taking="local", silence_ms=900, idle_s=30.0)
HOLD = ControlsSettings(button=ButtonSettings(source="gpio:c/1", does="hold"))


def test_what_only_a_restart_can_change_stays_as_it_was_in_all_places() -> None:
    started = Settings()
    new = Settings(
        conversation=LOCAL, controls=HOLD, assistant=AssistantSettings(voice="Puck", language="de-DE"),
        microphone=MicrophoneSettings(echo="hardware"), speaker=SpeakerSettings(volume=30, volume_floor=10),
    )  # fmt: skip
    going, later = app.renewed(new, started)
    assert later == (
        "assistant.language",
        "conversation.turn_taking",
        "conversation.silence_ms",
        "microphone.echo",
        "speaker.volume_floor",
        "controls.button",
    )
    assert app.core_policy(going) == replace(app.core_policy(started), idle_s=30.0, follow_up_s=30.0)
    assert (going.assistant.voice, going.assistant.language) == ("Puck", "en-US")
    assert (going.speaker.volume, going.speaker.volume_floor) == (30, started.speaker.volume_floor)
    assert app.own_turns(new)
    assert not app.own_turns(going)


def test_tools_that_only_a_restart_can_change_are_named_as_a_whole() -> None:
    new = Settings.model_validate({"tools": ({"kind": "builtin"},)})
    assert app.renewed(new, Settings()) == (Settings(), ("tools",))


@pytest.mark.parametrize(
    "new",
    [
        Settings(speaker=SpeakerSettings(volume=30)),
        Settings(assistant=AssistantSettings(voice="Puck", instructions="Speak in verse.")),
        Settings(conversation=ConversationSettings(idle_s=30.0, follow_up_s=5.0, search=True)),
        Settings(limits=LimitsSettings(minutes_per_day=8)),
    ],
)
def test_what_can_be_changed_at_once_is_and_nothing_is_named(new: Settings) -> None:
    assert app.renewed(new, Settings()) == (new, ())


def test_all_sections_say_what_of_them_is_looked_at_once() -> None:
    assert set(Settings.model_fields) - set(app.AT_START) == {"service", "limits"}
    for section, names in app.AT_START.items():
        assert names is None or names < set(type(getattr(Settings(), section)).model_fields)


def test_without_a_key_there_are_no_parts() -> None:
    with pytest.raises(ConfigError, match="GEMINI_API_KEY"):
        app.real_parts(Settings(), {})


def test_no_vendor_library_is_imported_before_somebody_is_configured_to_need_it() -> None:
    vendors = ("pyaudio", "google.genai", "gpiod", "systemd", "picamera2")
    asked = f"import sys, kioskd.app; print([v for v in {vendors} if v in sys.modules])"

    answer = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=SOURCE, timeout=240
    )

    assert answer.stdout == "[]\n"


async def test_what_is_known_of_a_refused_tool_outlives_a_reload() -> None:
    offered = [Declaration(name, "Does it.", {"type": "object"}) for name in ("tell_time", "open_door")]
    script = ServiceScript(replies=(Reply(silent=True),), refused_functions=("open_door",))
    async with asyncio.timeout(60), Simulator(script) as simulator:
        service = {"endpoint": simulator.endpoint, "ca_file": str(simulator.ca_file)}
        settings, tools = (
            Settings.model_validate({"service": service}),
            app.ToolSet(Settings(), {}, ManualClock()),
        )
        dials = []
        for _ in range(3):  # as at the start, and at each reload
            async with app.live(settings, simulator.key, lambda: offered, tools.trial).connect(None):
                dials.append(len(simulator.connections))
    assert dials[1:] == [dials[0] + 1, dials[0] + 2]
    assert [one["name"] for one in tools.left_out] == ["open_door"]
