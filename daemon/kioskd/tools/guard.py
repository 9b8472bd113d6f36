"""Settings that the tools of all kinds have: their limits, and their description for the model."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from kioskd.tools.json_schema import JsonSchema
from kioskd.tools.kinds.value_types import ToolName
from kioskd.tools.template import FIELD
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import OwnerText, Range, UnusedAt, said, shown

MOST_TOOLS: Final = 64
"""Most tools of a kiosk. The model reads all of them each time."""


HeldBytes = Annotated[
    int,
    Range(1, 4_194_304, "it is held in memory"),
    UnusedAt("answer", "none", "with answer: none the kiosk reads no answer; remove it"),
]


class Guard(Section):
    """Settings that tools of every kind have."""

    deadline_s: Annotated[float, Range(0.1, 120, "the visitor waits for it")] = 10.0
    """Seconds after which a call is stopped, with everything it started. After 10 seconds visitors give
    up."""
    per_turn: Annotated[int, Range(0, 100, "it is a count")] = 5
    """Most calls in one turn of the conversation. 0 is no limit. A turn rarely needs two."""
    per_conversation: Annotated[int, Range(0, 10_000, "it is a count")] = 50
    """Most calls in one conversation. 0 is no limit."""
    per_day: Annotated[int, Range(0, 1_000_000, "it is a count")] = 0
    """Most calls a day, by the local date. The count is kept over restarts. 0 is no limit."""
    at_once: Annotated[int, Range(1, 16, "each may be a program or a connection")] = 2
    """Most calls of this tool at the same time."""
    same_calls: Annotated[int, Range(0, 100, "it is a count")] = 3
    """Most calls with the same arguments in one turn. 0 is no limit. A model that calls more often goes in
    circles."""
    confirm: Literal["never", "button"] = "never"
    """Whether the visitor must confirm each call. With button, the lamp and the voice ask for it. The tool
    acts only after a press within 10 seconds. It needs a lamp, and a button that does toggle, hold or
    wake."""
    confirm_text: Annotated[
        Annotated[OwnerText, StringConstraints(max_length=200)] | None,
        UnusedAt(
            "confirm", "never", "without confirm: button the kiosk does not ask; add that, or remove this"
        ),
    ] = Field(default=None, examples=["Open the {door} door?"])
    """Question that the voice asks, in the visitors' language, only with `confirm: button`. A parameter in
    braces is replaced by its argument. If not set, the voice says the name of the tool."""
    blocking: bool = False
    """Whether the model waits for the answer before it speaks on. If not, the conversation goes on
    meanwhile."""
    scheduling: Annotated[
        Literal["silent", "when_idle", "interrupt"] | None,
        UnusedAt("blocking", True, "the model waits for a blocking tool; remove one of the two"),
    ] = Field(default=None, examples=["interrupt"])
    """Moment at which the model uses the answer, not with `blocking: true`. when_idle is after the current
    reply, and interrupt is at once. With silent, the model keeps the answer and does not speak about it. If
    not set, it is when_idle."""
    dry_run: bool = False
    """Whether calls are checked and counted, but not carried out."""
    result_bytes: Annotated[int, Range(512, 65_536, "the model reads all of it, and it is billed")] = 8192
    """Most bytes of an answer that the model gets. The rest is cut off, and the model is told so."""

    @field_validator("confirm_text")
    @classmethod
    def _of_one_tool(cls, value: str | None) -> str | None:
        if value is not None and not issubclass(cls, DescribedSettings):
            raise said(
                "is one question for several tools; remove it, and the voice says the name of each tool"
            )
        return value


class DescribedSettings(Guard):
    """Settings that tell the model of a single tool, whose arguments the kind itself knows."""

    name: Annotated[ToolName, Field(examples=["shop_stock"])]
    """Name by which the model calls the tool."""
    description: Annotated[
        OwnerText,
        StringConstraints(max_length=1000),
        Field(examples=["How many pairs of a shoe are in stock. Call it when a visitor asks for a shoe."]),
    ]
    """Words for the model that say when to call the tool, and what the tool returns."""


class NamedSettings(DescribedSettings):
    """Settings that describe a single tool to the model, with its arguments."""

    parameters: JsonSchema = Field(
        default_factory=lambda: {"type": "object"},
        validate_default=True,
        examples=[{"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}],
    )
    """JSON Schema of the arguments. A call with other arguments is rejected, unless the schema has
    additionalProperties. If not set, the tool takes no arguments."""

    @field_validator("parameters")
    @classmethod
    def _with_those_that_are_said(cls, value: dict[str, object], info: ValidationInfo) -> dict[str, object]:
        properties = value.get("properties")
        for name in FIELD.findall(info.data.get("confirm_text") or ""):
            if not isinstance(properties, dict) or name not in properties:
                raise said(f"lacks {shown(name)}, which confirm_text names; add it here, or remove it there")
        return value
