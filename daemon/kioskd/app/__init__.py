"""The composition root: settings -> policy, adapters, flow. It knows everybody and decides nothing."""

from kioskd.app.kiosk import Renewal, serve
from kioskd.app.meaning import NEEDS_RESTART, policy, session_of
from kioskd.app.parts import Hand, Lit, Parts, echo_canceller, hand, misfits, pictures, prompts, real_parts
from kioskd.app.service import live
from kioskd.app.tool_desk import Tools

__all__ = [
    "NEEDS_RESTART",
    "Hand",
    "Lit",
    "Parts",
    "Renewal",
    "Tools",
    "echo_canceller",
    "hand",
    "live",
    "misfits",
    "pictures",
    "policy",
    "prompts",
    "real_parts",
    "serve",
    "session_of",
]
