"""The text of each setting, from the source of its model."""

from collections.abc import Iterator

from pydantic import Field
from tests.support.settings import subclasses

from kioskd.settings.model import Settings
from kioskd.tools.registry import KINDS
from kioskd.yamlconf.field_docs import Described, descriptions
from kioskd.yamlconf.section import Section


def test_every_setting_has_a_text() -> None:
    assert Settings in Section.__subclasses__()  # and so all sections within it

    def undescribed(model: type[Section]) -> list[str]:
        return [f"{model.__name__}.{name}" for name in model.model_fields.keys() - descriptions(model).keys()]

    def below(section: type[Section]) -> Iterator[type[Section]]:
        for each in section.__subclasses__():
            if each.__module__.startswith("kioskd."):
                yield each
            yield from below(each)

    assert [name for section in below(Section) for name in undescribed(section)] == []


def kind_settings() -> list[type[Section]]:
    """Return the settings of each kind of tool."""
    return [kind.settings for kind in KINDS.values()]


class Base(Section):
    first: int = 1
    """The first."""
    silent: int = 2


class Derived(Base):
    second: int = Field(default=3, alias="zweite")
    """The second,
    over two lines."""


class Inner(Section):
    """A section within another."""


class Outer(Section):
    silent: Inner = Inner()
    told: Inner = Inner()
    """The one that has a text."""


def test_a_setting_has_the_text_under_its_field_also_in_a_base_class() -> None:
    assert descriptions(Derived) == {"first": "The first.", "second": "The second,\nover two lines."}


def test_a_section_without_a_text_under_its_field_has_the_text_of_its_class() -> None:
    assert descriptions(Outer) == {
        "silent": "A section within another.",
        "told": "The one that has a text.",
    }


def test_the_json_schema_has_the_same_texts_as_the_models() -> None:
    sections = Settings.model_json_schema(schema_generator=Described)["$defs"]
    models = {model.__name__: model for model in (*subclasses(Section), *kind_settings())}
    assert len(sections) > 20
    for name, section in sections.items():
        texts = descriptions(models[name])
        fields = {field.alias or key: key for key, field in models[name].model_fields.items()}
        assert {key: each["description"] for key, each in section["properties"].items()} == {
            alias: texts[key] for alias, key in fields.items()
        }


def test_the_schema_describes_a_setting_under_the_name_that_owners_write() -> None:
    made = Derived.model_json_schema(schema_generator=Described)["properties"]
    assert made["zweite"]["description"].startswith("The second")
    assert "description" not in made["silent"]
