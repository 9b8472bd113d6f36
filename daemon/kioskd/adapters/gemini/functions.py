"""The kiosk's tools as the service's functions: how they are declared, and how what came of a call is told."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from kioskd.adapters.gemini.function_schema import declared_schema, restored
from kioskd.adapters.gemini.messages import NO_ID
from kioskd.ports import Tool, ToolAnswer

if TYPE_CHECKING:
    from google.genai import types

BlockingRule = Literal["blocking_only", "blocking", "non_blocking", "non_blocking_only"]
"""Whether a model waits for what a function returns: by default, or by no other choice."""

Resolution = Literal["low", "medium", "high"]
"""How closely a picture is looked at."""

JPEG: Final = "image/jpeg"


def declarations(tools: Sequence[Tool], functions: BlockingRule) -> "types.Tool | None":
    """Return what the model may call; None for nothing.

    Each says whether it holds the model up, as the default differs by model; but not to a model that knows one
    behaviour alone and refuses the other's name.
    """
    from google.genai import types  # noqa: PLC0415 - loaded by now

    if not tools:
        return None
    return types.Tool(function_declarations=[_declaration(tool, functions) for tool in tools])


def holds_up(tool: Tool, functions: BlockingRule) -> bool:
    """Whether the model waits for this tool: as the tool wishes, where the model leaves the choice."""
    if functions in {"blocking_only", "non_blocking_only"}:
        return functions == "blocking_only"
    return tool.blocking


class FunctionRules:
    """How one model calls functions, for what carries the calls out."""

    def __init__(self, rule: BlockingRule) -> None:
        self._rule = rule

    def blocks(self, tool: Tool | None) -> bool:
        """Return whether the model waits for this tool. None is a tool that is not known: the model's own default."""
        if tool is None:
            return self._rule in {"blocking", "blocking_only"}
        return holds_up(tool, self._rule)

    def arguments(self, tool: Tool | None, given: Mapping[str, object]) -> Mapping[str, object]:
        """Return the arguments in the tool's own form: the service's form cannot describe all of them."""
        if tool is None:
            return given
        arguments: Mapping[str, object] = restored(tool.parameters, given)
        return arguments


def response(
    answer: ToolAnswer,
    *,
    non_blocking: bool,
    silent: bool,
    with_picture: bool,
    resolution: Resolution | None = None,
) -> "types.FunctionResponse":
    """Return what the service is told of a call.

    `non_blocking`: the model did not wait, so it is told when to take the answer up. `silent`: not at all by itself.
    `resolution`: how closely a picture is looked at. The setup's own is for pictures that are no answer.
    """
    from google.genai import types  # noqa: PLC0415 - loaded by now

    scheduling = None
    if non_blocking and (silent or answer.scheduling is not None):
        scheduling = types.FunctionResponseScheduling("SILENT" if silent else str(answer.scheduling).upper())
    parts = None
    if with_picture and answer.picture is not None:
        part = types.FunctionResponsePart.from_bytes(data=answer.picture, mime_type=JPEG)
        if resolution is not None and supports_picture_resolution():
            level = {"level": f"MEDIA_RESOLUTION_{resolution.upper()}"}
            part = types.FunctionResponsePart.model_validate(
                {"inline_data": part.inline_data, "media_resolution": level}
            )
        parts = [part]
    return types.FunctionResponse(
        id=None if answer.id.startswith(NO_ID) else answer.id,
        name=answer.name,
        response=dict(answer.result),
        scheduling=scheduling,
        parts=parts,
    )


def supports_picture_resolution() -> bool:
    """Return whether an answer can ask for a resolution of its picture: the SDK can from 3.4 on."""
    from google.genai import types  # noqa: PLC0415

    return "media_resolution" in types.FunctionResponsePart.model_fields


def _declaration(tool: Tool, functions: BlockingRule) -> "types.FunctionDeclaration":
    from google.genai import types  # noqa: PLC0415

    behavior = None
    if functions != "blocking_only":
        behavior = types.Behavior("BLOCKING" if holds_up(tool, functions) else "NON_BLOCKING")
    parameters, schema = None, declared_schema(tool.parameters)
    if schema is not None:  # an object without properties is refused: it is left unsaid
        # The form of all the service's guides. With JSON Schema itself gemini-3.8-live-extended-thinking was seen to
        # speak of its functions instead of calling them.
        parameters = types.Schema.model_validate(schema)
    return types.FunctionDeclaration(
        name=tool.name, description=tool.description, parameters=parameters, behavior=behavior
    )
