"""The kiosk's tools as functions of the service: their declarations, and the answers to their calls."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from kioskd.adapters.gemini.function_schema import declared_schema, restored
from kioskd.adapters.gemini.messages import NO_ID
from kioskd.ports import Tool, ToolAnswer

if TYPE_CHECKING:
    from google.genai import types

BlockingRule = Literal["blocking_only", "blocking", "non_blocking", "non_blocking_only"]
"""Whether a model waits for a function's result: its default, or (`..._only`) its only behaviour."""

Resolution = Literal["low", "medium", "high"]
"""How much detail of a picture the model sees."""

JPEG: Final = "image/jpeg"


def declarations(tools: Sequence[Tool], functions: BlockingRule) -> "types.Tool | None":
    """Return the functions that the model is allowed to call; None if there are none.

    Each declaration says whether the model waits for the function, as the default differs by model. It says
    nothing to a model that knows only one behaviour and rejects the name of the other.
    """
    from google.genai import types  # noqa: PLC0415 - loaded by now

    if not tools:
        return None
    return types.Tool(function_declarations=[_declaration(tool, functions) for tool in tools])


def holds_up(tool: Tool, functions: BlockingRule) -> bool:
    """Whether the model waits for this tool. The tool's own setting counts if the model offers a choice."""
    if functions in {"blocking_only", "non_blocking_only"}:
        return functions == "blocking_only"
    return tool.blocking


class FunctionRules:
    """Rules by which one model calls functions, for the code that runs the calls."""

    def __init__(self, rule: BlockingRule) -> None:
        self._rule = rule

    def blocks(self, tool: Tool | None) -> bool:
        """Return whether the model waits for this tool. None stands for an unknown tool, with the model's
        default.
        """
        if tool is None:
            return self._rule in {"blocking", "blocking_only"}
        return holds_up(tool, self._rule)

    def arguments(self, tool: Tool | None, given: Mapping[str, object]) -> Mapping[str, object]:
        """Return the arguments in the tool's own form, as the service's form cannot describe all of them."""
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
    """Return the service's form of an answer to a call.

    `non_blocking`: the model did not wait, so the answer says when to use it. `silent`: the model is not to
    speak about the answer. `resolution`: detail of the answer's picture; the setup's own resolution does not
    apply to answers.
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
    """Return whether an answer can ask for a resolution of its picture; the SDK needs version 3.4."""
    from google.genai import types  # noqa: PLC0415

    return "media_resolution" in types.FunctionResponsePart.model_fields


def _declaration(tool: Tool, functions: BlockingRule) -> "types.FunctionDeclaration":
    from google.genai import types  # noqa: PLC0415

    behavior = None
    if functions != "blocking_only":
        behavior = types.Behavior("BLOCKING" if holds_up(tool, functions) else "NON_BLOCKING")
    parameters, schema = None, declared_schema(tool.parameters)
    if schema is not None:  # None: the service rejects an object without properties
        # All of the service's guides use this form. With JSON Schema itself gemini-3.8-live-extended-thinking
        # was seen to talk about its functions instead of calling them.
        parameters = types.Schema.model_validate(schema)
    return types.FunctionDeclaration(
        name=tool.name, description=tool.description, parameters=parameters, behavior=behavior
    )
