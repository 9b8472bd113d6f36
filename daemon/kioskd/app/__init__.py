"""The composition root: settings -> policy, adapters, flow. It knows everybody and decides nothing."""

from kioskd.app.kiosk import Renewal, serve
from kioskd.app.meaning import AT_START, own_turns, policy, renewed, session_of
from kioskd.app.parts import Hand, Lit, Parts, echo_canceller, hand, misfits, pictures, prompts, real_parts
from kioskd.app.service import live
from kioskd.app.tool_desk import Tools
from kioskd.app.tools import described

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
    "misfits",
    "own_turns",
    "pictures",
    "policy",
    "prompts",
    "real_parts",
    "renewed",
    "serve",
    "session_of",
]
