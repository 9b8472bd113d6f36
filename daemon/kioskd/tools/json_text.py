"""JSON as tools write it: compact, and rejected if it is not valid JSON."""

import json


def encode(data: object, *, in_order: bool = False) -> str:
    """Return `data` as compact JSON. `in_order` sorts the names, so that equal data give equal texts.

    Raises:
        ValueError, TypeError, RecursionError: `data` cannot be written as JSON.
    """
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=in_order)


def size(data: object) -> int:
    """Return the number of bytes of `data` as JSON in UTF-8; raises as `encode`."""
    return len(encode(data).encode())
