"""A scenario is read like the settings, and rejected with the place of each fault."""

from pathlib import Path

import pytest
from tests.support.rehearsals import a_summary

from kioskd.errors import Code, ConfigError
from kioskd.rehearsal.run import judged, merged
from kioskd.rehearsal.scenario import Expectation, Scenario, Step, load_scenario
from kioskd.settings.load import SettingsError
from kioskd.settings.model import Settings

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [ROOT / "daemon/kioskd/rehearsal/demo.yaml", *sorted((ROOT / "config/rehearsals").glob("*.yaml"))]
VOICE = "/usr/share/sounds/alsa/Front_Center.wav"


def written(folder: Path, text: str) -> Path:
    path = folder / "scenario.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario_can_be_read(path: Path) -> None:
    scenario = load_scenario(path)
    assert scenario.expect
    assert merged(Settings(), scenario.settings.model_dump(exclude_unset=True)) != Settings()


def test_the_folder_holds_several_scenarios() -> None:
    assert len(SHIPPED) >= 4


FAULTS = [
    ("visitor: [press]", 1, "name: is missing"),
    ("name: x\nvisitor: []", 2, "write at least one step"),
    ("name: x\nvisitor: [jump]", 2, "jump is not"),
    ("name: x\nvisitor:\n  - press\n  - {pause_s: 0}", 4, "visitor.pause_s: 0 is below 0.01"),
    ("name: x\nvisitor:\n  - {wait: {for: aslep}}", 3, "did you mean asleep?"),
    ("name: x\nvisitor:\n  - {wait: {for: asleep, at_most: 3}}", 3, "at_most belongs under expect"),
    (f"name: x\nvisitor:\n  - {{say: {VOICE}, pause_s: 1}}", 3, "each list item has exactly one of"),
    ("name: x\nvisitor:\n  - {say: nowhere.wav}", 3, "is not there"),
    ("name: x\nvisitor: [press]\nexpect:\n  - {what: replies_herd, is: 1}", 4, "did you mean replies_heard?"),
    ("name: x\nvisitor: [press]\nexpect:\n  - {what: turns}", 4, "give is, at_least or at_most"),
    (
        "name: x\nvisitor: [press]\nexpect:\n  - {is: 1}",
        4,
        "needs exactly one of what, journal, prompt and cue",
    ),
    (
        "name: x\nvisitor: [press]\nexpect:\n  - {journal: up, what: turns, is: 1}",
        4,
        "needs exactly one of what",
    ),
    ("name: x\nvisitor: [press]\nsettings:\n  microphone: {eco: hardware}", 4, "did you mean echo?"),
    ("name: x\nvisitor: [press]\nsettings:\n  speaker: {volume: 101}", 4, "is above 100"),
    ("name: x\nvisitor:\n  - {press: 0}", 3, "0 is not a button"),
    ("name: x\nvisitor:\n  - {hold: [2]}", 3, "is not a button"),
    ("name: x\nvisitor:\n  - {command: mutter}", 3, "did you mean mute?"),
    ("name: x\nvisitor:\n  - {show: nowhere.jpg}", 3, "a JPEG, PNG or WebP is needed"),
    ("name: x\nvisitor:\n  - {ask: ''}", 3, "is empty"),
    ("name: x\nvisitor:\n  - {announce: ''}", 3, "is empty"),
    ("name: x\nvisitor:\n  - {announce: {now: true}}", 3, "text"),
    ("name: x\nvisitor: [press]\npictures: nowhere", 3, "nowhere is not a folder"),
    (
        "name: x\nvisitor: [press]\nexpect:\n  - {prompt: W9}",
        4,
        "W9 is not the code of a prompt: use one of W1",
    ),
    ("name: x\nvisitor: [press]\nexpect:\n  - {cue: wakee}", 4, "did you mean wake?"),
    ("name: x\nvisitor: [press]\nexpect:\n  - {cue: wake, prompt: W1}", 4, "needs exactly one of what"),
    ("name: x\nvisitor: [press]\nlongest_s: 10000", 3, "longest_s: 10000 is above 900"),
    ("name: x\nvisitor: [press]\nexpects: []", 3, "did you mean expect?"),
]


@pytest.mark.parametrize(("text", "line", "words"), FAULTS, ids=[words for _, _, words in FAULTS])
def test_a_fault_is_reported_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as raised:
        load_scenario(path)
    assert len(raised.value.faults) == 1, str(raised.value)
    assert raised.value.faults[0].line == line
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"{path}:{line}:")


def test_the_script_of_the_service_is_a_part_of_the_scenario(tmp_path: Path) -> None:
    path = written(tmp_path, "name: x\nvisitor: [press]\nservice:\n  replies:\n    - {silent: true, text: a}")
    with pytest.raises(SettingsError) as raised:
        load_scenario(path)
    assert str(raised.value) == f"{path}:5:7 service.replies: give exactly one of text, wav and silent: true"


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "name: x\nvisitor: [jump, {pause_s: -1}]\nlongest_s: ten\nsettings: {cake: {}}")
    with pytest.raises(SettingsError) as raised:
        load_scenario(path)
    assert len(raised.value.faults) == 4


def test_a_missing_scenario_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such scenario"):
        load_scenario(tmp_path / "none.yaml")


def test_relative_paths_start_at_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(b"RIFF")
    path = written(
        tmp_path,
        "name: x\nvisitor: [{say: hello.wav}, {interrupt: hello.wav}]\n"
        "service: {replies: [{wav: answer.wav}]}",
    )
    scenario = load_scenario(path)
    assert scenario.recordings == (tmp_path / "hello.wav",)
    assert scenario.service.replies[0].wav == tmp_path / "answer.wav"


def test_buttons_are_named_by_number_or_source_and_the_first_needs_no_name(tmp_path: Path) -> None:
    path = written(
        tmp_path, "name: x\nvisitor: [press, hold, release, {press: 2}, {hold: 'evdev:Pedal/KEY_SPACE'}]"
    )
    first, hold, release, second, pedal = load_scenario(path).visitor
    assert (first.press, hold.hold, release.release, second.press, pedal.hold) == (
        1,
        1,
        1,
        2,
        "evdev:Pedal/KEY_SPACE",
    )


def test_only_the_owners_explicit_settings_are_merged() -> None:
    owner = Settings.model_validate(
        {
            "controls": {
                "button": {"source": "evdev:Pedal/KEY_SPACE", "does": "hold"},
                "lamp": {"source": "led:ACT", "night": {"from": "22:00", "to": "06:00"}},
            },
            "tools": ({"kind": "builtin"},),
        }
    )
    changed = merged(owner, {"conversation": {"idle_s": 9.0}})
    assert (changed.controls, changed.tools) == (owner.controls, owner.tools)


def test_the_scenarios_settings_change_no_other_settings() -> None:
    owner = Settings.model_validate({"speaker": {"volume": 33}, "conversation": {"idle_s": 9.0}})
    changed = merged(owner, {"conversation": {"longest_s": 60.0}})
    assert (changed.speaker.volume, changed.conversation.idle_s, changed.conversation.longest_s) == (
        33,
        9.0,
        60.0,
    )


def test_contradicting_settings_are_refused_in_one_line() -> None:
    owner = Settings.model_validate({"conversation": {"idle_s": 90.0}})
    with pytest.raises(ConfigError, match="contradict the configuration") as raised:
        merged(owner, {"conversation": {"longest_s": 30.0}})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("expectation", "seen", "met"),
    [
        (Expectation(what="turns", is_=2), 2, True),
        (Expectation(what="turns", is_=2), 3, False),
        (Expectation(what="turns", at_least=2), 2, True),
        (Expectation(what="turns", at_least=2), 1, False),
        (Expectation(what="turns", at_least=1, at_most=2), 3, False),
        (Expectation(what="wake_to_uplink_ms", at_most=100), None, False),
    ],
)
def test_an_expectation_can_fail(expectation: Expectation, seen: int | None, met: bool) -> None:
    assert expectation.what is not None
    assert expectation.check(a_summary(**{expectation.what: seen})).met is met


@pytest.mark.parametrize(
    ("expectation", "lines", "met"),
    [
        (Expectation(journal="link lost"), 0, False),
        (Expectation(journal="link lost"), 2, True),
        (Expectation(journal="link lost", is_=1), 2, False),
        (Expectation(journal="link lost", is_=0), 0, True),
        (Expectation(journal="link lost", at_most=1), 2, False),
    ],
)
def test_lines_of_the_journal_can_be_expected(expectation: Expectation, lines: int, met: bool) -> None:
    journal = ["ready", *["link lost: epoch=1"] * lines]
    result = expectation.check(a_summary(), journal)
    assert result.met is met
    assert result.text.startswith('lines of the journal with "link lost"')


@pytest.mark.parametrize(
    ("expectation", "met"),
    [
        (Expectation(prompt=Code.WAY), True),
        (Expectation(prompt=Code.WAY, is_=1), False),
        (Expectation(prompt=Code.QUOTA), False),
        (Expectation(prompt=Code.QUOTA, is_=0), True),
        (Expectation(cue="wake", is_=1), True),
        (Expectation(cue="error"), False),
    ],
)
def test_prompts_can_be_expected(expectation: Expectation, met: bool) -> None:
    result = expectation.check(a_summary(prompts=("W1", "W1"), cues=("wake", "end")))
    assert result.met is met


def test_a_failed_daemon_fails_the_rehearsal_whatever_was_expected() -> None:
    scenario = Scenario(name="x", visitor=(Step(press=True),))
    assert judged(scenario, a_summary()).met
    assert not judged(scenario, a_summary(exit_code=69)).met
    assert not judged(scenario, a_summary(trouble="it rained")).met
    assert not judged(scenario, a_summary(stop_ms=6000.0)).met
