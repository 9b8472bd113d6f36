"""The choice of a subject: keys and patterns, repeated and unknown lines, the moment to tell the model."""

import time

import pytest
from tests.support.core import asleep, listening, run, speaking
from tests.support.fakes_devices import ManualClock

from kioskd.core.effects import Effect
from kioskd.core.events import Event, ModelPrompted, Pressed, ReplyPlayed, ScanRejected, WakeCause, Woken
from kioskd.core.levels import State
from kioskd.flow.link.outbox import Background
from kioskd.flow.subjects.subjects import COUNT_S, LEAST_S, Subject, Subjects, fits

CLOCK = Subject("https://museum.example/clock", "The clock of 1720.", "Greet.", (b"jpeg",))
TOWER = Subject("NFC-77*", "The tower.")
ONE = Subject("NFC-7701", "The first floor of the tower.")


class Bench:
    """The subjects of a kiosk, with its core and an outbox that records."""

    def __init__(self, *subjects: Subject, state: State | None = None) -> None:
        self.clock = ManualClock()
        self.events: list[Event] = []
        self.used: list[Background] = []
        self.changed: list[Background] = []
        self.state = state or asleep()
        self.effects: list[Effect] = []
        self.subjects = Subjects(subjects or (CLOCK, TOWER, ONE), self.events.append, self.clock, self)

    def use(self, background: Background) -> None:
        self.used.append(background)

    def change(self, background: Background) -> None:
        self.changed.append(background)

    def step(self, event: Event) -> None:
        """Let the core take an event, and tell the subjects of it."""
        before = self.state
        self.state, effects = run(before, event)
        self.effects.extend(effects)
        self.subjects.observe(self.clock.now(), event, before, self.state, tuple(effects))

    async def scan(self, line: str) -> Event:
        """Read a line after a pause, and let the core take the event that it causes."""
        await self.clock.advance(LEAST_S)
        self.subjects.read(line)
        event = self.events.pop()
        self.step(event)
        return event


@pytest.mark.parametrize(
    ("pattern", "line", "fitting"),
    [
        ("clock", "clock", True),
        ("clock", "clock ", False),
        ("clock", "Clock", False),
        ("a*", "a", True),
        ("a*", "abc", True),
        ("a*", "ba", False),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "axxbxxc", True),
        ("a*b*c", "axxcxxb", False),
        ("ab*ba", "aba", False),
        ("*b*", "abc", True),
        ("a**b", "ab", True),
        ("a*ab*b", "aabab", True),
        ("[a-z]+", "a", False),
        ("a?", "ab", False),
    ],
)
def test_a_pattern_fits_a_whole_line(pattern: str, line: str, fitting: bool) -> None:
    assert fits(pattern, line) is fitting


def test_a_hostile_line_takes_no_long_time() -> None:
    began = time.process_time()
    for _ in range(100):
        assert not fits("*a" * 100 + "b", "a" * 200)
    assert time.process_time() - began < 1.0


def test_the_key_itself_comes_before_a_pattern_and_the_first_pattern_before_others() -> None:
    subjects = Bench(Subject("N*", "any"), TOWER, ONE).subjects
    found = [subjects.find(line) for line in ("NFC-7701", "NFC-7702", "x")]
    assert [subject and subject.key for subject in found] == ["NFC-7701", "N*", None]


async def test_a_scan_wakes_the_kiosk_with_the_subject_and_its_greeting() -> None:
    it = Bench()
    assert await it.scan(CLOCK.key) == Woken(WakeCause.SCAN, about=CLOCK.key, greets=True)
    ((background,), changed) = it.used, it.changed
    assert (background.pictures, background.greeting, changed) == ((b"jpeg",), "Greet.", [])
    assert background.text.endswith("and may ask about it: The clock of 1720.")
    assert it.subjects.current is CLOCK
    assert it.subjects.counts == {"chosen": 1}


async def test_a_pattern_chooses_by_its_key_so_that_the_line_goes_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    it = Bench()
    assert await it.scan("NFC-7755-secret") == Woken(WakeCause.SCAN, about="NFC-77*")
    assert caplog.messages == ["subject chosen: key=NFC-77* cause=scan"]
    assert "secret" not in repr([it.used, it.subjects.current, it.subjects.counts])


async def test_a_scan_in_a_conversation_tells_the_model_at_once_in_a_quiet_moment() -> None:
    it = Bench(state=listening())
    await it.scan(TOWER.key)
    assert [each.text[-10:] for each in it.changed] == ["The tower."]
    assert (it.used, it.events) == ([], []), "without a greeting the model is not asked to speak"
    await it.scan(CLOCK.key)
    assert it.events == [ModelPrompted()]
    assert it.subjects.counts == {"chosen": 2}


async def test_a_scan_into_a_reply_tells_the_model_after_the_reply_and_only_of_the_last_one() -> None:
    it = Bench(state=speaking())
    await it.scan(TOWER.key)
    await it.scan(CLOCK.key)
    assert it.changed == []
    it.state = listening()
    it.step(ReplyPlayed(0))
    assert it.changed == [CLOCK.background]
    it.step(ReplyPlayed(0))
    assert len(it.changed) == 1


async def test_the_same_subject_again_changes_nothing() -> None:
    it = Bench()
    await it.scan(CLOCK.key)
    await it.scan(CLOCK.key)
    assert (len(it.used), it.changed) == (1, [])
    assert it.subjects.counts == {"chosen": 1, "repeated": 1}


async def test_a_conversation_forgets_its_subject_at_its_end() -> None:
    it = Bench()
    await it.scan(CLOCK.key)
    it.step(Pressed())
    assert not it.state.turn.awake
    assert it.subjects.current is None
    it.step(Pressed())
    assert it.subjects.current is None
    await it.scan(TOWER.key)
    assert it.subjects.current is TOWER


async def test_a_scan_that_cannot_wake_chooses_nothing() -> None:
    it = Bench(state=State(asleep().turn, asleep().link, started=True, muted=True))
    await it.scan(CLOCK.key)
    assert (it.subjects.current, it.used) == (None, [])


@pytest.mark.parametrize("line", ["", "ticket-4711", "*", "a" * 200, "\N{REPLACEMENT CHARACTER}"])
async def test_an_unknown_line_is_counted_and_told_without_its_text(
    line: str, caplog: pytest.LogCaptureFixture
) -> None:
    it = Bench()
    assert await it.scan(line) == ScanRejected()
    assert it.subjects.counts == {"rejected": 1}
    (message,) = caplog.messages
    assert message.endswith("count=1")
    assert not line or line not in message


async def test_a_flood_of_lines_causes_one_chime_and_one_journal_line_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Bench()
    for _ in range(1000):
        it.subjects.read("x")
        it.subjects.read(CLOCK.key)
    assert it.events == [ScanRejected()]
    await it.clock.advance(COUNT_S)
    await it.clock.advance(COUNT_S)
    assert [message.rpartition("count=")[2] for message in caplog.messages] == ["1", "1999"]
    await it.clock.advance(10 * COUNT_S)
    assert len(caplog.messages) == 2


def test_a_command_chooses_as_a_line_does() -> None:
    it = Bench()
    assert it.subjects.call("NFC-7702", WakeCause.REMOTE) == Woken(WakeCause.REMOTE, about="NFC-77*")
    assert it.subjects.call("nothing", WakeCause.REMOTE) is None
    assert it.subjects.keys == (CLOCK.key, TOWER.key, ONE.key)
