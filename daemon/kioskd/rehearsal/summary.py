"""What a rehearsal measured, in numbers, and what was expected of them."""

from typing import Final

from pydantic import BaseModel, ConfigDict


class ExpectationResult(BaseModel):
    """One expectation and whether it was met."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    met: bool


class Summary(BaseModel):
    """The content of `summary.json`. A number is null where what it measures did not occur.

    Where something occurred several times, the named key holds the median and `…_all` each value, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """The scenario's."""
    duration_s: float
    conversations: int
    """Wakes."""
    turns: int
    """Replies that began to sound, greetings apart: each answers one utterance of the visitor."""
    greetings: int
    """Times the model was asked to greet."""
    replies_heard: int
    """Replies that sounded to their end."""
    replies_interrupted: int
    """Replies that sounded and were silenced before their end."""
    connections: int
    """Connections that were set up."""
    rollovers: int
    """Connections that went on with the session of one which was left in good time: announced to end, or old."""
    redials: int
    """Connections of a conversation beyond its first that were no rollovers."""
    sessions: int
    """Sessions that the service began."""
    link_gap_ms: float | None
    """From a connection's end, or its being left, until the next one of the conversation was up."""
    link_gap_ms_all: tuple[float, ...]
    uplink_sent_ms: int
    """Microphone sound that the service received."""
    uplink_lost_ms: int
    """Microphone sound that was meant to be sent, and is missing between a conversation's first and last frame."""
    uplink_duplicated_ms: int
    uplink_reordered_ms: int
    uplink_unasked_ms: int
    """Microphone sound that the service received although the gate was shut or the kiosk asleep."""
    uplink_foreign_ms: int
    """Sound that the service received and the microphone never captured."""
    uplink_gap_ms: float | None
    """The longest pause between two arrivals of sound at the service while it was to be sent, and there was a
    connection."""
    uplink_late_ms: float | None
    """From a frame's capture, while there was a connection and nothing to wait for, to its arrival, at worst."""
    uplink_unheld_ms: int | None
    """Sound that the service received and that was captured when no button was held, nor about to be (by the
    pre-roll), nor just let go; null where no script holds one."""
    own_voice_sent_ms: int
    """Sound that the service received and that was captured while the kiosk could be heard, chimes apart."""
    muted_captured_ms: int | None
    """Sound that the microphone captured while the kiosk was muted; null where it never was."""
    speech_began: int
    """Times the service was told, or noticed, that the visitor begins to speak."""
    speech_ended: int
    speech_lost_ms: float | None
    """What the service has not received of what the visitor said, from its first to its last audible sample. Median."""
    speech_lost_ms_all: tuple[float, ...]
    stream_ends: int
    """Times the service was told that the microphone pauses (audioStreamEnd)."""
    pictures: int
    """Pictures that the service received, in whatever way."""
    pictures_in_silence: int
    """Pictures that came by themselves when the visitor had been silent for 2 s, or had not spoken yet."""
    pictures_congested: int
    """Pictures that came by themselves while the service, as scripted, read slowly, and then what had piled up."""
    pictures_seen: int
    """Pictures that the model had before it when it answered."""
    pictures_same_turn: int
    """Those of them that came when the visitor had finished already: taken for the very answer they were seen in."""
    picture_px: int | None
    """The longer side of the largest."""
    tool_calls: int
    """Functions that the model called."""
    tools_at_once: int
    """How many of them were at work at the same time, at most."""
    tools_answered: int
    tools_cancelled: int
    """Calls that the service took back, as the visitor spoke into the turn."""
    tool_faults: int
    """Answers that were missing, or too many, or for nothing that was called over that connection."""
    reply_gap_ms: float | None
    """How much longer a reply took to be heard than its sound lasts, at worst: gaps in it."""
    prompts: tuple[str, ...]
    """The codes of what the kiosk said for itself, and was heard, in order."""
    cues: tuple[str, ...]
    """The chimes that were heard, in order."""
    first_word_lost_ms: float | None
    """Microphone sound from the pre-roll on that is missing before a conversation's first received frame."""
    first_word_lost_ms_all: tuple[float, ...]
    wake_to_uplink_ms: float | None
    """From the wake to the first sound at the service."""
    wake_to_uplink_ms_all: tuple[float, ...]
    end_of_speech_to_sound_ms: float | None
    """From the last audible sample of the visitor to the first one of the reply."""
    end_of_speech_to_sound_ms_all: tuple[float, ...]
    barge_in_to_silence_ms: float | None
    """From the first audible sample of an interruption to the last one of the reply it silenced."""
    barge_in_to_silence_ms_all: tuple[float, ...]
    press_to_silence_ms: float | None
    """From a press into a reply to that reply's last audible sample."""
    press_to_silence_ms_all: tuple[float, ...]
    stop_ms: float
    """From the order to stop (as by SIGTERM) to the daemon's end."""
    latest_ms: float
    """How much later than real time a frame was captured or a period played, at worst: what else to trust here."""
    exit_code: int
    """What the daemon would have exited with."""
    trouble: str | None
    """Why the daemon or the rehearsal ended before its time."""
    expectations: tuple[ExpectationResult, ...]

    @property
    def met(self) -> bool:
        """Whether the daemon ended well and every expectation was met."""
        return self.exit_code == 0 and all(expectation.met for expectation in self.expectations)


MEASURES: Final = tuple(
    name
    for name, field in Summary.model_fields.items()
    if field.annotation in (int, int | None, float, float | None)
)
"""The numbers of a summary, by name: what an expectation can be about."""
