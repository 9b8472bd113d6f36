"""The kiosk's tools as the service's functions: how they are declared, and how what came of a call is told."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from kioskd.ports import Tool, ToolAnswer

if TYPE_CHECKING:
    from google.genai import types

Functions = Literal["blocking_only", "blocking", "non_blocking", "non_blocking_only"]
"""Whether a model waits for what a function returns: by default, or by no other choice."""

JPEG: Final = "image/jpeg"

_AS_THEY_ARE: Final = frozenset(
    {
        *("title", "description", "format", "pattern", "required", "minimum", "maximum"),
        *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
    }
)
"""What JSON Schema and the service's own form say in the same words."""


def declarations(tools: Sequence[Tool], functions: Functions) -> "types.Tool | None":
    """Return what the model may call; None for nothing.

    Each says whether it holds the model up, as the default differs by model; but not to a model that knows one
    behaviour alone and refuses the other's name.
    """
    from google.genai import types  # noqa: PLC0415 - loaded by now

    if not tools:
        return None
    return types.Tool(function_declarations=[_declaration(tool, functions) for tool in tools])


def holds_up(tool: Tool, functions: Functions) -> bool:
    """Whether the model waits for this tool: as the tool wishes, where the model leaves the choice."""
    if functions in {"blocking_only", "non_blocking_only"}:
        return functions == "blocking_only"
    return tool.blocking


def response(answer: ToolAnswer, *, free: bool, silent: bool, with_picture: bool) -> "types.FunctionResponse":
    """Return what the service is told of a call.

    `free`: the model did not wait, so it is told when to take the answer up. `silent`: not at all by itself.
    """
    from google.genai import types  # noqa: PLC0415 - loaded by now

    scheduling = None
    if free and (silent or answer.scheduling is not None):
        scheduling = types.FunctionResponseScheduling("SILENT" if silent else str(answer.scheduling).upper())
    parts = None
    if with_picture and answer.picture is not None:
        parts = [types.FunctionResponsePart.from_bytes(data=answer.picture, mime_type=JPEG)]
    return types.FunctionResponse(
        id=answer.id, name=answer.name, response=dict(answer.result), scheduling=scheduling, parts=parts
    )


def _declaration(tool: Tool, functions: Functions) -> "types.FunctionDeclaration":
    from google.genai import types  # noqa: PLC0415

    behavior = None
    if functions != "blocking_only":
        behavior = types.Behavior("BLOCKING" if holds_up(tool, functions) else "NON_BLOCKING")
    parameters = None
    if tool.parameters.get("properties"):  # an object without any is refused: it is left unsaid
        # The form of all the service's guides. With JSON Schema itself gemini-3.8-live-extended-thinking was seen to
        # speak of its functions instead of calling them.
        parameters = types.Schema.model_validate(_schema(tool.parameters))
    return types.FunctionDeclaration(
        name=tool.name, description=tool.description, parameters=parameters, behavior=behavior
    )


def _schema(given: Any) -> dict[str, Any]:
    """Return what of a JSON Schema the service's own form can say. The rest would be a hint: who runs a tool checks.

    Everything is given a type, which the service insists on. `given` has no references: owners write none, and those of
    servers are written out.
    """
    given = _whole(given)
    found: dict[str, Any] = {key: value for key, value in given.items() if key in _AS_THEY_ARE}
    choices = [given["const"]] if "const" in given else given.get("enum", ())
    if choices and all(isinstance(choice, str) for choice in choices):  # it knows no others
        found["enum"] = list(choices)
    alternatives = [*given.get("anyOf", ()), *given.get("oneOf", ())]
    kinds = given.get("type") or _kind(given, choices)
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if "null" in kinds:
        kinds.remove("null")
        found["nullable"] = True
    if alternatives or len(kinds) > 1:
        alternatives = alternatives or [{"type": kind} for kind in kinds]
        found["anyOf"] = [_schema(inner) for inner in alternatives]
        return found
    found["type"] = kinds[0].upper() if kinds else "STRING"
    if found["type"] == "OBJECT" and given.get("properties"):
        found["properties"] = {name: _schema(inner) for name, inner in given["properties"].items()}
    if found["type"] == "ARRAY":
        found["items"] = _schema(given.get("items"))
    return found


def _whole(given: Any) -> Mapping[str, Any]:
    """Return `given` with all that `allOf` adds to it; its own words win."""
    found: Mapping[str, Any] = given if isinstance(given, Mapping) else {}  # `true` is a schema, too
    for part in found.get("allOf", ()):
        found = {**_whole(part), **found}
    return found


def _kind(given: Mapping[str, Any], choices: Sequence[object]) -> str:
    """The type of a schema that names none."""
    if "properties" in given:
        return "object"
    if "items" in given:
        return "array"
    if choices and all(isinstance(choice, int | float) for choice in choices):
        return "number"
    return "string"
