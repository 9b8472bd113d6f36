"""The Gemini Live service through Google's SDK, which only this folder imports."""

from kioskd.adapters.gemini.client import WIRE_LOGGERS
from kioskd.adapters.gemini.live import GeminiConfig, GeminiLive, SessionOptions, ToolTrial, Vertex

__all__ = ["WIRE_LOGGERS", "GeminiConfig", "GeminiLive", "SessionOptions", "ToolTrial", "Vertex"]
