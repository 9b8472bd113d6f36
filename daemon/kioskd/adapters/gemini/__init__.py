"""The Gemini Live service through Google's SDK, which only this folder imports."""

from kioskd.adapters.gemini.client import WIRE_LOGGERS
from kioskd.adapters.gemini.device_identity import DeviceIdentity
from kioskd.adapters.gemini.live import GeminiConfig, GeminiLive, SessionOptions, ToolTrial, Vertex
from kioskd.adapters.gemini.options import SessionProfile

__all__ = [
    "WIRE_LOGGERS",
    "DeviceIdentity",
    "GeminiConfig",
    "GeminiLive",
    "SessionOptions",
    "SessionProfile",
    "ToolTrial",
    "Vertex",
]
