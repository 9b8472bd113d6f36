"""The shipped configurations, and the two files that are generated from the settings' models."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support import packages
from tests.support.generated import generate
from tests.support.settings import subclasses

from kioskd.settings.buttons_lamps import ButtonSettings, ControlsSettings
from kioskd.settings.cross_checks import joint_faults
from kioskd.settings.load import load, load_to_run
from kioskd.settings.model import Settings
from kioskd.tools.registry import KINDS
from kioskd.yamlconf.document import Document
from kioskd.yamlconf.error_messages import shape_of, without_empty
from kioskd.yamlconf.section import Section

CONFIG = Path(__file__).parents[2] / "config"
REFERENCE = CONFIG / "kioskd.yaml"
PAGE = CONFIG.parent / "daemon" / "kioskd" / "manual" / "settings.md"
EXAMPLES = sorted((CONFIG / "examples").glob("*.yaml"))

Lines = Sequence[str]


def test_the_shipped_examples_are_complete() -> None:
    assert [example.stem for example in EXAMPLES] == [
        *("exhibit", "kiosk", "museum", "push-to-talk", "smart-speaker", "speakerphone", "starter"),
        *("tools-documents", "tools-door", "tools-light", "tools-mcp", "tools-python", "tools-shop-stock"),
    ]


@pytest.mark.parametrize("file", [REFERENCE, *EXAMPLES], ids=lambda file: file.name)
def test_shipped_configurations_can_be_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages.install(packages.TOOLS, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tram_times", raising=False)
    assert isinstance(load_to_run(file, {}), Settings)


def test_the_reference_holds_all_defaults_and_a_button() -> None:
    settings = load(REFERENCE)
    button = ButtonSettings(source="gpio:pi/17")
    assert settings == Settings(controls=ControlsSettings(button=button))


def merged(data: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with the values of `more` in their places."""
    found = {**data}
    for name, value in more.items():
        found[name] = merged(found[name], value) if isinstance(value, Mapping) else value
    return found


def plain(lines: Lines) -> dict[str, Any]:
    """Return the values of a YAML text."""
    document = Document("kioskd.yaml", "\n".join(lines))
    assert document.faults == []
    data: dict[str, Any] = without_empty(document.data, shape_of(Settings))
    return data


def examples(lines: Lines) -> list[int]:
    """Return the indexes of the lines that are a setting when their `# ` is removed."""
    return [index for index, line in enumerate(lines) if re.match(r" *# [a-z_]+:( |$)", line)]


def uncommented(lines: Lines, index: int) -> list[str]:
    """Return the text without the `# ` before a setting; for a group, before each of its lines."""
    pad = re.match(" *", lines[index])[0]  # type: ignore[index]  # each line matches
    end = index + 1
    while end < len(lines) and lines[end].startswith(f"{pad}#   "):
        end += 1
    inside = [pad + line.removeprefix(f"{pad}# ") for line in lines[index:end]]
    return [*lines[:index], *inside, *lines[end:]]


def all_uncommented(lines: Lines) -> Lines:
    """Return the text without any `# ` before a setting."""
    while found := examples(lines):
        lines = uncommented(lines, found[0])
    return lines


def each_uncommented(lines: Lines) -> Iterator[tuple[str, list[str]]]:
    """Yield each example line, with the text in which it and the groups around it are settings."""
    for index in examples(lines):
        one = uncommented(lines, index)
        yield one[index].strip(), one
        for inner in (each for each in examples(one) if lines[each] != one[each]):
            two = uncommented(one, inner)
            yield f"{one[index].strip()} {two[inner].strip()}", two


LINES = REFERENCE.read_text(encoding="utf-8").splitlines()
EACH = dict(each_uncommented(LINES))

VERTEX = {"service": {"provider": "vertex", "project": "my-project"}}
CERTIFIED = {"service": {"token_url": "https://tokens.example", "token_certificate": "device.pem"}}
NAMED_BY_OWNER = {"subjects", "profiles"}
NEEDS: Mapping[str, Mapping[str, Any]] = {
    "project:": VERTEX,
    "location:": VERTEX,
    "credentials_file:": VERTEX,
    "token_certificate:": {"service": {"token_url": "https://tokens.example"}},
    "token_key_file:": CERTIFIED,
    "token_proof:": CERTIFIED,
    "thinking:": {"service": {"model": "gemini-3.8-live-extended-thinking"}},
    "interruptions:": {"microphone": {"echo": "hardware"}},
    "noise_suppression:": {"microphone": {"echo": "cancel"}},
    "gain_control:": {"microphone": {"echo": "cancel"}},
    "double:": {"camera": {"source": "picamera"}},
    "presence:": {"assistant": {"greeting": "Greet the visitor."}},
    "lamp: command:": {"controls": {"lamp": {"source": None}}},
    "lamp: night:": {"controls": {"lamp": {"source": "led:ACT"}}},
}
"""Other settings that an example needs, as its text says."""


@pytest.mark.parametrize("example", EACH)
def test_each_example_is_valid_without_its_comment_sign(example: str) -> None:
    needs = next((more for name, more in NEEDS.items() if example.startswith(name)), {})
    data = merged(plain(EACH[example]), needs)
    settings = Settings.model_validate(data, context={"folder": CONFIG})
    assert settings != Settings.model_validate(plain(LINES), context={"folder": CONFIG})
    assert list(joint_faults(settings)) == []


def test_settings_without_a_default_have_an_example() -> None:
    assert len(EACH) > 25
    assert [name for name in NEEDS if not any(example.startswith(name) for example in EACH)] == []


def names(model: type[Section]) -> dict[str, object]:
    shape: dict[str, object] = {}
    for name, field in model.model_fields.items():
        # A list of sections is empty here.
        in_list = str(field.annotation).startswith("tuple")
        section = None if in_list else re.search(r"\b([A-Z]\w+Settings)\b", str(field.annotation))
        sections = {each.__name__: each for each in subclasses(Section)}
        shape[field.alias or name] = names(sections[section[1]]) if section else None
    return shape


def test_the_reference_mentions_every_setting_in_its_section() -> None:
    def names_in(data: object) -> dict[str, object]:
        assert isinstance(data, dict)
        # The owner names the members of these groups, and the reference shows one of them.
        groups = {name: next(iter(data[name].values())) for name in NAMED_BY_OWNER & set(data)}
        return {
            name: names_in(value) if isinstance(value, dict) else None
            for name, value in (data | groups).items()
        }

    assert names_in(plain(all_uncommented(LINES))) == names(Settings)


def test_the_manual_describes_every_setting() -> None:
    page = PAGE.read_text(encoding="utf-8")
    described = set(re.findall(r"^- `([a-z_]+)`: ", page, re.MULTILINE))
    sections = [names(Settings), *(kind.settings.model_fields for kind in KINDS.values())]
    while sections:
        for name, inner in sections.pop().items():
            assert name in described or f"\n## {name}\n" in page
            sections += [inner] if isinstance(inner, dict) else []


def test_both_files_are_generated_from_the_models() -> None:
    checked = generate("settings-reference", "--check")
    assert checked.returncode == 0, checked.stderr


def test_a_check_finds_stale_files_and_leaves_them_alone(tmp_path: Path) -> None:
    assert generate("settings-reference", "--root", str(tmp_path), seed=1).returncode == 0
    for path in (REFERENCE, PAGE):
        copy = tmp_path / path.relative_to(CONFIG.parent)
        assert copy.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
        copy.write_text(copy.read_text(encoding="utf-8") + "# stale\n", encoding="utf-8")
    checked = generate("settings-reference", "--check", "--root", str(tmp_path))
    assert checked.returncode == 1
    assert checked.stderr.count("run scripts/settings-reference") == 2
    assert (tmp_path / "config/kioskd.yaml").read_text(encoding="utf-8").endswith("# stale\n")
