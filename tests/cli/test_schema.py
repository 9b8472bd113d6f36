import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kioskd.cli import Exit, main

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["schema"]) == Exit.OK
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the schema that a reference means, also if it is optional."""
    for choice in part.get("anyOf", [part]):
        if "$ref" in choice:
            found: dict[str, Any] = schema["$defs"][choice["$ref"].removeprefix("#/$defs/")]
            return found
    return part


def unknown(
    data: dict[str, Any], part: dict[str, Any], schema: dict[str, Any], path: str = ""
) -> Iterator[str]:
    """Return the paths of `data` for which the schema has no property."""
    for name, value in data.items():
        # Where the owner chooses the names, each has the same section.
        inner = part["properties"].get(name) if "properties" in part else part["additionalProperties"]
        if inner is None:
            yield f"{path}{name}"
        elif isinstance(value, dict):
            yield from unknown(value, resolved(inner, schema), schema, f"{path}{name}.")


def test_the_schema_names_its_dialect(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False


def test_every_setting_has_a_description_and_no_other_name_is_allowed(schema: dict[str, Any]) -> None:
    for name, section in schema["$defs"].items():
        assert section["additionalProperties"] is False, name
        assert section["description"], name
        for setting, part in section["properties"].items():
            assert part["description"], f"{name}.{setting}"


@pytest.mark.parametrize(
    "file",
    [CONFIG / "kioskd.yaml", *sorted((CONFIG / "examples").glob("*.yaml"))],
    ids=lambda file: file.name,
)
def test_the_schema_knows_every_setting_of_the_shipped_files(file: Path, schema: dict[str, Any]) -> None:
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert list(unknown(data, schema, schema)) == []
    assert list(unknown(data | {"speeker": {}}, schema, schema)) == ["speeker"]


def test_the_schema_has_choices_ranges_and_required_settings(schema: dict[str, Any]) -> None:
    sections = schema["$defs"]
    assert len(sections["AssistantSettings"]["properties"]["voice"]["enum"]) == 30
    assert sections["ConversationSettings"]["properties"]["idle_s"]["minimum"] == 3
    assert sections["ButtonSettings"]["required"] == ["source"]
    speaker = sections["SpeakerSettings"]["properties"]
    assert (speaker["volume"]["default"], speaker["volume"]["maximum"]) == (70, 100)
    assert {"type": "boolean"} in speaker["cues"]["anyOf"]
    assert sections["NightSettings"]["required"] == ["from", "to"]
    button = sections["ButtonSettings"]["properties"]
    assert button["does"]["enum"] == ["toggle", "wake", "end", "mute", "look", "hush", "hold"]
    assert sections["CameraSettings"]["properties"]["rotate"]["enum"] == [0, 90, 180, 270]
