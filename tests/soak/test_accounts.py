"""The soak's accounts notice each frame that is lost or doubled, and each resource that grows."""

import pytest
from tests.soak.ledger import Ledger
from tests.soak.parts import TalkingMicrophone
from tests.soak.run import Outcome, Row, Sample, faults, growths, table
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import frame

from kioskd.media import pcm
from kioskd.rehearsal.alignment import Gate, GateChange
from kioskd.simulator.records import SessionRecord


def a_ledger() -> Ledger:
    """Return a ledger whose microphone captured forty frames, over two connections."""
    microphone = TalkingMicrophone(bytes(pcm.FRAME_BYTES), ManualClock(), seed=1)
    ledger = Ledger(microphone, preroll_frames=0)
    ledger.gates.append(GateChange(0, Gate.SEND))
    for number in range(40):
        if number in (0, 20):
            ledger.came_up()
            ledger.ends("abort" if number == 0 else "1000")
        microphone.frames.append(frame(number))
        microphone.captured += 1
    return ledger


def received(*numbers: int) -> list[SessionRecord]:
    """Return a session that received these frames."""
    session = SessionRecord("a session", "a model", "developer")
    session.audio += b"".join(frame(number) for number in numbers)
    return [session]


def test_a_lost_frame_is_put_down_to_the_ending_of_its_connection() -> None:
    ledger = a_ledger()
    ledger.check(received(*(number for number in range(40) if number not in (3, 25))))
    assert (dict(ledger.lost), dict(ledger.duplicated)) == ({"abort": 1, "1000": 1}, {})


def test_a_doubled_frame_is_put_down_to_the_ending_of_its_connection() -> None:
    ledger = a_ledger()
    ledger.check(received(*range(30), 29, *range(30, 40)))
    assert (dict(ledger.lost), dict(ledger.duplicated)) == ({}, {"1000": 1})


def test_an_account_in_between_misses_no_frame() -> None:
    ledger = a_ledger()
    sessions = received(*range(10))
    ledger.check(sessions)
    assert (ledger.sent, len(ledger.microphone.frames), bytes(sessions[0].audio)) == (10, 30, b"")
    sessions[0].audio += b"".join(frame(number) for number in range(12, 40))
    ledger.check(sessions)
    # A frame that is missing at the beginning of a piece is a lost first word.
    assert (ledger.sent, ledger.first_words_lost, dict(ledger.lost)) == (38, 2, {})
    sessions[0].audio += frame(5)
    ledger.check(sessions)
    assert ledger.foreign == 1, "told again after it was ticked off"


def test_each_fault_is_reported_in_words() -> None:
    rows = {"abort": Row([5.0], lost=2), "1007": Row([9.0], lost=1), "1000": Row([7.0], duplicated=1)}
    outcome = Outcome(rows=rows, wrong_greetings=1)
    assert list(faults(outcome)) == [
        "abort: 40 ms of speech lost",
        "1000: 20 ms of speech sent twice",
        "wrong greetings: 1",
    ]
    assert [line.split()[0] for line in table(outcome)][1:4] == ["1000", "1007", "abort"]


@pytest.mark.parametrize("grown", ["rss_mib", "tasks", "fds"])
def test_a_resource_that_grows_is_noticed(grown: str) -> None:
    def sample(second: int, of: str) -> Sample:
        values = {"rss_mib": 100, "tasks": 100, "fds": 100, of: 100 + second}
        return Sample(values["rss_mib"], values["tasks"], values["fds"])

    assert [fault.split()[0] for fault in growths([sample(second, grown) for second in range(100)])] == [
        grown
    ]
    assert list(growths([sample(0, grown) for _ in range(100)])) == []
