"""The fields of a setup that an ephemeral token locks."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from kioskd.simulator.ephemeral_tokens import TokenLock
from kioskd.simulator.schema import Setup
from kioskd.simulator.wire import RefusalError


def effective_setup(setup: Setup, lock: TokenLock | None, *, refuse: bool = False) -> Setup:
    """Return the setup that counts: the client's, with the token's values in the locked fields.

    Google documents that the token's values replace the client's.

    Raises:
        RefusalError: with `refuse`, the client sent another value for a locked field.
    """
    if lock is None:
        return setup
    fixed = dict(lock.setup)
    if lock.fields is None:
        return Setup.model_validate(fixed)
    given: dict[str, Any] = setup.model_dump(by_alias=True, exclude_none=True)
    for path in lock.fields:
        own, theirs = _value(fixed, path), _value(given, path)
        if refuse and theirs is not None and theirs != own:
            raise RefusalError(f"Invalid value at 'setup.{path}': the ephemeral token fixes it")
        _put(given, path, own)
    return Setup.model_validate(given)


def parsed_lock(setup: Mapping[str, Any] | None, mask: str | None) -> TokenLock | None:
    """Return the lock of a request for a token; None if it locks nothing.

    Raises ValueError for a setup or a field mask that the service does not define.
    """
    if setup is None:
        if mask:
            raise ValueError("field_mask needs a bidi_generate_content_setup")
        return None
    try:
        whole = Setup.model_validate(setup).model_dump(by_alias=True, exclude_none=True)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ValueError(f"invalid value at 'bidi_generate_content_setup.{where}'") from None
    if not mask:
        return TokenLock(whole, None)
    fields = tuple(field.strip() for field in mask.split(","))
    for field in fields:
        _check_path(field)
    return TokenLock(whole, fields)


def _check_path(path: str) -> None:
    model: Any = Setup
    for step in path.split("."):
        fields: dict[str, Any] = getattr(model, "model_fields", {})
        names = {field.alias: field for field in fields.values()}
        if step not in names:
            raise ValueError(f"field_mask names an unknown field: {path[:60]}")
        # The first part of `Section | None` is the section.
        annotation: Any = names[step].annotation
        model = getattr(annotation, "__args__", (annotation,))[0]


def _value(data: Mapping[str, Any], path: str) -> Any:
    found: Any = data
    for step in path.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return None
        found = found[step]
    return found


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for step in parents:
        data = data.setdefault(step, {})
    if value is None:
        data.pop(name, None)
    else:
        data[name] = value
