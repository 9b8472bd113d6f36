import re
import sys
from pathlib import Path

import pytest
import yaml
from tests.support import packages

from kioskd.settings.buttons_lamps import ButtonSettings, ControlsSettings
from kioskd.settings.load import load, load_to_run
from kioskd.settings.model import Settings
from kioskd.yamlconf.section import Section

CONFIG = Path(__file__).parents[2] / "config"
REFERENCE = CONFIG / "kioskd.yaml"
EXAMPLES = sorted((CONFIG / "examples").glob("*.yaml"))


def test_there_are_examples() -> None:
    assert [example.stem for example in EXAMPLES] == [
        *("exhibit", "kiosk", "push-to-talk", "smart-speaker", "speakerphone"),
        *("tools-door", "tools-light", "tools-mcp", "tools-python", "tools-shop-stock"),
    ]


@pytest.mark.parametrize("file", [REFERENCE, *EXAMPLES], ids=lambda file: file.name)
def test_shipped_configurations_can_be_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages.install(packages.TOOLS, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tram_times", raising=False)
    assert isinstance(load_to_run(file, {}), Settings)


def test_the_reference_is_the_defaults_and_a_button_which_has_none() -> None:
    settings = load(REFERENCE)
    button = ButtonSettings(source="gpio:pi/17")
    assert settings == Settings(controls=ControlsSettings(button=button))


def uncommented(text: str) -> str:
    """The reference with its commented-out settings made settings."""
    return re.sub(r"^( *)# ( *[a-z_]+:( \S+)*)$", r"\1\2", text, flags=re.MULTILINE)


def names(model: type[Section]) -> dict[str, object]:
    shape: dict[str, object] = {}
    for name, field in model.model_fields.items():
        # A list holds any number of its sections: none of them is here.
        in_list = str(field.annotation).startswith("tuple")
        section = None if in_list else re.search(r"\b([A-Z]\w+Settings)\b", str(field.annotation))
        sections = {each.__name__: each for each in Section.__subclasses__()}
        shape[field.alias or name] = names(sections[section[1]]) if section else None
    return shape


def test_the_reference_mentions_every_setting_in_its_section() -> None:
    def names_in(data: object) -> dict[str, object]:
        assert isinstance(data, dict)
        return {name: names_in(value) if isinstance(value, dict) else None for name, value in data.items()}

    text = uncommented(REFERENCE.read_text(encoding="utf-8"))
    assert names_in(yaml.safe_load(text)) == names(Settings)
