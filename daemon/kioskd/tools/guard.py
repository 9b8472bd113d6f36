"""Settings that all kinds of tools have: the guard of each tool, and its declaration to the model."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from kioskd.tools.json_schema import JsonSchema
from kioskd.tools.kinds.value_types import ToolName
from kioskd.tools.template import FIELD
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import OwnerText, Range, UnusedAt, said, shown

MOST_TOOLS: Final = 64
"""Most tools that are declared to the model, which reads all of them each time."""


HeldBytes = Annotated[
    int,
    Range(1, 4_194_304, "it is held in memory"),
    UnusedAt("answer", "none", "with answer none nothing of it is read; take it out"),
]


class Guard(Section):
    """What keeps a tool from doing harm, whatever its kind: the settings that each kind has."""

    deadline_s: Annotated[float, Range(0.1, 120, "the visitor waits for it")] = 10.0
    """Seconds after which a call is stopped, with all it has begun. Longer than 10 and the visitor has given up."""
    per_turn: Annotated[int, Range(0, 100, "it is a count")] = 5
    """Calls in one turn of the conversation; 0 is no limit. A turn rarely needs two."""
    per_conversation: Annotated[int, Range(0, 10_000, "it is a count")] = 50
    """Calls in one conversation; 0 is no limit."""
    per_day: Annotated[int, Range(0, 1_000_000, "it is a count")] = 0
    """Calls a day, by the local date and over restarts; 0 is no limit."""
    at_once: Annotated[int, Range(1, 16, "each may be a program or a connection")] = 2
    """Calls of this tool at the same time."""
    same_calls: Annotated[int, Range(0, 100, "it is a count")] = 3
    """Calls with the same arguments in one turn; 0 is no limit. More is a model that goes in circles."""
    confirm: Literal["never", "button"] = "never"
    """button: lamp and voice name the tool, and only a press within 10 s lets it act."""
    confirm_text: Annotated[
        Annotated[OwnerText, StringConstraints(max_length=200)] | None,
        UnusedAt("confirm", "never", "nothing is asked without confirm: button; add that, or take this out"),
    ] = None
    """What is asked, in the visitors' language: Open the {door}? A parameter in braces is said. Without it, the name."""
    blocking: bool = False
    """Whether the model waits for the answer before it speaks on. Without it the conversation goes on meanwhile."""
    scheduling: Annotated[
        Literal["silent", "when_idle", "interrupt"] | None,
        UnusedAt("blocking", True, "the model waits for a blocking tool; take out one of the two"),
    ] = None
    """When the model takes up the answer: when_idle (also without this), interrupt at once, or silent."""
    dry_run: bool = False
    """Check and count everything, but carry out nothing."""
    result_bytes: Annotated[int, Range(512, 65_536, "the model reads all of it, and it is billed")] = 8192
    """Bytes of the answer that the model gets; the rest is cut, and it is told."""

    @field_validator("confirm_text")
    @classmethod
    def _of_one_tool(cls, value: str | None) -> str | None:
        if value is not None and not issubclass(cls, NamedSettings):
            raise said("would be said of several tools, of which each has a name of its own; take it out")
        return value


class NamedSettings(Guard):
    """What the model is told of a tool."""

    name: ToolName
    """What the model calls it."""
    description: Annotated[OwnerText, StringConstraints(max_length=1000)]
    """When to call it and what it gives, in words for the model."""
    parameters: JsonSchema = Field(default_factory=lambda: {"type": "object"}, validate_default=True)
    """JSON Schema of its arguments. Those that it does not name are refused, unless it says additionalProperties."""

    @field_validator("parameters")
    @classmethod
    def _with_those_that_are_said(cls, value: dict[str, object], info: ValidationInfo) -> dict[str, object]:
        properties = value.get("properties")
        for name in FIELD.findall(info.data.get("confirm_text") or ""):
            if not isinstance(properties, dict) or name not in properties:
                raise said(f"lack {shown(name)}, which confirm_text says; add it here, or take it out there")
        return value
