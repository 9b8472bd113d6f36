import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from kioskd import journal_ids, log_entries, logs
from kioskd.errors import ConfigError

# A logger of its own, so that no handler of the test runner sees these lines.
OURS = logging.Logger("kioskd.test_logs", logging.DEBUG)  # noqa: LOG001 - see above


class Wall:
    """Keeps the entries that are written to it. It can block, and it can fail."""

    def __init__(self) -> None:
        self.entries: list[log_entries.JournalEntry] = []
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()
        self.broken = False

    def write(self, entry: log_entries.JournalEntry) -> None:
        self.reached.set()
        assert self.open.wait(10)
        if self.broken:
            raise OSError("no space left on device")
        self.entries.append(entry)

    @property
    def messages(self) -> list[str]:
        return [entry.message for entry in self.entries]


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def handler(wall: Wall) -> Iterator[logs.QueuedHandler]:
    handler = logs.QueuedHandler(wall.write)
    OURS.addHandler(handler)
    yield handler
    wall.open.set()
    OURS.removeHandler(handler)
    handler.close()


Log = Callable[[Callable[[], None]], log_entries.JournalEntry]


@pytest.fixture
def entry_of(wall: Wall, handler: logs.QueuedHandler) -> Log:
    def entry(call: Callable[[], None]) -> log_entries.JournalEntry:
        call()
        handler.flush()
        return wall.entries[-1]

    return entry


def test_level_is_info_unless_asked_otherwise() -> None:
    asked = [
        logs.level(env)
        for env in ({}, {"KIOSKD_LOG": ""}, {"KIOSKD_LOG": "debug"}, {"KIOSKD_LOG": "warning"})
    ]
    assert asked == [logging.INFO, logging.INFO, logging.DEBUG, logging.WARNING]


def test_an_unknown_log_level_is_rejected_and_the_known_ones_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^KIOSKD_LOG is 'loud', but must be one of debug, info, warning"):
        logs.level({"KIOSKD_LOG": "loud"})


@pytest.mark.parametrize(
    ("level", "priority", "word"),
    [
        (logging.DEBUG, "7", "debug"),
        (logging.INFO, "6", "info"),
        (logging.WARNING, "4", "warn"),
        (logging.ERROR, "3", "error"),
        (logging.CRITICAL, "2", "fatal"),
        (logging.INFO + 5, "6", "info"),
        (1, "7", "debug"),
    ],
)
def test_levels_have_the_priorities_of_syslog(level: int, priority: str, word: str) -> None:
    record = logging.LogRecord("kioskd", level, __file__, 1, "", (), None)
    entry = log_entries.JournalEntry(record, "link up")
    assert log_entries.journal_fields(entry)["PRIORITY"] == priority
    assert log_entries.line(entry, prefixed=True) == f"<{priority}>link up\n"
    assert log_entries.line(entry, prefixed=False)[8:] == f" {word:<5} link up\n"


def test_journal_gets_fields_of_its_own_and_of_the_caller(entry_of: Log) -> None:
    mark = uuid4().hex
    extra = {"fields": {"epoch": 3, "waited-s": 1.5, 7: "seven", "x" * 100: ""}, "message_id": mark}
    fields = log_entries.journal_fields(entry_of(lambda: OURS.info("link up: epoch=%d", 3, extra=extra)))
    line = fields.pop("CODE_LINE")
    assert isinstance(line, int)
    assert "OURS.info(" in Path(__file__).read_text().splitlines()[line - 1]
    assert fields == {
        "MESSAGE": "link up: epoch=3",
        "MESSAGE_ID": mark,
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "kioskd",
        "LOGGER": "kioskd.test_logs",
        "THREAD_NAME": "MainThread",
        "CODE_FILE": __file__,
        "CODE_FUNC": "<lambda>",
        "KIOSKD_EPOCH": "3",
        "KIOSKD_WAITED_S": "1.5",
        "KIOSKD_7": "seven",
        "KIOSKD_" + "X" * 57: "",
    }


def test_journal_writer_sends_all_fields_at_once() -> None:
    sent: list[dict[str, str | int]] = []

    def send(**fields: str | int) -> None:
        sent.append(fields)

    entry = log_entries.JournalEntry(
        logging.LogRecord("kioskd", logging.INFO, __file__, 1, "", (), None), "asleep"
    )
    log_entries.journal_writer(send)(entry)
    assert sent == [log_entries.journal_fields(entry)]


def test_arguments_never_reach_the_journal_beside_the_message(entry_of: Log) -> None:
    entry = entry_of(lambda: OURS.info("%.3s", "sesame-open"))
    assert "sesame" not in str(log_entries.journal_fields(entry))


def test_a_message_stays_one_line_without_control_characters(entry_of: Log) -> None:
    entry = entry_of(lambda: OURS.info("link lost: %s", "bye\n<0>all is lost\x1b[2J\u2028\udcff"))
    assert (
        log_entries.line(entry, prefixed=True) == "<6>link lost: bye\\n<0>all is lost\\x1b[2J\\u2028\\udcff\n"
    )


def test_long_message_is_cut(entry_of: Log) -> None:
    entry = entry_of(lambda: OURS.info("%s", "x" * 100_000))
    assert (len(entry.message), entry.message[-1]) == (log_entries.LINE_CHARS, "…")


def test_stack_trace_follows_line_by_line(entry_of: Log) -> None:
    def fail() -> None:
        try:
            os.environ["NO\nSUCH KEY"]
        except KeyError:
            OURS.exception("engine failed")

    entry = entry_of(fail)
    lines = log_entries.line(entry, prefixed=True).splitlines()
    assert lines[:2] == ["<3>engine failed", "<3>Traceback (most recent call last):"]
    assert lines[-1] == "<3>KeyError: 'NO\\nSUCH KEY'"
    assert all(line.startswith("<3>") for line in lines)
    assert str(log_entries.journal_fields(entry)["MESSAGE"]).startswith("engine failed\nTraceback")
    assert str(log_entries.journal_fields(entry)["EXCEPTION_TEXT"]).startswith("Traceback")


def test_a_librarys_line_names_its_logger() -> None:
    record = logging.LogRecord("websockets.client", logging.WARNING, __file__, 1, "", (), None)
    assert (
        log_entries.line(log_entries.JournalEntry(record, "odd frame"), prefixed=True)
        == "<4>websockets.client: odd frame\n"
    )


class Spiteful:
    def __str__(self) -> str:
        raise RuntimeError("I will not be logged")


@pytest.mark.parametrize(
    "call",
    [
        lambda: OURS.info("epoch=%d", "three"),
        lambda: OURS.info("%s", Spiteful()),
        lambda: OURS.info("fine", extra={"fields": {"x": Spiteful()}}),
    ],
)
def test_a_line_that_cannot_be_formatted_is_reported_and_raises_nothing(
    entry_of: Log, call: Callable[[], None]
) -> None:
    assert entry_of(call).message.startswith("cannot format a log line: format=")


def test_a_stalled_reader_delays_no_caller_and_dropped_lines_are_counted(
    wall: Wall, handler: logs.QueuedHandler
) -> None:
    wall.open.clear()
    OURS.info("first")
    assert wall.reached.wait(10)
    for number in range(logs.QUEUE_LINES + 7):
        OURS.info("line %d", number, extra={"visitor": True})  # so that no line is held back
    wall.open.set()
    handler.flush()
    OURS.info("last")
    handler.flush()
    assert len(wall.messages) == 1 + 1 + logs.QUEUE_LINES + 1
    assert wall.messages[:3] == ["first", "log lines lost: count=7", "line 0"]
    assert wall.messages[-2:] == [f"line {logs.QUEUE_LINES - 1}", "last"]


def test_flush_gives_up_on_a_stalled_reader(
    wall: Wall, handler: logs.QueuedHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FLUSH_S", 0.01)
    wall.open.clear()
    OURS.info("held")
    handler.flush()
    assert wall.messages == []


def test_lines_that_could_not_be_written_are_counted(wall: Wall, handler: logs.QueuedHandler) -> None:
    wall.broken = True
    OURS.info("one")
    OURS.info("two")
    handler.flush()
    wall.broken = False
    OURS.info("three")
    handler.flush()
    assert wall.messages == ["log lines lost: count=2", "three"]


# Repeated lines


class Hours:
    """A clock for the throttle, set by hand."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def now(self) -> float:
        return self.at_s


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def patient(wall: Wall, hours: Hours) -> Iterator[logs.QueuedHandler]:
    handler = logs.QueuedHandler(wall.write, hours.now)
    OURS.addHandler(handler)
    yield handler
    OURS.removeHandler(handler)
    handler.close()


def outage(tries: int) -> None:
    for epoch in range(1, tries + 1):
        OURS.warning("link lost: epoch=%d", epoch, extra={"fields": {"epoch": epoch}})


def test_a_repeated_line_is_counted_and_the_count_is_written_once_an_hour(
    wall: Wall, hours: Hours, patient: logs.QueuedHandler
) -> None:
    outage(10)
    hours.at_s = 3600.0
    OURS.info("asleep")
    patient.flush()
    assert wall.messages == [
        *(f"link lost: epoch={epoch}" for epoch in (1, 2, 3)),
        "7 more of this kind of line, the last was: link lost: epoch=10",
        "asleep",
    ]
    fields = log_entries.journal_fields(wall.entries[3])
    assert (fields["MESSAGE_ID"], fields["PRIORITY"]) == (journal_ids.MORE_LIKE_IT, "4")
    assert fields["KIOSKD_EPOCH"] == "10"


def test_a_visitors_line_is_always_written_and_ends_the_counting(
    wall: Wall, patient: logs.QueuedHandler
) -> None:
    outage(5)
    for number in range(1, 6):
        OURS.info("turn %d", number, extra={"visitor": True})
    outage(1)
    patient.flush()
    assert wall.messages == [
        *(f"link lost: epoch={epoch}" for epoch in (1, 2, 3)),
        "2 more of this kind of line, the last was: link lost: epoch=5",
        *(f"turn {number}" for number in range(1, 6)),
        "link lost: epoch=1",
    ]


def test_an_audit_line_is_always_written_and_ends_no_counting(
    wall: Wall, patient: logs.QueuedHandler
) -> None:
    outage(5)
    for number in range(1, 6):
        OURS.info("token %d", number, extra={"audit": True})
    outage(1)
    patient.flush()
    assert wall.messages == [
        *(f"link lost: epoch={epoch}" for epoch in (1, 2, 3)),
        *(f"token {number}" for number in range(1, 6)),
    ]


def test_lines_of_different_devices_are_of_different_kinds(wall: Wall, patient: logs.QueuedHandler) -> None:
    for _ in range(5):
        OURS.warning("%s lost: %s", "lamp", "gone")
    OURS.warning("%s lost: %s", "microphone", "gone")
    patient.flush()
    assert wall.messages[-1] == "microphone lost: gone"
    assert len(wall.messages) == 4


def test_tracebacks_and_debug_lines_are_never_held_back(wall: Wall, patient: logs.QueuedHandler) -> None:
    for _ in range(5):
        OURS.debug("= asleep")
        try:
            int("x")
        except ValueError:
            OURS.exception("bug")
    patient.flush()
    assert wall.messages == ["= asleep", "bug"] * 5


def test_at_the_level_debug_no_line_is_held_back(
    wall: Wall, patient: logs.QueuedHandler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kioskd")
    outage(10)
    patient.flush()
    assert len(wall.messages) == 10


def test_every_line_has_the_common_fields_and_its_own_fields_have_precedence(entry_of: Log) -> None:
    logs.set_common_fields({"state": "speaking", "epoch": 3})
    try:
        surrounded = entry_of(lambda: OURS.info("odd", extra={"fields": {"epoch": 4}}))
    finally:
        logs.set_common_fields({})
    assert surrounded.fields == {"state": "speaking", "epoch": "4"}
    assert entry_of(lambda: OURS.info("even")).fields == {}


def test_closing_writes_the_queued_lines_and_ends_the_thread(wall: Wall) -> None:
    before = set(threading.enumerate())
    handler = logs.QueuedHandler(wall.write)
    [thread] = set(threading.enumerate()) - before
    handler.handle(logging.LogRecord("kioskd", logging.INFO, __file__, 1, "bye", (), None))
    handler.close()
    thread.join(10)
    assert not thread.is_alive()
    assert wall.messages == ["bye"]


def test_line_writer_writes_utf8() -> None:
    reader, writer = os.pipe()
    entry = log_entries.JournalEntry(
        logging.LogRecord("kioskd", logging.INFO, __file__, 1, "", (), None), "café ☕"
    )
    log_entries.line_writer(writer, prefixed=True)(entry)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        assert stream.read() == "<6>café ☕\n"


def test_the_journal_is_recognised_by_its_stream(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        stat = os.fstat(stream.fileno())
        assert logs.is_journal({"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}, stream.fileno())
        assert not logs.is_journal({"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino + 1}"}, stream.fileno())
        assert not logs.is_journal({}, stream.fileno())


def said_by(program: str, stderr: Path, **environ: str) -> list[str]:
    """Run `program` in a Python process, its standard error in a file, and return the lines of that file."""
    root = Path(logs.__file__).parents[1]
    clean = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
    with stderr.open("w") as file:
        subprocess.run(
            [sys.executable, "-c", program],
            env=clean | {"PYTHONPATH": str(root)} | environ,
            stderr=file,
            check=True,
            timeout=240,
        )
    return stderr.read_text().splitlines()


FOREIGN = ("asyncio", "google", "websockets", "someone.else", "kioskd_imposter")

SET_UP = "import logging, os, sys; from kioskd import logs; logs.set_up(logging.DEBUG)\n"


def test_lines_survive_a_redirected_standard_error_and_the_end_of_the_process(tmp_path: Path) -> None:
    program = SET_UP + (
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"
        "logging.getLogger('kioskd.app').info('asleep: budget=%d', 3)\n"
        "logs.set_up(logging.DEBUG)\n"
        "logging.getLogger('kioskd').debug('= listening')\n"
    )
    lines = said_by(program, tmp_path / "err")
    assert [line[8:] for line in lines] == [" info  asleep: budget=3", " debug = listening"]
    assert all(line[2] == line[5] == ":" for line in lines)


def test_libraries_log_from_warning_up_whatever_level_they_set(tmp_path: Path) -> None:
    program = SET_UP + (
        f"for name in {FOREIGN!r}:\n"
        "    log = logging.getLogger(name)\n"
        "    assert not log.isEnabledFor(logging.INFO), name\n"
        "    log.setLevel(logging.DEBUG)\n"
        "    log.info('key and audio')\n"
        "    log.warning('odd')\n"
    )
    lines = said_by(program, tmp_path / "err")
    named = [line.split(maxsplit=2)[2] for line in lines]
    assert named == [f"{name}: odd" for name in FOREIGN]


def test_journal_stream_without_the_library_gets_priorities(tmp_path: Path) -> None:
    program = (
        "import logging, os, sys; from kioskd import logs\n"
        "sys.modules['systemd.journal'] = None\n"
        "stat = os.fstat(2); os.environ['JOURNAL_STREAM'] = f'{stat.st_dev}:{stat.st_ino}'\n"
        "logs.set_up(logging.INFO)\n"
        "logging.getLogger('kioskd').warning('microphone lost')\n"
    )
    assert said_by(program, tmp_path / "err") == ["<4>microphone lost"]


def test_with_the_library_the_journals_stream_gets_no_lines(tmp_path: Path) -> None:
    pytest.importorskip("systemd.journal", reason="systemd-python is not installed")
    program = (
        "import logging, os; from systemd import journal; sent = []\n"
        "journal.send = lambda **fields: sent.append(fields['MESSAGE'])\n"
        "from kioskd import logs\n"
        "stat = os.fstat(2); os.environ['JOURNAL_STREAM'] = f'{stat.st_dev}:{stat.st_ino}'\n"
        "logs.set_up(logging.INFO)\n"
        "logging.getLogger('kioskd').info('asleep'); logging.getLogger().handlers[0].flush()\n"
        "assert sent == ['asleep'], sent\n"
    )
    assert said_by(program, tmp_path / "err") == []


def test_daemon_without_standard_error_runs_silently(tmp_path: Path) -> None:
    program = SET_UP + "logging.getLogger('kioskd').info('asleep')\n"
    (tmp_path / "run.py").write_text(program)
    closed = f"exec '{sys.executable}' '{tmp_path / 'run.py'}' 2>&-"
    root = Path(logs.__file__).parents[1]
    subprocess.run(["/bin/sh", "-c", closed], env={"PYTHONPATH": str(root)}, check=True, timeout=240)
