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
        *("title", "description", "format", "pattern", "minimum", "maximum"),
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
    parameters, schema = None, _schema(tool.parameters)
    if "properties" in schema:  # an object without any is refused: it is left unsaid
        # The form of all the service's guides. With JSON Schema itself gemini-3.8-live-extended-thinking was seen to
        # speak of its functions instead of calling them.
        parameters = types.Schema.model_validate(schema)
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
    kinds = _kinds(given, choices)
    if "null" in kinds:
        kinds.remove("null")
        found["nullable"] = True
    if kinds == ["object"]:
        properties = given.get("properties", {})
        if properties:
            found["properties"] = {name: _schema(inner) for name, inner in properties.items()}
        # Not what the object does not have, which the service might refuse.
        if required := [name for name in given.get("required", ()) if name in properties]:
            found["required"] = required
    elif kinds == ["array"]:
        found["items"] = _schema(given.get("items"))
    elif (alternatives := _alternatives(given)) or len(kinds) > 1:
        kind = {"type": kinds[0]} if len(kinds) == 1 else {}
        alternatives = [kind | one for one in alternatives] or [{"type": kind} for kind in kinds]
        found["anyOf"] = [_schema(inner) for inner in alternatives]
        return found
    found["type"] = kinds[0].upper() if kinds else "STRING"
    return found


def _whole(given: Any) -> dict[str, Any]:
    """Return `given` with all that `allOf` adds to it, and an object with what it may have by any of its alternatives.

    Its own words win. Which of its properties an object must have together no word of the service's says.
    """
    found = dict(given) if isinstance(given, Mapping) else {}  # `true` is a schema, too
    for part in found.pop("allOf", ()):
        found = _joined(found, _whole(part))
    if "object" not in _kinds(found, ()):
        return found
    other: dict[str, list[Any]] = {}
    for alternative in _alternatives(found):
        for name, inner in alternative.get("properties", {}).items():
            if inner not in other.setdefault(name, []):
                other[name].append(inner)
    either = {name: inner[0] if len(inner) == 1 else {"anyOf": inner} for name, inner in other.items()}
    own = found.get("properties", {})
    return found | {"properties": own | either | own}


def _joined(found: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what holds where both hold; of the words that both have, those of `found` win."""
    properties, required = dict(found.get("properties", {})), [*found.get("required", ())]
    for name, inner in part.get("properties", {}).items():
        properties[name] = {"allOf": [properties[name], inner]} if name in properties else inner
    required += [name for name in part.get("required", ()) if name not in required]
    both = {**part, **found}
    if properties:
        both["properties"] = properties
    if required:
        both["required"] = required
    return both


def _alternatives(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_whole(one) for one in (*given.get("anyOf", ()), *given.get("oneOf", ()))]


def _kinds(given: Mapping[str, Any], choices: Sequence[object]) -> list[str]:
    """Return the types of a schema; of one that names none, what else it says. None for one that may be anything."""
    named = given.get("type")
    if named:
        return [named] if isinstance(named, str) else list(named)
    if "properties" in given:
        return ["object"]
    if "items" in given:
        return ["array"]
    if choices:
        return ["number" if all(isinstance(choice, int | float) for choice in choices) else "string"]
    return []
