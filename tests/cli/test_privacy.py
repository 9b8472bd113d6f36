"""`kioskd privacy`: its words, and their agreement with the configuration."""

import json
from pathlib import Path
from typing import Any

import pytest

from kioskd.cli import main

BUTTON = "controls: {button: {source: 'gpio:gpiochip0/17'}}\n"


def said(folder: Path, text: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    path = folder / "kioskd.yaml"
    path.write_text(text)
    assert main(["privacy", "--config", str(path), *words]) == 0
    return capsys.readouterr().out


def report(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(folder, text, capsys, "--json"))
    return found


def test_by_default_only_sound_of_conversations_leaves_and_nothing_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = " ".join(said(tmp_path, BUTTON, capsys).split())
    assert "sound of the microphone, to Google (Gemini API): during the whole conversation" in words
    assert "No words and no sound of conversations: transcripts and recordings are off." in words
    assert "picture" not in words.replace("pictures of `kioskd show`", "").replace(
        "sound, pictures, keys", ""
    )


def test_no_line_is_too_long_for_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "privacy: {recordings: {folder: kept, keep_days: 7, most_mb: 10}}\ncamera: {source: picamera}\n"
    assert max(map(len, said(tmp_path, text, capsys).splitlines())) <= 100


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("conversation: {uplink: voice}", "only while a person speaks"),
        ("conversation: {turn_taking: local}", "only while a person speaks"),
        (
            "controls: {button: {source: 'gpio:gpiochip0/17', does: hold}}",
            "only while the talk button is held",
        ),
        ("microphone: {preroll_ms: 2500}", "the 2.5 s before it"),
        ("{microphone: {preroll_ms: 0}, conversation: {uplink: voice}}", "the 0.6 s before it"),
        ("conversation: {wake: [wakeword]}", "a wake word (recognised on this device)"),
        ("conversation: {wake: [start]}", "the kiosk itself, again and again"),
    ],
)
def test_privacy_says_when_sound_leaves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, when: str
) -> None:
    [sound] = [one for one in report(tmp_path, text, capsys)["leaves"] if "microphone" in one["what"]]
    assert when in sound["when"]


@pytest.mark.parametrize(
    ("service", "to", "terms"),
    [
        ("{}", "Google (Gemini API)", "https://ai.google.dev/gemini-api/terms"),
        ("{provider: vertex, project: p, location: europe-west4}", "location europe-west4", "Google Cloud"),
        ("{endpoint: 'https://gate.example:8443'}", "your gateway gate.example", "gate.example"),
    ],
)
def test_privacy_names_the_receivers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], service: str, to: str, terms: str
) -> None:
    found = report(tmp_path, f"service: {service}\n", capsys)
    assert to in found["leaves"][0]["to"]
    assert terms in found["service_keeps"]


@pytest.mark.parametrize("shown", ["", " and this device's certificate"])
def test_privacy_names_the_token_server_and_what_it_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shown: str
) -> None:
    certificate = ", token_certificate: device.pem" if shown else ""
    text = f"service: {{token_url: https://tokens.example/kiosk{certificate}}}"
    [request] = [one for one in report(tmp_path, text, capsys)["leaves"] if "token" in one["what"]]
    assert request["what"] == f"a request for a token{shown}, without any data of the conversation"
    assert request["to"] == "tokens.example"


def test_privacy_names_every_receiver_of_a_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
tools:
  - {kind: builtin}
  - {kind: http, name: stock, description: d, url: "https://shop.example/stock"}
  - {kind: mqtt, name: light, description: d, broker: "mqtts://broker.example", topic: hall/light}
  - {kind: command, name: door, description: d, argv: [/usr/bin/door]}
  - {kind: mcp, name: far, url: "https://mcp.example/x", allow: [a]}
  - {kind: mcp, name: near, argv: [/usr/bin/near], allow: [b], network: true,
     reads: [/srv/art], writes: [/srv/notes]}
"""
    tools = [one for one in report(tmp_path, text, capsys)["leaves"] if "tool" in one["what"]]
    assert {one["what"].split()[-1]: one["to"] for one in tools} == {
        "stock": "shop.example",
        "light": "broker broker.example",
        "door": "a program on this device, which cannot use the network, "
        "and cannot reach the daemon's key, memory and state",
        "far": "mcp.example",
        "near": "a program on this device, which can pass the call on, "
        "and cannot reach the daemon's key, memory and state; reads /srv/art; changes /srv/notes",
    }


def test_privacy_names_tools_that_run_without_a_sandbox(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
tools:
  - {kind: command, name: door, description: d, argv: [/usr/bin/door], sandbox: false}
  - {kind: python, name: twice, description: d, entry: twice}
  - {kind: mqtt, name: light, description: d, broker: "mqtt://b.example", topic: t,
     username: u, password_from: "credential:k", insecure: true}
"""
    tools = [one for one in report(tmp_path, text, capsys)["leaves"] if "tool" in one["what"]]
    door, twice, light = (one["to"] for one in tools)
    assert "runs as the daemon itself (sandbox: false): it can pass the call on, and can read the key" in door
    assert "runs within the daemon itself" in twice
    assert light == "broker b.example (not encrypted: insecure)"


def test_privacy_names_stored_data_with_place_and_duration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
limits: {minutes_per_day: 60}
privacy:
  transcripts: {folder: /var/lib/kioskd/words, keep_days: 7, most_mb: 10}
  recordings: {folder: /var/lib/kioskd/sound, keep_days: 2, most_mb: 500}
"""
    kept = {one["what"].partition(":")[0]: one for one in report(tmp_path, text, capsys)["kept"]}
    assert kept["transcripts"]["where"].startswith("/var/lib/kioskd/words (")
    assert kept["recordings"]["how_long"] == "2 days, 500 MB at most; the oldest are deleted first"
    assert "minutes and tokens of the day" in kept
    words = said(tmp_path, text, capsys)
    assert "are off" not in words


@pytest.mark.parametrize(
    ("guard", "kept"),
    [
        ("per_day: 5", {"minutes and tokens of the day", "the number of today's calls of each tool"}),
        ("per_turn: 2", set()),
    ],
)
def test_privacy_names_counted_calls_if_a_tool_has_a_daily_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], guard: str, kept: set[str]
) -> None:
    text = f"tools: [{{kind: command, name: door, description: d, argv: [/usr/bin/door], {guard}}}]\n"
    found = {one["what"] for one in report(tmp_path, text, capsys)["kept"] if "day" in one["how_long"]}
    assert found == kept


def test_privacy_tells_where_captions_show_speech_and_that_they_are_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(tmp_path, BUTTON, capsys)["captions"] == ""
    text = BUTTON + "captions: {port: 8088, terminal: /dev/tty1}\n"
    words = " ".join(said(tmp_path, text, capsys).split())
    assert "at http://127.0.0.1:8088/ and on /dev/tty1 and by `kioskd captions`" in words
    assert "cleared when the kiosk falls asleep, and are stored nowhere" in words


def test_a_faulty_configuration_is_refused_as_by_other_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kioskd.yaml"
    path.write_text("privacy: {recordings: on}\n")
    assert main(["privacy", "--config", str(path)]) == 78
    assert f"{path}:1:23 privacy.recordings: on does not say where to store" in capsys.readouterr().err


def test_a_subject_leaves_and_the_line_that_chose_it_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "subjects: {ticket-*: {about: A clock}}\ncontrols: {readers: [{source: evdev:Scanner}], "
        "presence: {source: gpio:pi/23, greets: false}}\nconversation: {wake: [reader, presence]}\n"
    )
    words = " ".join(said(tmp_path, text, capsys).split())
    assert "of a subject, but not the line that a reader typed, to Google (Gemini API): when the" in words
    assert "the subject of the conversation: in memory; until the conversation ends." in words
    assert "is started by a code or a tag that a visitor shows or a sensor that sees a visitor" in words
    assert "ticket" not in words
