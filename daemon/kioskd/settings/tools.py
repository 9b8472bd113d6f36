"""The setting `tools`: a list of tools that the model is allowed to call. `kind` decides which settings each
takes."""

import difflib
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

from kioskd.tools.guard import MOST_TOOLS, Guard
from kioskd.tools.registry import KINDS, kind_of
from kioskd.yamlconf.value_types import at, said, shown


class _ByKind:
    """Marker of an entry of `tools`, read by its `kind`. Pydantic's own union would put the kind into the
    place of a fault."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(self._read, handler(source))

    @staticmethod
    def _read(value: Any, _union: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if isinstance(value, Guard):
            return value
        if not isinstance(value, dict):
            raise said(
                f"{shown(value)} is not a group of settings; write kind: and the settings of that kind"
            )
        kind = value.get("kind")
        known = KINDS.get(kind) if isinstance(kind, str) else None
        if known is None:
            raise at(["kind"] if "kind" in value else [], _unknown_kind(kind))
        try:
            return known.settings.model_validate(value, context=info.context)
        except ValidationError as err:
            errors = [_plain(error, known.settings, known.name) for error in err.errors(include_url=False)]
            raise ValidationError.from_exception_data("tools", errors) from None


def _unknown_kind(kind: object) -> str:
    choices = ", ".join(KINDS)
    if kind is None:
        return f"has no kind; add kind: and one of {choices}"
    near = difflib.get_close_matches(str(kind), KINDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"write one of {choices}"
    return f"{shown(kind)} is not a kind of tool; {hint}"


def _plain(error: ErrorDetails, model: type[BaseModel], kind: str) -> InitErrorDetails:
    """Return `error` as pydantic found it, but with a hint of this kind for an unknown name."""
    name = str(error["loc"][-1])
    found: PydanticCustomError | str
    if error["type"] == "extra_forbidden":
        others = [other for other, each in KINDS.items() if name in each.settings.model_fields]
        near = difflib.get_close_matches(name.lower(), model.model_fields, n=1)
        if near:
            hint = f"did you mean {near[0]}?"
        elif others:
            hint = f"it belongs to kind {' or '.join(others)}; remove it"
        else:
            hint = f"this kind has {', '.join(model.model_fields)}; remove it"
        found = said(f"is not a setting of kind {kind}: {hint}")
    elif error["type"] == "said":
        found = said(error["msg"])
    else:
        found = error["type"]
    return InitErrorDetails(
        type=found,
        loc=tuple(
            part for part in error["loc"] if part != "[key]"
        ),  # pydantic adds it for a name's own fault
        input=error["input"],
        ctx={} if found is not error["type"] else error.get("ctx", {}),
    )


def _no_clash(tools: tuple[Guard, ...]) -> tuple[Guard, ...]:
    """Reject two tools of one name, two servers of one name, and a second group of built-ins."""
    if len(tools) > MOST_TOOLS:
        raise said(
            f"has more than {MOST_TOOLS} entries, and the model reads all of them each time; remove some"
        )
    owners: dict[str, str] = {}
    labels: set[tuple[str, str]] = set()
    for index, tool in enumerate(tools):
        kind = kind_of(tool)
        label = kind.label(tool)
        if kind.twice is not None and (kind.name, label) in labels:
            setting, fault = kind.twice
            raise at([index, setting], fault.format(label=label))
        labels.add((kind.name, label))
        for name in kind.names(tool):
            if name in owners:
                raise at(
                    [index, kind.names_in],
                    f"{name} is already the name of another tool ({owners[name]}); rename one of them"
                    + (", for example by a prefix" if kind.connects else ""),
                )
            owners[name] = kind.name
    return tools


if TYPE_CHECKING:
    ToolSettings = Guard
else:
    # A type checker cannot see the kinds that the registry has; pydantic, which describes each of them, can.
    ToolSettings = Annotated[Union[tuple(kind.settings for kind in KINDS.values())], _ByKind()]  # noqa: UP007
    """One entry of `tools`."""

ToolsSetting = Annotated[tuple[ToolSettings, ...], AfterValidator(_no_clash)]
"""The setting `tools`."""
