"""JSON as tools write it: compact, and refused where it is no JSON."""

import json


def encode(data: object, *, in_order: bool = False) -> str:
    """Return `data` as compact JSON; `in_order` of names, so that equal data give equal text.

    Raises:
        ValueError, TypeError, RecursionError: it is no JSON.
    """
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=in_order)


def size(data: object) -> int:
    """Return the bytes of `data` as JSON in UTF-8; raises as `encode`."""
    return len(encode(data).encode())
