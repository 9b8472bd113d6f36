"""The composition root: it makes policy, adapters and flow from the settings, and decides nothing itself."""

from kioskd.app.devices import (
    echo_canceller,
    hand,
    pictures,
    presence_spec,
    prompt_notes,
    prompts,
    real_parts,
    subjects,
)
from kioskd.app.kiosk import NewSettings, serve
from kioskd.app.parts import (
    ButtonSpec,
    Devices,
    LampSpec,
    LiveService,
    Parts,
    PresenceSpec,
    ReaderSpec,
    Stores,
)
from kioskd.app.policy import AT_START, core_policy, own_turns, session_of, take_over
from kioskd.app.service import live, read_aloud
from kioskd.app.startup_check import tried, unfit
from kioskd.app.tool_host import ToolSet

__all__ = [
    "AT_START",
    "ButtonSpec",
    "Devices",
    "LampSpec",
    "LiveService",
    "NewSettings",
    "Parts",
    "PresenceSpec",
    "ReaderSpec",
    "Stores",
    "ToolSet",
    "core_policy",
    "echo_canceller",
    "hand",
    "live",
    "own_turns",
    "pictures",
    "presence_spec",
    "prompt_notes",
    "prompts",
    "read_aloud",
    "real_parts",
    "serve",
    "session_of",
    "subjects",
    "take_over",
    "tried",
    "unfit",
]
