"""The setting `tools`: a list of what the model may have done; `kind` says what else there is to set of each."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

from kioskd.settings.tool_value_types import at
from kioskd.settings.tools_kinds import (
    MOST_TOOLS,
    BuiltinSettings,
    CommandSettings,
    GuardSettings,
    HttpSettings,
    McpSettings,
    MqttSettings,
    NamedSettings,
    PythonSettings,
)
from kioskd.yamlconf.value_types import said, shown

__all__ = ["KINDS", "ToolSettings", "ToolsSetting"]

KINDS: Final[Mapping[str, type[GuardSettings]]] = {
    "builtin": BuiltinSettings,
    "http": HttpSettings,
    "command": CommandSettings,
    "mqtt": MqttSettings,
    "mcp": McpSettings,
    "python": PythonSettings,
}


class _ByKind:
    """Marks a union of tools that `kind` decides. Faults keep their place: pydantic's own would name the kind in it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(self._read, handler(source))

    @staticmethod
    def _read(value: Any, _union: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if isinstance(value, GuardSettings):
            return value
        if not isinstance(value, dict):
            raise said(
                f"{shown(value)} is no tool: a group of settings is needed; write kind: and what it takes"
            )
        kind = value.get("kind")
        model = KINDS.get(kind) if isinstance(kind, str) else None
        if model is None:
            raise at(["kind"] if "kind" in value else [], _unknown_kind(kind))
        try:
            return model.model_validate(value, context=info.context)
        except ValidationError as err:
            errors = [_plain(error, model, str(kind)) for error in err.errors(include_url=False)]
            raise ValidationError.from_exception_data("tools", errors) from None


def _unknown_kind(kind: object) -> str:
    choices = ", ".join(KINDS)
    if kind is None:
        return f"has no kind: it decides what else there is to set; write kind: and one of {choices}"
    near = difflib.get_close_matches(str(kind), KINDS, n=1)
    return f"{shown(kind)} is no kind of tool; " + (f"did you mean {near[0]}?" if near else f"use {choices}")


def _plain(error: ErrorDetails, model: type[BaseModel], kind: str) -> InitErrorDetails:
    """Return `error` as it was found, but with the hint of this kind where a name is unknown."""
    name = str(error["loc"][-1])
    found: PydanticCustomError | str
    if error["type"] == "extra_forbidden":
        others = [other for other, each in KINDS.items() if name in each.model_fields]
        near = difflib.get_close_matches(name.lower(), model.model_fields, n=1)
        if near:
            hint = f"did you mean {near[0]}?"
        elif others:
            hint = f"it belongs to kind {' or '.join(others)}; take it out"
        else:
            hint = f"here stand {', '.join(model.model_fields)}; take it out"
        found = said(f"is not a setting of kind {kind}: {hint}")
    elif error["type"] == "said":
        found = said(error["msg"])
    else:
        found = error["type"]
    return InitErrorDetails(
        type=found,
        loc=tuple(part for part in error["loc"] if part != "[key]"),  # a name's own fault is where it stands
        input=error["input"],
        ctx={} if found is not error["type"] else error.get("ctx", {}),
    )


def _no_clash(tools: tuple[GuardSettings, ...]) -> tuple[GuardSettings, ...]:
    """Refuse two tools of one name, two servers of one name, and a second group of built-ins."""
    if len(tools) > MOST_TOOLS:
        raise said(f"are more than {MOST_TOOLS}: the model reads all of them each time; take some out")
    owners: dict[str, str] = {}
    servers: set[str] = set()
    for index, tool in enumerate(tools):
        field = "name"
        match tool:
            case BuiltinSettings(names=taken):
                field = "kind"
                if "builtin" in owners.values():
                    raise at(
                        [index, "kind"],
                        "stands here a second time: the kiosk's own tools are set once; merge them",
                    )
            case McpSettings(name=server, names=taken):
                field = "allow"
                if server in servers:
                    raise at(
                        [index, "name"],
                        f"{server} is taken by another server; name one of them otherwise, or merge them",
                    )
                servers.add(server)
            case NamedSettings(name=name):
                taken = (name,)
            case _:
                continue
        for name in taken:
            if name in owners:
                raise at(
                    [index, field],
                    f"{name} is taken by another tool ({owners[name]}); name one of them otherwise"
                    + (", by a prefix say" if field == "allow" else ""),
                )
            owners[name] = getattr(tool, "kind", "")
    return tools


ToolSettings = Annotated[
    BuiltinSettings | HttpSettings | CommandSettings | MqttSettings | McpSettings | PythonSettings, _ByKind()
]
"""One entry of `tools`."""

ToolsSetting = Annotated[tuple[ToolSettings, ...], AfterValidator(_no_clash)]
"""The setting `tools`."""
