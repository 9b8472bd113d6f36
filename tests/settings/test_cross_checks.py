"""Checks of settings that depend on other sections."""

from pathlib import Path

import pytest

from kioskd.settings.cross_checks import joint_faults
from kioskd.settings.load import SettingsError, load, load_to_run, notes
from kioskd.settings.model import Settings

KEY = {"GEMINI_API_KEY": "a-key-of-the-service"}
DOOR = "tools: [{kind: command, name: door, description: d, argv: [/bin/true], confirm: button}]\n"


def faults_of(file: Path, text: str) -> list[str]:
    """Return each fault of a start as LINE:COLUMN key: what."""
    file.write_text(text, encoding="utf-8")
    try:
        load_to_run(file, KEY)
    except SettingsError as error:
        return [f"{fault.line}:{fault.column} {fault.key}: {fault.what}" for fault in error.faults]
    return []


def button(does: str) -> str:
    return f"controls: {{button: {{source: gpio:pi/17, {does}}}}}\n"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (
            "controls: {buttons: [{source: gpio:pi/17}, {source: gpio:pi/17, does: mute}]}\n",
            ["1:53 controls.buttons.source: gpio:pi/17 is already used by controls.buttons.0"],
        ),
        (
            (
                "controls:\n  button: {source: evdev:Pedal/KEY_A}\n"
                "  buttons: [{source: evdev:Pedal/KEY_A, does: end}]\n"
            ),
            ["3:22 controls.buttons.source: evdev:Pedal/KEY_A is already used by controls.button"],
        ),
        (
            "controls:\n  button: {source: gpio:pi/6}\n  lamp: {source: 'rgb:pi/5,6,13'}\n",
            ["3:18 controls.lamp.source: gpio:pi/6 is already used by controls.button"],
        ),
        (
            "controls:\n  button: {source: gpio:pi/6}\n  lamps: [{source: led:ACT}, {source: led:ACT}]\n",
            ["3:39 controls.lamps.source: led:ACT is already used by controls.lamps.0"],
        ),
        (
            (
                "camera: {lamp: gpio:pi/6}\n"
                "controls: {button: {source: gpio:pi/6}, lamp: {source: 'rgb:pi/5,6,13'}}\n"
            ),
            [
                "2:29 controls.button.source: gpio:pi/6 is already used by camera.lamp",
                "2:56 controls.lamp.source: gpio:pi/6 is already used by camera.lamp",
            ],
        ),
    ],
)
def test_a_gpio_line_or_key_may_be_used_once(file: Path, text: str, places: list[str]) -> None:
    found = faults_of(file, text)
    assert [fault.partition(";")[0] for fault in found] == places


def test_lines_of_different_chips_and_lamps_of_all_kinds_fit_together(file: Path) -> None:
    text = """\
controls:
  buttons: [{source: gpio:pi/1}, {source: gpio:gpiochip4/1}, {source: evdev:A/KEY_A}, {source: evdev:B/KEY_A}]
  lamps: [{source: gpio:pi/2}, {source: "rgb:pi/3,4,5"}, {source: pwm:pi/1}, {command: [/bin/true]},
          {command: [/bin/true]}]
"""
    assert faults_of(file, text) == []


@pytest.mark.parametrize("does", ["does: toggle", "does: hold", "does: wake", "does: mute, double: toggle"])
def test_a_tool_can_ask_for_a_press(file: Path, does: str) -> None:
    assert faults_of(file, button(does).replace("}}", "}, lamp: {source: gpio:pi/25}}") + DOOR) == []


@pytest.mark.parametrize("controls", ["", button("does: mute"), button("does: hush, double: end")])
def test_a_tool_cannot_ask_for_a_press_without_a_button_that_confirms(file: Path, controls: str) -> None:
    (fault,) = faults_of(file, DOOR + "conversation: {wake: [start]}\n" + controls)
    assert fault.startswith("1:81 tools.confirm: needs a button that can confirm")


def test_a_tool_cannot_ask_for_a_press_without_a_lamp(file: Path) -> None:
    (fault,) = faults_of(file, DOOR + button("does: toggle"))
    assert fault.startswith("1:81 tools.confirm: needs a lamp, which asks the visitor")


def test_a_rehearsal_has_its_own_button(file: Path) -> None:
    file.write_text(DOOR, encoding="utf-8")
    assert isinstance(load(file), Settings)


@pytest.mark.parametrize(("does", "key"), [("does: look", "does"), ("does: toggle, double: look", "double")])
def test_a_button_cannot_look_without_a_camera(file: Path, does: str, key: str) -> None:
    text = "conversation: {wake: [start]}\n" + button(does)
    (fault,) = faults_of(file, text)
    assert f" controls.button.{key}: look needs a camera" in fault
    assert faults_of(file, text + "camera: {source: picamera}\n") == []


def test_a_button_that_cannot_look_does_not_wake_the_kiosk(file: Path) -> None:
    text = "conversation: {wake: [button]}\n" + button("does: look")
    assert [fault.split(": ")[0] for fault in faults_of(file, text)] == [
        "1:22 conversation.wake",
        "2:47 controls.button.does",
    ]


def test_allowed_interruptions_are_rejected_with_half_duplex(file: Path) -> None:
    text = "conversation: {wake: [start], interruptions: allowed}\n"
    (fault,) = faults_of(file, text)
    assert fault.startswith("1:46 conversation.interruptions: has no effect")
    assert faults_of(file, text + "microphone: {echo: hardware}\n") == []


@pytest.mark.parametrize("call", ["voice", "wakeword"])
def test_wake_by_voice_is_rejected_with_a_talk_button_and_no_greeting(file: Path, call: str) -> None:
    text = f"conversation: {{wake: [{call}]}}\n" + button("does: hold")
    (fault,) = faults_of(file, text)
    assert fault.startswith(f"1:22 conversation.wake: {call} is useless")
    assert faults_of(file, text + "assistant: {greeting: Say that one has to hold the button.}\n") == []


def test_scheduling_is_rejected_for_a_model_that_waits_for_every_tool() -> None:
    service = {"model": "gemini-3.1-flash-live-preview"}
    tools = ({"kind": "builtin", "scheduling": "silent"},)
    settings = Settings.model_validate({"service": service, "tools": tools})
    assert [where for where, what in joint_faults(settings) if "waits for every tool" in what] == [
        ("tools", 0, "scheduling")
    ]


@pytest.mark.parametrize(
    ("model", "option", "words"),
    [
        (
            "gemini-3.8-live-extended-thinking",
            "blocking: true",
            "is not possible: gemini-3.8-live-extended-thinking never",
        ),
    ],
)
def test_blocking_is_rejected_for_a_model_that_does_not_support_it(
    file: Path, model: str, option: str, words: str
) -> None:
    text = f"conversation: {{wake: [start]}}\ntools: [{{kind: builtin, {option}}}]\n"
    (fault,) = faults_of(file, f"{text}service: {{model: {model}}}\n")
    assert f" tools.{option.partition(':')[0]}: {words}" in fault
    assert fault.startswith("2:")
    assert faults_of(file, text) == []


@pytest.mark.parametrize(
    ("more", "noted"),
    [
        ("", True),
        ("tools: [{kind: builtin, look: false}]\n", True),
        ("tools: [{kind: builtin}]\n", False),
        (button("double: look"), False),
    ],
)
def test_a_camera_without_a_way_to_ask_for_a_picture_is_noted(file: Path, more: str, noted: bool) -> None:
    file.write_text("camera: {source: picamera}\n" + more, encoding="utf-8")
    said = notes(load(file), KEY)
    assert [note.split(":")[0] for note in said] == ["camera.when"] * noted


PROFILED = "assistant: {profiles: {easy: {pace: slow}}}\n"


@pytest.mark.parametrize("does", ["does: toggle", "does: wake", "does: mute, double: wake"])
@pytest.mark.parametrize("profile", ["easy", "default"])
def test_a_button_can_choose_a_profile(file: Path, does: str, profile: str) -> None:
    text = PROFILED + button(f"{does}, profile: {profile}")
    assert faults_of(file, text + "conversation: {wake: [start]}\n") == []


def test_a_button_can_choose_only_a_profile_of_the_settings(file: Path) -> None:
    (fault,) = faults_of(file, PROFILED + button("does: wake, profile: eesy"))
    what = "eesy is no profile; write one of default, easy, or add it to assistant.profiles"
    assert fault == f"2:62 controls.button.profile: {what}"


def test_a_button_that_wakes_nobody_chooses_no_profile(file: Path) -> None:
    (fault,) = faults_of(file, PROFILED + button("does: end, profile: easy"))
    assert "controls.button.profile: has no effect: it is for toggle and wake" in fault


EXTENDED = "conversation: {wake: [start], extensions: {most: 3}}\n"


@pytest.mark.parametrize("way", [button("does: toggle"), button("does: wake"), "tools: [{kind: builtin}]\n"])
def test_a_button_or_the_model_can_give_more_time(file: Path, way: str) -> None:
    assert faults_of(file, EXTENDED + way) == []


@pytest.mark.parametrize(
    "way", [button("does: end"), button("does: hold"), "tools: [{kind: builtin, more_time: false}]\n"]
)
def test_extensions_that_nobody_can_ask_for_are_rejected(file: Path, way: str) -> None:
    (fault,) = faults_of(file, EXTENDED + way)
    assert "conversation.extensions: has no effect: nobody can ask for more time" in fault


def test_a_pace_stretches_times_also_with_a_talk_button(file: Path) -> None:
    assert faults_of(file, button("does: hold") + "conversation: {pace: slow}\n") == []
