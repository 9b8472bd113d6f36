"""The composition root: settings -> policy, adapters, flow. It knows everybody and decides nothing."""

from kioskd.app.kiosk import Renewal, serve
from kioskd.app.meaning import AT_START, own_turns, policy, renewed, session_of
from kioskd.app.parts import (
    Hand,
    Lit,
    Parts,
    echo_canceller,
    hand,
    pictures,
    prompts,
    real_parts,
)
from kioskd.app.service import live, read_aloud
from kioskd.app.tool_desk import Tools
from kioskd.app.tools import described
from kioskd.app.trial import tried, unfit

__all__ = [
    "AT_START",
    "Hand",
    "Lit",
    "Parts",
    "Renewal",
    "Tools",
    "described",
    "echo_canceller",
    "hand",
    "live",
    "own_turns",
    "pictures",
    "policy",
    "prompts",
    "read_aloud",
    "real_parts",
    "renewed",
    "serve",
    "session_of",
    "tried",
    "unfit",
]
