"""What the owner's settings mean for the core."""

import enum
from dataclasses import dataclass


class UplinkMode(enum.Enum):
    """What opens the uplink while the kiosk listens."""

    ALWAYS = enum.auto()
    VOICE = enum.auto()
    """Only the visitor's voice."""
    HELD = enum.auto()
    """Only the talk button, which is also who has the word: voices mean nothing."""


class CameraMode(enum.Enum):
    """When the camera runs and its pictures are sent."""

    NEVER = enum.auto()
    """There is none, or only on request."""
    CONVERSATION = enum.auto()
    SPEECH = enum.auto()


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one daemon's life; all times in seconds."""

    half_duplex: bool = True
    """Shut the uplink while a reply can be heard: the microphone would hear it too."""
    greeting: bool = False
    """The model speaks first."""
    always_on: bool = False
    """Wake at start, and again after each conversation."""
    uplink_mode: UplinkMode = UplinkMode.ALWAYS
    camera: CameraMode = CameraMode.NEVER
    wake_buttons: frozenset[str] = frozenset()
    """The names of the buttons that wake the kiosk, where nothing else does; empty: something else does, too."""
    barge_in: bool = False
    """The visitor's voice ends a reply by our own hearing: the microphone hears them and not the kiosk."""
    idle_s: float = 20.0
    follow_up_s: float = 20.0
    """How long the visitor may come back to a reply; `idle_s` is for who has had none yet."""
    longest_s: float = 600.0
    think_s: float = 12.0
    """How long a silent model is waited for; gemini-3.8-live may choose not to answer at all."""
    stall_s: float = 4.0
    """How long the rest of a reply is waited for in silence. Gaps of 3 s were seen in replies that went on; and in half
    duplex nobody is heard meanwhile. What comes later is a reply of its own."""
    tail_s: float = 0.3
    """How long a room goes on ringing after the loudspeaker: the usual reverberation of a shop or hall."""
    grace_s: float = 20.0
    """How long a reply may go on after `longest_s`."""
    farewell_s: float = 5.0
    """How long a model that wants to end the conversation is waited for to say so."""
    gate_s: float = 10.0
    """How long a tool that holds the model up may keep what the visitor says waiting: it would void the call."""
    again_s: float = 2.0
    unreached_s: float = 30.0
    """How long an always-on kiosk waits when the service could not be reached: as long as the longest backoff."""
    refused_s: float = 300.0
    """How often it is tried whether settings that the service refused have been mended."""
    quota_s: float = 30.0
    clock_s: float = 10.0
    """How often a clock that is not set yet is looked at, by dialing."""
    change_s: float = 5.0
    """How long a quiet moment is waited for when the network or the settings have changed: the way may be dead."""
    steady_s: float = 30.0
    """A connection that lived so long was a good one: the next loss starts the backoff anew."""
    age_s: float = 540.0
    """A connection this old is renewed unasked: the service ends them at about ten minutes."""
    drain_s: float = 60.0
    """How long an aged connection waits for a quiet moment."""
    notice_s: float = 240.0
    """How long a connection that was announced to end is kept at most: with the two above, well below 15 minutes."""
    settle_s: float = 1.0
    """How long a quiet moment waits for the handle that follows a reply; not every service issues one each time."""
    margin_s: float = 10.0
    """How long before the announced end a connection is left, quiet or not."""
