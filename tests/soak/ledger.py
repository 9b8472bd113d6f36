"""The account of each frame of one kiosk.

It is checked piece by piece, so that the soak itself keeps no sound.
"""

import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.soak.parts import TalkingMicrophone

from kioskd.media import pcm
from kioskd.rehearsal.alignment import Gate, GateChange, align
from kioskd.simulator.records import SessionRecord


@dataclass(slots=True)
class Ledger:
    """Numbers of frames by their fate. Frames are numbered from the first captured one."""

    microphone: TalkingMicrophone
    preroll_frames: int
    gates: list[GateChange] = field(default_factory=lambda: [GateChange(0, Gate.PREROLL)])
    sent: int = 0
    reordered: int = 0
    foreign: int = 0
    """Number of frames that were received but never captured, or captured long before and received again."""
    unasked: int = 0
    first_words_lost: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """Numbers by the ending of the connection during which they were captured."""
    duplicated: Counter[str] = field(default_factory=Counter)
    _ups: list[int] = field(default_factory=list)
    _endings: list[str] = field(default_factory=list)

    def came_up(self) -> None:
        """Note a new connection, whose ending is not known yet."""
        self._ups.append(self.microphone.captured)
        self._endings.append("its own end")

    def ends(self, ending: str) -> None:
        """Note how the present connection will end."""
        if self._endings:
            self._endings[-1] = ending

    def check(self, sessions: Sequence[SessionRecord]) -> None:
        """Compare the captured frames with the received ones, and remove the compared ones from both."""
        captured = self.microphone.frames
        received = [bytes(session.audio) for session in sessions]
        last = next((sound[-pcm.FRAME_BYTES :] for sound in reversed(received) if sound), None)
        if last is None or last not in captured:
            if last is not None:
                self.foreign += sum(len(sound) for sound in received) // pcm.FRAME_BYTES
                _forget(sessions)
            return
        first = self.microphone.captured - len(captured)
        cut = len(captured) - captured[::-1].index(last)
        gates = [GateChange(max(0, change.at_frame - first), change.gate) for change in self.gates]
        found = align(
            captured[:cut], [gate for gate in gates if gate.at_frame < cut], received, self.preroll_frames
        )
        self.sent += found.sent_ms // 20
        self.reordered += found.reordered_ms // 20
        self.foreign += found.foreign_ms // 20
        self.unasked += found.unasked_ms // 20
        self.first_words_lost += sum(found.first_word_lost_ms) // 20
        self.lost.update(self._ending_at(first + frame) for frame in found.lost_frames)
        self.duplicated.update(self._ending_at(first + frame) for frame in found.duplicated_frames)
        del captured[:cut]
        _forget(sessions)
        self._forget_before(first + cut)

    def _ending_at(self, frame: int) -> str:
        place = bisect.bisect_right(self._ups, frame) - 1
        return self._endings[max(place, 0)] if self._endings else "none"

    def _forget_before(self, frame: int) -> None:
        place = max(0, bisect.bisect_right(self._ups, frame) - 1)
        del self._ups[:place], self._endings[:place]
        held = [change for change in self.gates if change.at_frame <= frame]
        self.gates = [GateChange(frame, held[-1].gate), *self.gates[len(held) :]]


def _forget(sessions: Sequence[SessionRecord]) -> None:
    for session in sessions:
        session.audio.clear()
