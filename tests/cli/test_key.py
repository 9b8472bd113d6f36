"""`kioskd key`: the key goes to the service and into the store, and nowhere else."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, Final

import pytest
from tests.support.control import daemon, open_place

from kioskd import cli
from kioskd.cli import key
from kioskd.doctor.credential import ENCRYPTED, PLAIN, PLAIN_DROP_IN
from kioskd.doctor.machine import Machine
from kioskd.simulator import Reply, ServiceScript, Simulator

DUMP: Final = """#!/bin/sh
{ echo "$@"; env; } > "$(dirname "$0")/seen"
cat > "$(dirname "$0")/given"
echo encrypted
"""
LISTENS: Final = """
import socket, sys
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(sys.argv[1])
    listening.listen()
    print("listens", flush=True)
    print(listening.accept()[0].recv(4096))
"""
NOT_KNOWN: Final = "kioskd does not know this request; do the command and the daemon have the same version?"
NOW: Final = "to use it now: sudo systemctl restart kioskd"
TYPED: Final = "AIzaNotAKeyOfAnybody0123456789"


@pytest.fixture
async def service() -> AsyncIterator[Simulator]:
    async with Simulator(ServiceScript(replies=(Reply(silent=True),))) as service:
        yield service


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a machine of files, with a systemd-creds that prints its input."""
    program(tmp_path, DUMP)
    (tmp_path / "etc").mkdir()
    monkeypatch.setattr(key, "MACHINE", Machine(tmp_path, f"{tmp_path / 'bin'}:/usr/bin:/bin"))
    monkeypatch.setenv("KIOSKD_SOCKET", str(tmp_path / "nobody"))
    return tmp_path


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as path:
        yield path


@contextlib.contextmanager
def stranger(place: Path) -> Iterator[IO[str]]:
    """Run a process of another user that listens at the socket; yield its output, which shows its input."""
    command = [sys.executable, "-c", LISTENS, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, user=65534, cwd="/") as process:
        assert process.stdout
        assert process.stdout.readline() == "listens\n"
        yield process.stdout


def program(root: Path, script: str, name: str = "systemd-creds") -> None:
    """Put a program into the machine."""
    path = root / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)


async def run(monkeypatch: pytest.MonkeyPatch, typed: str, *options: str) -> int:
    """Type the command, and pipe the key in."""
    monkeypatch.setattr("sys.stdin", io.StringIO(typed + "\n"))
    return await asyncio.to_thread(cli.main, ["key", *options])


def settings(root: Path, service: Simulator, **more: Any) -> str:
    """Write the owner's settings, and return their path."""
    path = root / "kioskd.yaml"
    where = {"endpoint": service.endpoint, "ca_file": str(service.ca_file)}
    path.write_text(json.dumps({"service": where | more}))
    return str(path)


def at(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


async def test_a_key_that_the_service_accepts_is_stored_encrypted(
    machine: Path, service: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = service.key.get_secret_value()
    assert await run(monkeypatch, good, "--config", settings(machine, service)) == 0
    stored = at(machine, ENCRYPTED)
    assert stored.read_text() == "encrypted\n"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert stat.S_IMODE(stored.parent.stat().st_mode) == 0o700
    assert (machine / "bin/given").read_text() == good
    assert good not in (machine / "bin/seen").read_text()
    said = capsys.readouterr()
    assert good not in said.out + said.err
    assert "tried: the service accepts the key; gemini-3.8-live was set up in" in said.out
    assert [one.close_received for one in service.connections] == [1000]


async def test_a_key_that_is_refused_is_not_stored(
    machine: Path, service: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(monkeypatch, TYPED, "--config", settings(machine, service)) == 77
    assert not at(machine, ENCRYPTED).exists()
    said = capsys.readouterr()
    assert TYPED not in said.out + said.err
    assert said.err.splitlines()[-1] == "nothing was stored"


@pytest.mark.parametrize(
    "typed",
    ["", "two words", "k\u00e4y", "'AIzaInQuotes'", "GEMINI_API_KEY=AIza", "export A=AIza", "AIza1\nAIza2"],
)
async def test_text_that_cannot_be_a_key_is_refused_without_asking_the_service(
    typed: str, machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(monkeypatch, typed, "--no-try") == cli.Exit.REFUSED
    assert not (machine / "bin/given").exists()
    assert not typed or typed not in capsys.readouterr().err


async def test_an_unreachable_service_is_no_refusal_of_the_key(
    machine: Path, service: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(machine, service, endpoint="https://127.0.0.1:1")
    assert await run(monkeypatch, TYPED, "--config", config) == cli.Exit.UNAVAILABLE
    assert not at(machine, ENCRYPTED).exists()
    assert "--no-try" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_a_process_of_another_user_at_the_socket_gets_no_key(
    machine: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.parent.chmod(0o777)
    with stranger(place) as heard:
        assert await run(monkeypatch, TYPED, "--no-try", "--socket", str(place)) == 0
        assert heard.read() == "b''\n"
    assert "not in use yet: no running kioskd accepted it" in capsys.readouterr().out


async def test_no_try_stores_the_key_without_asking_the_service(
    machine: Path, service: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run(monkeypatch, TYPED, "--no-try", "--config", settings(machine, service)) == 0
    assert service.connections == []
    assert (machine / "bin/given").read_text() == TYPED


async def test_a_machine_that_cannot_encrypt_stores_the_key_plain_for_root_only(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at(machine, ENCRYPTED).parent.mkdir()
    at(machine, ENCRYPTED).write_text("of an older key")
    program(machine, "#!/bin/sh\necho No key to encrypt with. >&2\nexit 1\n")
    assert await run(monkeypatch, TYPED, "--no-try") == 0
    stored = at(machine, PLAIN)
    assert stored.read_text() == TYPED
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert "LoadCredential=gemini-api-key" in at(machine, PLAIN_DROP_IN).read_text().splitlines()
    assert not at(machine, ENCRYPTED).exists()
    assert "No key to encrypt with." in capsys.readouterr().err


async def test_an_encrypted_key_takes_the_place_of_a_plain_one(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (PLAIN, PLAIN_DROP_IN):
        at(machine, path).parent.mkdir(parents=True)
        at(machine, path).write_text("of an older key")
    assert await run(monkeypatch, TYPED, "--no-try") == 0
    assert not at(machine, PLAIN).exists()
    assert not at(machine, PLAIN_DROP_IN).exists()
    assert at(machine, ENCRYPTED).exists()


async def test_a_store_that_cannot_be_written_is_one_line_without_the_key(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at(machine, ENCRYPTED).parent.write_text("a file where a folder should be")
    assert await run(monkeypatch, TYPED, "--no-try") == cli.Exit.UNAVAILABLE
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert TYPED not in said


@pytest.mark.parametrize(
    "service_settings",
    [
        {"key_file": "/etc/kioskd/key"},
        {"token_url": "https://t.example"},
        {"provider": "vertex", "project": "p1234567"},
    ],
)
async def test_settings_that_use_no_stored_key_are_refused_before_the_question(
    service_settings: dict[str, str], machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = machine / "kioskd.yaml"
    config.write_text(json.dumps({"service": service_settings}))
    assert await run(monkeypatch, TYPED, "--config", str(config)) == cli.Exit.CONFIGURATION
    assert not (machine / "bin/given").exists()


# Handed to the daemon that runs


async def test_a_running_daemon_gets_the_key_over_the_socket_only(
    machine: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(place, b'{"ok": true, "state": "asleep", "words": "Asleep"}\n') as asked:
        assert await run(monkeypatch, TYPED, "--no-try", "--socket", str(place)) == 0
    assert [json.loads(line) for line in asked] == [{"do": "key", "key": TYPED}]
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"stored: {at(machine, ENCRYPTED)}",
        "in use: the running kioskd has the new key",
    ]
    assert TYPED not in said.out + said.err


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (json.dumps({"ok": False, "why": NOT_KNOWN}).encode() + b"\n", NOT_KNOWN),
        (b'{"ok": false, "why": "with service.key_file\\u001b[2J"}\n', "with service.key_file\ufffd[2J"),
        (b"", "no running kioskd accepted it"),
    ],
    ids=["older", "refused", "hung up"],
)
async def test_a_daemon_that_does_not_accept_the_key_needs_a_restart(
    answer: bytes,
    why: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with daemon(place, answer):
        assert await run(monkeypatch, TYPED, "--no-try", "--socket", str(place)) == 0
    stored, use = capsys.readouterr().out.splitlines()
    assert stored.startswith("stored: ")
    assert use.startswith("not in use yet: ")
    assert use.endswith(f"{why}; {NOW}")


@pytest.mark.usefixtures("machine")
async def test_without_a_daemon_the_key_is_used_at_the_next_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(monkeypatch, TYPED, "--no-try") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"not in use yet: no running kioskd accepted it; {NOW}"
    )


async def test_a_refused_key_is_not_sent_to_the_daemon(
    machine: Path, service: Simulator, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with daemon(place) as asked:
        config = settings(machine, service)
        assert await run(monkeypatch, TYPED, "--config", config, "--socket", str(place)) == 77
    assert asked == []


@pytest.mark.parametrize("ends", [0, 1])
async def test_systemd_reloads_its_units_if_the_kind_of_storage_changed(
    ends: int, machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at(machine, "/run/systemd/system").mkdir(parents=True)
    program(machine, f'#!/bin/sh\necho "$@" >> "$(dirname "$0")/told"; exit {ends}\n', "systemctl")
    told = machine / "bin/told"
    assert await run(monkeypatch, TYPED, "--no-try") == 0
    assert not told.exists(), "an encrypted key is where the unit says"
    program(machine, "#!/bin/sh\nexit 1\n")
    assert await run(monkeypatch, TYPED, "--no-try") == 0
    assert told.read_text() == "daemon-reload\n"
    program(machine, DUMP)
    assert await run(monkeypatch, TYPED, "--no-try") == 0
    assert told.read_text() == "daemon-reload\n" * 2
    said = "systemd does not know yet where the key is; run sudo systemctl daemon-reload"
    assert capsys.readouterr().err.splitlines().count(said) == 2 * ends


@pytest.mark.skipif(shutil.which("script") is None, reason="needs script (Debian's bsdutils) for a terminal")
def test_a_key_typed_at_a_terminal_is_not_echoed(tmp_path: Path) -> None:
    program(tmp_path, DUMP)
    (tmp_path / "etc").mkdir()
    starter = tmp_path / "starter.py"
    starter.write_text(
        "import sys; from pathlib import Path; from kioskd import cli; from kioskd.cli import key\n"
        "from kioskd.doctor.machine import Machine\n"
        f"key.MACHINE = Machine(Path({str(tmp_path)!r}), {f'{tmp_path}/bin:/usr/bin:/bin'!r})\n"
        "sys.exit(cli.main(['key', '--no-try']))\n"
    )
    with subprocess.Popen(
        ["script", "--quiet", "--return", "--command", f"{sys.executable} {starter}", "/dev/null"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "KIOSKD_CONFIG"}
        | {"KIOSKD_SOCKET": str(tmp_path / "nobody")},
    ) as terminal:
        assert terminal.stdin
        assert terminal.stdout
        shown = piece = os.read(terminal.stdout.fileno(), 1024)
        while piece and b"Service key: " not in shown:
            piece = os.read(terminal.stdout.fileno(), 1024)
            shown += piece
        terminal.stdin.write(f"{TYPED}\n".encode())
        terminal.stdin.flush()
        shown += terminal.stdout.read()
        assert terminal.wait(20) == 0
    assert (tmp_path / "bin/given").read_text() == TYPED
    assert TYPED.encode() not in shown
    assert b"stored: " in shown
