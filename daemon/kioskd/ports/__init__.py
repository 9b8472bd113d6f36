"""The daemon's interfaces to the outside: one small Protocol for each thing, and the values that they pass.

Each adapter touches one outside thing and implements one Protocol; `tests/contract/` runs one suite over all
adapters. Callbacks named `sink` or `on_…` are plain functions. They are called in the event loop's thread and
return at once.
"""

from kioskd.media import pcm
from kioskd.ports.audio import GROUP_FRAMES, AudioSource, Microphone, Speaker
from kioskd.ports.camera import Camera, RunningCamera
from kioskd.ports.captions import CaptionScreen, FollowCaptions
from kioskd.ports.controls import DARK, MOST_LINE_CHARS, Button, Edge, Lamp, Light, LineReader
from kioskd.ports.fleet import BrokerMessage, FleetBroker
from kioskd.ports.live import (
    MOST_TOKENS,
    Connection,
    GenerationEnded,
    GoAway,
    Interrupted,
    Live,
    Message,
    ReplyAudio,
    ReplyText,
    ResumptionUpdate,
    Scheduling,
    SpokenText,
    Tool,
    ToolAnswer,
    ToolCall,
    ToolCallsCancelled,
    ToolsCalled,
    TurnComplete,
    UsageReported,
)
from kioskd.ports.remote import ControlServer, MetricFamily, MetricsEndpoint, RequestHandler, SendLine
from kioskd.ports.stores import Preferences, PreferenceStore, Prompts, ResumptionStore
from kioskd.ports.system import Cancellable, Clock, Network, Notifier, TimeEvidence

__all__ = [
    "DARK",
    "GROUP_FRAMES",
    "MOST_LINE_CHARS",
    "MOST_TOKENS",
    "AudioSource",
    "BrokerMessage",
    "Button",
    "Camera",
    "Cancellable",
    "CaptionScreen",
    "Clock",
    "Connection",
    "ControlServer",
    "Edge",
    "FleetBroker",
    "FollowCaptions",
    "GenerationEnded",
    "GoAway",
    "Interrupted",
    "Lamp",
    "Light",
    "LineReader",
    "Live",
    "Message",
    "MetricFamily",
    "MetricsEndpoint",
    "Microphone",
    "Network",
    "Notifier",
    "PreferenceStore",
    "Preferences",
    "Prompts",
    "ReplyAudio",
    "ReplyText",
    "RequestHandler",
    "ResumptionStore",
    "ResumptionUpdate",
    "RunningCamera",
    "Scheduling",
    "SendLine",
    "Speaker",
    "SpokenText",
    "TimeEvidence",
    "Tool",
    "ToolAnswer",
    "ToolCall",
    "ToolCallsCancelled",
    "ToolsCalled",
    "TurnComplete",
    "UsageReported",
    "pcm",
]
