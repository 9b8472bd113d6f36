"""The owner's settings in the terms of the core."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

DEFAULT_PROFILE: Final = "default"
"""Name of the profile of visitors for whom no other was chosen."""


class UplinkMode(enum.Enum):
    """Condition that opens the uplink while the kiosk listens."""

    ALWAYS = enum.auto()
    VOICE = enum.auto()
    """Only the visitor's voice opens it."""
    HELD = enum.auto()
    """Only the talk button opens it, and only the button marks the visitor's turn; voices are ignored."""


class CameraMode(enum.Enum):
    """Times at which the camera runs and its pictures are sent."""

    NEVER = enum.auto()
    """There is no camera, or it sends pictures only on request."""
    CONVERSATION = enum.auto()
    SPEECH = enum.auto()


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules for the core; all times in seconds."""

    half_duplex: bool = True
    """Shut the uplink while a reply can be heard, because the microphone would hear it too."""
    greeting: bool = False
    """Whether the model speaks first."""
    always_on: bool = False
    """Whether the kiosk wakes at its start, and again after each conversation."""
    uplink_mode: UplinkMode = UplinkMode.ALWAYS
    camera: CameraMode = CameraMode.NEVER
    wake_buttons: frozenset[str] = frozenset()
    """Names of the buttons that wake the kiosk, if nothing else does; empty: something else can."""
    barge_in: bool = False
    """Whether the local detection lets a voice end a reply: the microphone does not hear the kiosk itself."""
    idle_s: float = 20.0
    follow_up_s: float = 20.0
    """Time for the visitor to respond to a reply; before the first reply `idle_s` counts."""
    longest_s: float = 600.0
    warn_s: float = 0.0
    """Time before the end by `longest_s` at which the visitor is warned; 0: never."""
    idle_warn_s: float = 0.0
    """Time before the end by silence at which the visitor is warned; 0: never."""
    extensions: int = 0
    """How often a visitor can have more time in one conversation; 0: a press ends it, warned or not."""
    extension_s: float = 300.0
    """Time that a conversation still lasts after an extension."""
    stretch: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Factor of the visitor's times by the name of the profile; 1 for a name that is not here."""
    think_s: float = 12.0
    """Longest wait for a silent model; gemini-3.8-live may choose not to answer at all."""
    stall_s: float = 4.0
    """Longest wait for the rest of a reply whose audio has stopped. Gaps of 3 s were seen inside replies, and
    in half duplex no visitor is heard meanwhile. Later audio is a reply of its own."""
    tail_s: float = 0.3
    """Time for the room's echo to fade after a reply: the usual reverberation of a shop or hall."""
    grace_s: float = 20.0
    """Time by which a reply may outlast `longest_s`."""
    farewell_s: float = 5.0
    """Longest wait for the farewell of a model that wants to end the conversation."""
    gate_s: float = 10.0
    """Longest time for which a blocking tool holds back speech, because new input would void the call."""
    again_s: float = 2.0
    unreached_s: float = 30.0
    """Time before an always-on kiosk dials again after the service was out of reach: the longest backoff."""
    refused_s: float = 300.0
    """Time between tries of whether refused settings have been mended."""
    quota_s: float = 30.0
    clock_s: float = 10.0
    """Time between dials that test whether the clock is set by now."""
    change_s: float = 5.0
    """Longest wait for a quiet moment after a change of network or settings: the old route may be dead."""
    steady_s: float = 30.0
    """Age at which a connection counts as good; its loss starts the backoff from the beginning."""
    age_s: float = 540.0
    """Age at which a connection is replaced unasked: the service ends connections after about ten minutes."""
    drain_s: float = 60.0
    """Longest wait of an aged connection for a quiet moment."""
    notice_s: float = 240.0
    """Longest use of a connection after its end was announced; with `age_s` and `drain_s` below 15
    minutes."""
    settle_s: float = 1.0
    """Longest wait in a quiet moment for the handle after a reply; some services do not always issue one."""
    margin_s: float = 10.0
    """Time before the announced end at which a connection is replaced, quiet or not."""

    def stretch_of(self, profile: str) -> float:
        """Return the factor of a profile's times."""
        return self.stretch.get(profile, 1.0)
