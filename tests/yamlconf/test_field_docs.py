"""What the source says of each setting."""

from collections.abc import Iterator

from pydantic import Field

from kioskd.settings.model import Settings
from kioskd.yamlconf.field_docs import Described, descriptions
from kioskd.yamlconf.section import Section


def test_every_setting_says_what_it_is_for() -> None:
    assert Settings in Section.__subclasses__()  # and so all that it holds

    def undescribed(model: type[Section]) -> list[str]:
        return [f"{model.__name__}.{name}" for name in model.model_fields.keys() - descriptions(model).keys()]

    def below(section: type[Section]) -> Iterator[type[Section]]:
        for each in section.__subclasses__():
            if each.__module__.startswith("kioskd."):
                yield each
            yield from below(each)

    assert [name for section in below(Section) for name in undescribed(section)] == []


class Base(Section):
    first: int = 1
    """The first."""
    silent: int = 2


class Derived(Base):
    second: int = Field(default=3, alias="zweite")
    """The second,
    over two lines."""


def test_a_setting_is_described_by_what_stands_under_it_bases_included() -> None:
    assert descriptions(Derived) == {"first": "The first.", "second": "The second,\nover two lines."}


def test_the_schema_describes_a_setting_under_the_name_that_owners_write() -> None:
    made = Derived.model_json_schema(schema_generator=Described)["properties"]
    assert made["zweite"]["description"].startswith("The second")
    assert "description" not in made["silent"]
