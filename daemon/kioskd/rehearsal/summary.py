"""The summary of a rehearsal: its measured numbers, and its expectations."""

from typing import Final

from pydantic import BaseModel, ConfigDict


class ExpectationResult(BaseModel):
    """One expectation and whether it was met."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    met: bool


class Summary(BaseModel):
    """The content of `summary.json`. A number is null if the thing that it measures did not occur.

    If it occurred several times, the named key holds the median, and `…_all` holds all values in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Name of the scenario."""
    duration_s: float
    conversations: int
    """Number of wakes."""
    turns: int
    """Replies that began to sound, without greetings: each answers one utterance of the visitor."""
    greetings: int
    """Times that the daemon asked the model for a greeting."""
    replies_heard: int
    """Replies that sounded to their end."""
    replies_interrupted: int
    """Replies that sounded and were silenced before their end."""
    connections: int
    """Connections that were set up."""
    rollovers: int
    """Connections that continued the session of a connection left in time, as it was old or about to end."""
    redials: int
    """Later connections of a conversation that were no rollovers."""
    sessions: int
    """Sessions that the service began."""
    link_gap_ms: float | None
    """From the end of a connection until the next connection of the conversation was up."""
    link_gap_ms_all: tuple[float, ...]
    uplink_sent_ms: int
    """Microphone sound that the service received."""
    uplink_lost_ms: int
    """Microphone sound to be sent that is missing between a conversation's first and last received frame."""
    uplink_duplicated_ms: int
    uplink_reordered_ms: int
    uplink_unasked_ms: int
    """Microphone sound that the service received although the gate was shut or the kiosk asleep."""
    uplink_foreign_ms: int
    """Sound that reached the simulator and equals nothing that the microphone captured: a fault."""
    uplink_gap_ms: float | None
    """Longest pause between two arrivals of sound, while sound had to be sent over a connection."""
    uplink_late_ms: float | None
    """Longest way of a frame that could be sent at once, from its capture to its arrival at the service."""
    uplink_unheld_ms: int | None
    """Received sound that was captured while no button was held; null if the script holds none.

    The pre-roll before a hold, and the sound that is still sent after the release, belong to the hold.
    """
    own_voice_sent_ms: int
    """Received sound that was captured while the kiosk was audible, without chimes."""
    muted_captured_ms: int | None
    """Sound that the microphone captured while the kiosk was muted; null if it never was."""
    speech_began: int
    """Times that the service noticed, or the daemon told it, that the visitor begins to speak."""
    speech_ended: int
    speech_lost_ms: float | None
    """Speech of an utterance that the service did not receive, from the first to the last audible sample.

    Median.
    """
    speech_lost_ms_all: tuple[float, ...]
    stream_ends: int
    """Times that the daemon told the service that the microphone pauses (audioStreamEnd)."""
    pictures: int
    """Pictures that the service received on any way."""
    pictures_in_silence: int
    """Unrequested pictures after the visitor had been silent for 2 s, or before the first word."""
    pictures_congested: int
    """Unrequested pictures that came while the service, as scripted, read slowly or read its backlog."""
    pictures_seen: int
    """Pictures that were part of the model's context when it answered."""
    pictures_same_turn: int
    """Seen pictures that were taken after the visitor had finished, for the answer of the same turn."""
    picture_px: int | None
    """Longer side of the largest picture."""
    tool_calls: int
    """Functions that the model called."""
    tools_at_once: int
    """Most functions that were at work at the same time."""
    tools_answered: int
    tools_cancelled: int
    """Calls that the service cancelled, because the visitor interrupted the turn."""
    tool_faults: int
    """Answers that were missing, that were too many, or whose call came over another connection."""
    reply_gap_ms: float | None
    """Longest total of the gaps in a reply: the time that it took, less the duration of its sound."""
    prompts: tuple[str, ...]
    """Codes of the prompts that were heard, in order."""
    announcements: int
    """Announcements that were heard to their end."""
    cues: tuple[str, ...]
    """Chimes that were heard, in order."""
    first_word_lost_ms: float | None
    """Sound from the pre-roll on that is missing before a conversation's first received frame."""
    first_word_lost_ms_all: tuple[float, ...]
    wake_to_uplink_ms: float | None
    """From the wake to the first sound at the service."""
    wake_to_uplink_ms_all: tuple[float, ...]
    end_of_speech_to_sound_ms: float | None
    """From the last audible sample of the visitor to the first audible sample of the reply."""
    end_of_speech_to_sound_ms_all: tuple[float, ...]
    barge_in_to_silence_ms: float | None
    """From the first audible sample of an interruption to the last audible sample of the reply."""
    barge_in_to_silence_ms_all: tuple[float, ...]
    caption_off_ms: float | None
    """From the last word of a silenced reply's caption to the silence. 0: that word was being heard.

    Median.
    """
    caption_off_ms_all: tuple[float, ...]
    press_to_silence_ms: float | None
    """From a press into a reply to that reply's last audible sample."""
    press_to_silence_ms_all: tuple[float, ...]
    stop_ms: float
    """From the signal to stop (like SIGTERM) to the daemon's end."""
    latest_ms: float
    """Longest delay of a captured frame or a played period against real time.

    If it is long, distrust other times.
    """
    exit_code: int
    """Exit code that the daemon would have had."""
    trouble: str | None
    """Why the daemon or the rehearsal ended too early; null if it did not."""
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
"""Names of the numbers of a summary; an expectation can refer to each of them."""
