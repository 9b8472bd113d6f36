"""Whether the long forms of tests were asked for, which take minutes to an hour."""

import os
from typing import Final

SLOW: Final = os.environ.get("KIOSKD_SLOW") == "1"


def left_out(how_long: str) -> str | None:
    """Return why a slow test is skipped; None if it runs. `how_long` completes "takes"."""
    return None if SLOW else f"takes {how_long}; KIOSKD_SLOW=1 has it run"
