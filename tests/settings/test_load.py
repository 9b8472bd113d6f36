from pathlib import Path

import pytest
from tests.support.settings_files import faults_of, settings_of

from kioskd.settings.buttons_lamps import ButtonSettings, ControlsSettings
from kioskd.settings.load import (
    LARGEST_BYTES,
    SettingsError,
    default_path,
    load,
    load_to_run,
    notes,
    read,
    startup_faults,
)
from kioskd.settings.model import Settings

GOOGLE_KEY = "AIza" + "SyD3adB33fD3adB33fD3adB33fD3adB33f0"


BAD = f"""\
servce: {{model: x}}
service:
  provider: openai
  api_key: {GOOGLE_KEY}
  model:
  api_version: latest
  endpoint: http://gateway.example
  token_url: http://tokens.example
  idle_s: 3
  key_file: 7
assistant:
  voice: kore
  language: no
  greeting: ""
  instructions: Call {GOOGLE_KEY} on the phone
conversation:
  wake: [buton, voice, button]
  idle: 20
  idle_s: "20"
  idle_s: 20
  longest_s: .inf
  think_s: 500
  turn_taking: local
  uplink: [continuous]
microphone: default
speaker:
  volume: 101
  cues: on
  devise: default
camera:
  source: webcam
  every_s: 0.5
  size: 768.5
controls:
  button: {{does: toggle}}
  lamp: {{source: "gpio:gpiochip0/x"}}
limits: {{quiet_hours: [22:00-07:00, 25:00-07:00], tokens_per_day: -1}}
privacy: {{transcripts: true}}
tools: {{}}
? [a, b]
: 3
"""

EXPECTED = [
    (1, 1, "servce", "did you mean service?"),
    (3, 13, "service.provider", "openai is not one of the choices; write one of gemini, vertex"),
    (4, 3, "service.api_key", "store it with `sudo kioskd key`"),
    (5, 3, "service.model", "is empty"),
    (6, 16, "service.api_version", "latest is not a version"),
    (7, 13, "service.endpoint", "must begin with https://"),
    (8, 14, "service.token_url", "must begin with https://"),
    (9, 3, "service.idle_s", "idle_s belongs under conversation"),
    (10, 13, "service.key_file", "7 is not a path"),
    (12, 10, "assistant.voice", "did you mean Kore?"),
    (13, 13, "assistant.language", "en-US, de-DE or no-NO"),
    (14, 13, "assistant.greeting", "is empty"),
    (15, 17, "assistant.instructions", "looks like a service key"),
    (17, 10, "conversation.wake", "did you mean button?"),
    (18, 3, "conversation.idle", "did you mean idle_s?"),
    (19, 11, "conversation.idle_s", "'20' is not a number; write 20, without quotes"),
    (20, 3, "conversation.idle_s", "a second time here, and first at 19:3"),
    (21, 14, "conversation.longest_s", "inf is not a finite number"),
    (22, 12, "conversation.think_s", "500 is above 120"),
    (24, 11, "conversation.uplink", "write one of continuous, voice"),
    (25, 13, "microphone", "write NAME: VALUE lines below it"),
    (27, 11, "speaker.volume", "101 is above 100 (it is a percentage); write 0 to 100"),
    (
        28,
        9,
        "speaker.cues",
        "on is not a list of chimes; write true, false, or a list of wake, end, mute, error",
    ),
    (29, 3, "speaker.devise", "did you mean device?"),
    (31, 11, "camera.source", "webcam is no camera: none has that name; use off, picamera, v4l2:NAME"),
    (32, 12, "camera.every_s", "0.5 is below 1 (the service looks at one picture a second at most)"),
    (33, 9, "camera.size", "768.5 is not a whole number"),
    (35, 3, "controls.button.source", "is missing"),
    (36, 18, "controls.lamp.source", "names no lamp"),
    (37, 37, "limits.quiet_hours", "is not a span of time"),
    (37, 67, "limits.tokens_per_day", "-1 is below 0"),
    (38, 24, "privacy.transcripts", "true does not say where to store, for how long, and how much"),
    (39, 1, "tools", "is not a list"),
    (40, 3, "(a group)", "is not the name of a setting"),
]


def test_every_fault_is_named_at_once_with_its_place_in_the_order_of_the_file(file: Path) -> None:
    found = faults_of(file, BAD)
    assert [fault[:3] for fault in found] == [expected[:3] for expected in EXPECTED]
    for fault, expected in zip(found, EXPECTED, strict=True):
        assert expected[3] in fault[3]


def test_a_fault_prints_as_place_key_and_text_on_one_line(file: Path) -> None:
    file.write_text("speaker:\n  volume: 101\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value) == (
        f"{file}:2:11 speaker.volume: 101 is above 100 (it is a percentage); write 0 to 100"
    )


def test_bytes_that_are_not_utf_8_are_pointed_at(file: Path) -> None:
    file.write_bytes("assistant:\n  greeting: Grüß Gott\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"kioskd\.yaml:2:15: the file is not in UTF-8"):
        load(file)


@pytest.mark.parametrize(
    ("name", "words"),
    [("nowhere.yaml", "there is no such file"), (".", "cannot be read"), ("x" * 300, "cannot be read")],
)
def test_a_file_that_cannot_be_read_is_a_fault_without_a_line(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {words}")


def test_a_file_that_is_too_large_is_not_read_whole(file: Path) -> None:
    file.write_bytes(b"#" * (LARGEST_BYTES + 1))
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        load(file)


@pytest.mark.parametrize("text", ["", "{}", "# nothing\n", "null", "---\n", "service:\nspeaker: {}\n"])
def test_unset_settings_have_their_defaults(file: Path, text: str) -> None:
    assert settings_of(file, text) == Settings()


def test_a_fault_of_a_list_item_points_at_the_beginning_of_the_item(file: Path) -> None:
    text = """\
        tools:
          - kind: http
            name: stock
            url: https://shop.example
          - name: door
        """
    assert [fault[:3] for fault in faults_of(file, text)] == [
        (2, 5, "tools.description"),
        (5, 5, "tools"),
    ]


def test_relative_paths_of_devices_start_at_the_folder_of_the_file(file: Path) -> None:
    settings = settings_of(
        file,
        """
        camera: {source: "folder:views"}
        controls: {lamp: {command: [./show, ./state]}, lamps: [{command: [show]}, {command: [/bin/show]}]}
        """,
    )
    assert settings.camera.source == f"folder:{file.parent / 'views'}"
    assert [lamp.command for lamp in settings.controls.all_lamps] == [
        (str(file.parent / "show"), "./state"),
        ("show",),
        ("/bin/show",),
    ]


def test_a_missing_folder_is_a_note_and_does_not_stop_a_start(file: Path) -> None:
    text = "camera: {source: 'folder:views', when: speech}\nspeaker: {prompts_folder: words}\n"
    settings = settings_of(file, text)
    key = {"GEMINI_API_KEY": "a-key-of-the-service"}
    said = notes(settings, key)
    assert [note.split(" ")[0] for note in said] == ["speaker.prompts_folder:", "camera.source:"]
    for folder in ("views", "words"):
        (file.parent / folder).mkdir()
        assert any(str(file.parent / folder) in note for note in said)
    assert notes(settings, key) == []


def test_a_lamp_is_dim_at_night(file: Path) -> None:
    night = 'night: {from: "22:00", to: "07:30", brightness: 0}'
    lamp = settings_of(file, f"controls: {{lamp: {{source: led:ACT, {night}}}}}").controls.lamp
    assert lamp is not None
    assert lamp.night is not None
    assert (lamp.night.from_, lamp.night.to, lamp.night.brightness) == ("22:00", "07:30", 0)


@pytest.mark.parametrize(("day", "night"), [(100, 10), (10, 10), (5, 5)])
def test_a_lamp_is_never_brighter_at_night(file: Path, day: int, night: int) -> None:
    hours = 'night: {from: "22:00", to: "07:30"}'
    lamp = settings_of(
        file, f"controls: {{lamp: {{source: led:ACT, brightness: {day}, {hours}}}}}"
    ).controls.lamp
    assert lamp is not None
    assert lamp.night is not None
    assert lamp.night.brightness == night


def test_microphone_camera_and_button_settings_are_read(file: Path) -> None:
    settings = settings_of(
        file,
        """
        service: {media_resolution: low}
        assistant: {pictures: [map.jpg]}
        conversation:
          {wake: [wakeword, remote], wakeword: hey_jarvis, turn_taking: local, pace: slow, follow_up_s: 0}
        microphone: {channel: 2, echo: cancel}
        speaker: {volume_floor: 0, volume_ceiling: 50, prompts: true, prompts_folder: words}
        camera:
          {source: "v4l2:HD Webcam", when: speech, every_s: 1, size: 512, quality: 90, rotate: 270,
           mirror: true, min_change: 0.1, refresh_s: 60, lamp: "gpio:pi/24"}
        controls:
          button: {source: gpio:pi/17, does: hush, double: look, mute_s: 0, restart_s: 0, pull: none,
                   active: high, debounce_ms: 5}
          buttons: [{source: "evdev:Foot Pedal/KEY_SPACE", does: mute}]
          lamp: {source: "rgb:pi/5,6,13", active: low}
          lamps: [{command: [/bin/show, --state]}, {source: pwm:pwmchip0/1, brightness: 40}]
        """,
    )
    assert settings.assistant.pictures == (file.parent / "map.jpg",)
    assert settings.speaker.prompts_folder == file.parent / "words"
    assert [button.source for button in settings.controls.all_buttons] == [
        "gpio:pi/17",
        "evdev:Foot Pedal/KEY_SPACE",
    ]
    assert [lamp.command or lamp.source for lamp in settings.controls.all_lamps] == [
        "rgb:pi/5,6,13",
        ("/bin/show", "--state"),
        "pwm:pwmchip0/1",
    ]
    assert (settings.camera.rotate, settings.camera.mirror, settings.camera.lamp) == (270, True, "gpio:pi/24")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (
            "conversation:\n  turn_taking: local\n  uplink: continuous\n",
            (3, 11, "conversation.uplink"),
            "with turn_taking: local only speech is sent; remove this",
        ),
        (
            "controls:\n  button:\n    source: evdev:Pedal/KEY_A\n    pull: up\n",
            (4, 11, "controls.button.pull"),
            "it is for gpio lines, and this is an input device; remove it",
        ),
        (
            "controls:\n  buttons:\n    - source: evdev:Pedal/KEY_A\n      debounce_ms: 5\n",
            (4, 20, "controls.buttons.debounce_ms"),
            "has no effect",
        ),
        (
            "speaker:\n  volume_floor: 60\n  volume_ceiling: 50\n",
            (3, 19, "speaker.volume_ceiling"),
            "50 is below volume_floor (60)",
        ),
        (
            "controls:\n  lamp:\n    active: low\n",
            (2, 3, "controls.lamp.command"),
            "is missing: a lamp needs a source or a command",
        ),
        (
            "controls:\n  lamp:\n    source: led:ACT\n    command: [show]\n",
            (4, 14, "controls.lamp.command"),
            "excludes source",
        ),
        (
            "controls:\n  lamp:\n    source: led:ACT\n    night: {from: 25:00, to: 07:00}\n",
            (4, 19, "controls.lamp.night.from"),
            "is not a time of day",
        ),
        (
            "controls:\n  lamp:\n    source: led:ACT\n    night: {to: 07:00}\n",
            (4, 5, "controls.lamp.night.from"),
            "is missing",
        ),
        (
            "controls:\n  lamp:\n    source: led:ACT\n    night: {from_: 22:00}\n",
            (4, 13, "controls.lamp.night.from_"),
            "did you mean from?",
        ),
        ("speaker: {cues: [wake, beep]}\n", (1, 24, "speaker.cues"), "beep is not one of the choices"),
        ("camera: {rotate: 45}\n", (1, 18, "camera.rotate"), "write one of 0, 90, 180, 270"),
        (
            (
                "controls:\n  lamp:\n    source: led:a\n    brightness: 5\n"
                "    night: {from: 22:00, to: 07:00, brightness: 6}\n"
            ),
            (5, 49, "controls.lamp.night.brightness"),
            "6 is above the lamp's brightness by day (5)",
        ),
        (
            "conversation: {wakeword: Hey Jarvis}\n",
            (1, 26, "conversation.wakeword"),
            "for example hey_jarvis",
        ),
    ],
)
def test_incompatible_or_unknown_values_are_rejected_at_their_place(
    file: Path, text: str, place: tuple[int, int, str], words: str
) -> None:
    found = faults_of(file, text)
    assert place in [fault[:3] for fault in found]
    assert any(words in fault[3] for fault in found)


@pytest.mark.parametrize("volume", ["20.0", "'20'", "true", "1e1", "0o", "2_0", "[20]"])
def test_only_whole_numbers_are_taken_for_whole_numbers(file: Path, volume: str) -> None:
    (fault,) = faults_of(file, f"speaker: {{volume: {volume}}}")
    assert fault[:3] == (1, 19, "speaker.volume")
    assert "is not a whole number" in fault[3]


def test_a_very_long_number_is_out_of_range(file: Path) -> None:
    (fault,) = faults_of(file, f"conversation: {{idle_s: {'9' * 5000}}}")
    assert fault[:3] == (1, 24, "conversation.idle_s")


def test_relative_paths_start_at_the_folder_of_the_file(file: Path) -> None:
    service = settings_of(file, "service: {key_file: keys/live, ca_file: /etc/ca.pem}").service
    assert service.key_file == file.parent / "keys" / "live"
    assert service.ca_file == Path("/etc/ca.pem")


def test_a_wait_longer_than_a_conversation_is_a_fault_also_with_the_default_limit(
    file: Path,
) -> None:
    (fault,) = faults_of(file, "conversation:\n  idle_s: 700\n")
    assert fault[:3] == (1, 1, "conversation.longest_s")
    assert "600 is below idle_s (700)" in fault[3]
    (fault,) = faults_of(file, "conversation:\n  idle_s: 20\n  longest_s: 10\n")
    assert fault[:3] == (3, 14, "conversation.longest_s")


def test_a_missing_button_is_a_fault_of_the_start_and_not_of_the_file(file: Path) -> None:
    file.write_text("speaker: {}\nconversation:\n  wake: [start, button]\n", encoding="utf-8")
    loaded = read(file)
    (fault,) = startup_faults(loaded, {})
    assert (fault.line, fault.column, fault.key) == (3, 9, "conversation.wake")
    assert "add controls.button.source" in fault.what
    assert startup_faults(loaded, {}) == (fault,)
    with pytest.raises(SettingsError, match=r"3:9 conversation\.wake: button cannot wake"):
        load_to_run(file, {})


@pytest.mark.parametrize("does", ["toggle", "hold", "wake", "look"])
def test_any_button_with_a_waking_action_is_enough(file: Path, does: str) -> None:
    buttons = f"[{{source: evdev:Pedal/KEY_B, does: mute}}, {{source: gpio:c/1, does: {does}}}]"
    file.write_text(f"controls: {{buttons: {buttons}}}\ncamera: {{source: picamera}}\n", encoding="utf-8")
    assert load_to_run(file, {}).controls.all_buttons[1].does == does


def test_buttons_without_a_waking_action_are_a_fault_of_the_start(file: Path) -> None:
    text = "conversation:\n  wake: [button]\ncontrols:\n  button: {source: gpio:c/1, does: hush%s}\n"
    file.write_text(text % "", encoding="utf-8")
    with pytest.raises(
        SettingsError, match=r"2:9 conversation\.wake: button cannot wake the kiosk: no button has"
    ):
        load_to_run(file, {})
    file.write_text(text % ", double: wake", encoding="utf-8")
    assert load_to_run(file, {}).controls.all_buttons[0].double == "wake"


@pytest.mark.parametrize(
    ("setting", "place", "words"),
    [
        ("turn_taking: local", (2, 16, "conversation.turn_taking"), "decides whose turn it is; remove this"),
        (
            "uplink: continuous",
            (2, 11, "conversation.uplink"),
            "only while the talk button is held; remove this",
        ),
    ],
)
def test_turn_detection_settings_are_rejected_with_a_talk_button(
    file: Path, setting: str, place: tuple[int, int, str], words: str
) -> None:
    text = "conversation:\n  %s\ncontrols:\n  button: {source: gpio:c/1, does: %s}\n"
    file.write_text(text % (setting, "hold"), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_to_run(file, {})
    (fault,) = caught.value.faults
    assert (fault.line, fault.column, fault.key) == place
    assert words in fault.what
    file.write_text(text % (setting, "toggle"), encoding="utf-8")
    assert isinstance(load_to_run(file, {}), Settings)


def test_a_kiosk_with_a_button_starts(file: Path) -> None:
    file.write_text("controls: {button: {source: gpio:gpiochip0/17}}", encoding="utf-8")
    button = ButtonSettings(source="gpio:gpiochip0/17")
    assert load_to_run(file, {}) == Settings(controls=ControlsSettings(button=button))


def test_missing_files_are_faults_of_the_settings_that_name_them(file: Path) -> None:
    file.write_text(
        "conversation: {wake: [start]}\nservice:\n  ca_file: no/ca.pem\n  key_file: no/key\n"
        "assistant: {pictures: [kioskd.yaml, map.jpg]}\n",
        encoding="utf-8",
    )
    with pytest.raises(SettingsError) as caught:
        load_to_run(file, {})
    assert [(fault.line, fault.column, fault.key) for fault in caught.value.faults] == [
        (3, 12, "service.ca_file"),
        (4, 13, "service.key_file"),
        (5, 37, "assistant.pictures"),
    ]
    assert "No such file" in caught.value.faults[0].what
    assert "the file is not there" in caught.value.faults[1].what


def test_an_invalid_key_in_the_environment_is_a_fault_of_the_start(file: Path) -> None:
    file.write_text("conversation: {wake: [start]}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="GEMINI_API_KEY: is empty") as caught:
        load_to_run(file, {"GEMINI_API_KEY": " "})
    assert caught.value.faults[0].key == "service.key_file"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (
            "service:\n  model: gemini-2.0-flash-live-001\n",
            (2, 10, "service.model"),
            "it was shut down on 2025-12-09; use gemini-3.8-live",
        ),
        (
            "service:\n  model: gemini-live-2.5-flash-native-audio\n",
            (2, 10, "service.model"),
            "gemini does not serve it; use gemini-3.8-live, or provider: vertex",
        ),
        (
            "assistant:\n  thinking: low\n",
            (2, 13, "assistant.thinking"),
            "gemini-3.8-live takes no word on its thinking; leave it out",
        ),
        (
            "service: {provider: vertex, project: p}\nassistant: {language: de-AT}\n",
            (2, 23, "assistant.language"),
            "vertex does not speak it; use de-DE",
        ),
        (
            "service: {api_version: v1, token_url: https://tokens.example}\n",
            (1, 24, "service.api_version"),
            "ephemeral tokens are taken by v1beta and v1alpha alone; leave it out",
        ),
        (
            "service:\n  provider: vertex\n  project:\n",
            (3, 3, "service.project"),
            "is missing: provider vertex needs a Google Cloud project",
        ),
        (
            "service:\n  provider: vertex\n",
            (1, 1, "service.project"),
            "is missing: provider vertex needs a Google Cloud project",
        ),
        (
            "service:\n  key_file: key\n  token_url: https://tokens.example\n",
            (2, 13, "service.key_file"),
            "with token_url the device holds no key",
        ),
        (
            "conversation:\n  compression_tokens: {trigger: 8000, target: 8000}\n",
            (2, 47, "conversation.compression_tokens.target"),
            "8000 is not below trigger (8000)",
        ),
    ],
)
def test_a_setting_that_the_service_would_reject_is_a_fault_at_its_place(
    file: Path, text: str, place: tuple[int, int, str], words: str
) -> None:
    (fault,) = faults_of(file, text)
    assert fault[:3] == place
    assert words in fault[3]


def test_all_settings_that_the_service_would_reject_are_named_at_once(file: Path) -> None:
    found = faults_of(
        file,
        """\
        assistant: {language: en-GB, thinking: high}
        service: {provider: vertex, project: p, api_version: v1beta}
        """,
    )
    assert [fault[2] for fault in found] == [
        "assistant.language",
        "assistant.thinking",
        "service.api_version",
    ]


def test_an_unknown_model_is_accepted_with_a_note(file: Path) -> None:
    settings = settings_of(file, "service: {model: gemini-9-live}")
    (note,) = notes(settings, {"GEMINI_API_KEY": "a-key"})
    assert note.startswith("service.model: this version does not know gemini-9-live")
    assert notes(Settings(), {"GEMINI_API_KEY": "a-key"}) == []


def test_a_missing_key_is_a_note_only_if_the_settings_need_one(file: Path) -> None:
    (note,) = notes(Settings(), {})
    assert "GEMINI_API_KEY" in note
    assert notes(settings_of(file, "service: {provider: vertex, project: p}"), {}) == []
    assert notes(settings_of(file, "service: {token_url: https://tokens.example}"), {}) == []


def test_a_missing_account_file_is_a_fault_of_the_start(file: Path) -> None:
    file.write_text(
        "conversation: {wake: [start]}\n"
        "service: {provider: vertex, project: p,\n  credentials_file: account.json}\n",
        encoding="utf-8",
    )
    with pytest.raises(SettingsError, match=r"3:21 service\.credentials_file: the file is not there"):
        load_to_run(file, {})


def test_the_option_comes_before_the_environment_and_the_default_path() -> None:
    assert default_path(Path("a.yaml"), {"KIOSKD_CONFIG": "b.yaml"}) == Path("a.yaml")
    assert default_path(None, {"KIOSKD_CONFIG": "b.yaml"}) == Path("b.yaml")
    assert default_path(None, {}) == Path("/etc/kioskd/kioskd.yaml")
