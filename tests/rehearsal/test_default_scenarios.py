"""The scenarios of a rehearsal without --scenario."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kioskd.rehearsal.default_scenarios import demo
from kioskd.rehearsal.run import rehearse
from kioskd.settings.model import Settings


def settings(*does: str, **sections: Any) -> Settings:
    """Return the settings of a kiosk with buttons for these actions."""
    buttons = tuple({"source": f"gpio:pi/{number}", "does": deed} for number, deed in enumerate(does, 1))
    return Settings.model_validate({"controls": {"buttons": buttons}, **sections})


def touched(kiosk: Settings) -> list[str]:
    """Return the visitor's acts with buttons and commands, in order."""
    deeds = (step.model_dump(exclude_unset=True) for step in demo(kiosk).visitor)
    return [
        f"{name} {value}"
        for deed in deeds
        for name, value in deed.items()
        if name in ("press", "hold", "release", "command")
    ]


@pytest.mark.parametrize(
    ("does", "wakes"),
    [
        ((), ["press 1"]),
        (("toggle",), ["press 1"]),
        (("mute", "look", "wake", "toggle"), ["press 3"]),
        (("mute", "end"), ["command wake"]),
        (("end", "hold"), 3 * ["hold 2", "release 2"]),
    ],
)
def test_the_visitor_uses_the_button_that_the_kiosk_has(does: tuple[str, ...], wakes: list[str]) -> None:
    assert touched(settings(*does)) == wakes


@pytest.mark.parametrize(
    ("conversation", "at_once"), [({}, True), ({"uplink": "voice"}, False), ({"turn_taking": "local"}, False)]
)
def test_sound_at_the_wake_is_expected_only_if_silence_is_sent(
    conversation: dict[str, Any], *, at_once: bool
) -> None:
    expected = {one.what for one in demo(settings("toggle", conversation=conversation)).expect}
    assert ("wake_to_uplink_ms" in expected) is at_once


@pytest.mark.parametrize(
    "own",
    [
        settings("end", "hold", conversation={"follow_up_s": 60}, assistant={"greeting": "Say hello."}),
        settings(
            "mute",
            conversation={"wake": ("voice",), "follow_up_s": 60, "interruptions": "ignored"},
            microphone={"echo": "cancel", "noise_suppression": False, "gain_control": True},
            limits={"quiet_hours": ("11:00-13:00",)},
        ),
    ],
    ids=["held", "no button wakes"],
)
async def test_the_demo_passes_with_other_settings_too(tmp_path: Path, own: Settings) -> None:
    scenario = await asyncio.to_thread(demo, own)
    summary = (await rehearse(own, scenario, tmp_path / "report")).summary
    assert [one.text for one in summary.expectations if not one.met] == []
    assert summary.turns == 3
