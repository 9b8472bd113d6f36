"""Files, sockets and processes that a hostile program without privileges reaches from its sandbox."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support import hostile_tool
from tests.support.tools import command_tool

from kioskd.adapters.clock import SystemClock
from kioskd.cli.tools import _Alone
from kioskd.settings.load import load
from kioskd.settings.sandbox import secret_files
from kioskd.tools import landlock, sandbox
from kioskd.tools.build import assemble, own_folders
from kioskd.tools.kinds.command.settings import CommandSettings
from kioskd.tools.sandbox import ProgramSandbox, without
from kioskd.tools.tool_kind import BuildContext
from kioskd.tools.toolbox import Toolbox

pytestmark = pytest.mark.skipif(sandbox.missing() is not None, reason=f"no sandbox here: {sandbox.missing()}")

SCRIPT = Path(hostile_tool.__file__)


@dataclass
class House:
    """The daemon's own files and sockets, and an owner's grants."""

    root: Path
    port: int

    @property
    def key(self) -> Path:
        return self.root / "etc" / "key"

    async def attempt(self, box: ProgramSandbox | None) -> dict[str, str]:
        """Return the results of the hostile program's attempts."""
        asked: dict[str, object] = {
            "pid": os.getpid(),
            "port": self.port,
            "control": str(self.root / "control"),
        }
        names = ("etc/key", "etc/plain", "state", "granted/menu", "other")
        asked |= {"write": str(self.root / "granted/new"), "paths": [str(self.root / name) for name in names]}
        tool = command_tool(["/usr/bin/python3", str(SCRIPT)], answer="json", sandbox=box)
        async with asyncio.timeout(60):
            result = await tool.call("hostile", asked)
        assert isinstance(result.data, dict), result
        return {name.replace(f"{self.root}/", ""): str(got) for name, got in result.data.items()}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with _house(tmp_path) as found:
        yield found


@asynccontextmanager
async def _house(root: Path) -> AsyncIterator[House]:
    for folder in ("etc", "state", "granted"):
        (root / folder).mkdir()
    for name in ("etc/key", "etc/plain", "state/day", "granted/menu", "other"):
        (root / name).write_text("s3cret", encoding="ascii")
    async with (
        await asyncio.start_unix_server(lambda _r, w: w.close(), root / "control"),
        await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0) as tcp,
    ):
        yield House(root, tcp.sockets[0].getsockname()[1])


PROCESS = tuple(f"/proc/{name}" for name in ("mem", "environ", "fd/1", "maps", "root", "cwd"))
DAEMONS = (*PROCESS, "ptrace", "process_vm_readv", "control", "etc/key", "state")


async def test_without_a_sandbox_all_attempts_of_the_hostile_program_succeed(house: House) -> None:
    found = await house.attempt(None)
    assert {name for name, got in found.items() if got == "got"} >= {
        "control",
        "etc/key",
        "state",
        "network",
        "write",
    }


async def test_a_program_reaches_neither_the_daemon_nor_anything_that_is_not_granted(house: House) -> None:
    found = await house.attempt(ProgramSandbox())
    got = {name for name, what in found.items() if what == "got"}
    assert got.isdisjoint({*DAEMONS, "network", "write", "granted/menu", "other"})
    assert found["fds"] in {"0,1,2", "0,1,2,3"}
    assert set(found["environment"].split(",")) - {"LC_CTYPE"} == {"LANG", "PATH"}


async def test_a_program_reaches_granted_folders_but_no_hidden_file_in_them(house: House) -> None:
    root = house.root
    box = ProgramSandbox(
        (root / "etc",), (root / "granted",), network=True, hidden=(house.key, root / "state")
    )
    found = await house.attempt(box)
    got = {name for name, what in found.items() if what == "got"}
    assert got >= {"etc/plain", "granted/menu", "network", "write"}
    assert got.isdisjoint({*DAEMONS, "other"})


async def test_a_grant_of_everything_does_not_grant_the_daemons_files(house: House) -> None:
    hidden = (house.key, house.root / "state")
    found = await house.attempt(ProgramSandbox((Path("/"),), (Path("/"),), network=True, hidden=hidden))
    assert found["other"] == "got"
    assert {name for name, what in found.items() if what == "got"}.isdisjoint(DAEMONS)


async def test_a_program_sends_signals_only_within_the_sandbox_if_the_kernel_supports_it(
    house: House,
) -> None:
    if landlock.version() < 6:
        pytest.skip("signals are kept from Landlock 6 on")
    assert (await house.attempt(ProgramSandbox()))["signal"] != "got"


async def test_the_daemon_itself_is_not_restricted(house: House) -> None:
    await house.attempt(ProgramSandbox())
    assert house.key.read_text(encoding="ascii") == "s3cret"
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(house.root / "control"))


def test_hidden_paths_are_left_out_of_the_paths_around_them(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/key", "a/plain", "a/b/x", "c"):
        (tmp_path / name).touch()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "key")
    found = set(without([tmp_path], [tmp_path / "a" / "key"]))
    assert found == {tmp_path / "a" / "plain", tmp_path / "a" / "b", tmp_path / "c"}
    assert list(without([tmp_path / "a" / "key"], [tmp_path / "a"])) == []
    assert list(without([tmp_path / "a" / "link"], [tmp_path / "a" / "key"])) == []


@pytest.mark.parametrize(
    "argv", [["/bin/sh", "-c", "echo done"], ["/usr/bin/python3", "-c", "print('done')"]]
)
async def test_an_ordinary_program_runs_in_the_sandbox(argv: list[str]) -> None:
    options: dict[str, Any] = {
        "environment": {},
        "folder": Path("/"),
        "clock": SystemClock(),
        "answer": "text",
    }
    tool = command_tool(argv, sandbox=ProgramSandbox(), **options)
    assert (await tool.call("run", {})).data == "done"


async def test_without_a_sandbox_a_tool_runs_only_if_the_owner_allows_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kioskd.tools.landlock.version", lambda: 0)
    options: dict[str, Any] = {"kind": "command", "description": "d", "argv": ("/bin/echo", "done")}
    careful = CommandSettings(name="careful", **options)
    careless = CommandSettings(name="careless", sandbox=False, **options)
    box = Toolbox(
        assemble([careful, careless], BuildContext({}, _Alone(), SystemClock())),
        clock=SystemClock(),
        confirm=no,
    )
    refused = await box.call("careful", {}, turn=1, conversation=1)
    assert refused.message.startswith(
        "its program cannot be started: Landlock is not switched on in this kernel"
    )
    assert (await box.call("careless", {}, turn=1, conversation=1)).data == "done"
    [told] = [line for line in caplog.messages if "does not run" in line]
    assert "name=careful" in told
    assert "set sandbox: false (the program can then read the key)" in told


async def no(_name: str, _question: str) -> bool:
    return False


def test_the_daemons_own_files_are_hidden_from_each_tool(tmp_path: Path) -> None:
    text = f"""
service: {{key_file: {tmp_path}/key}}
privacy: {{transcripts: {{folder: {tmp_path}/words, keep_days: 1, most_mb: 1}}}}
tools:
  - {{kind: http, name: a, description: d, url: "https://h/", headers: {{X: "credential:{tmp_path}/shop"}}}}
  - {{kind: command, name: b, description: d, argv: [/bin/true], reads: [{tmp_path}]}}
"""
    (tmp_path / "kioskd.yaml").write_text(text, encoding="utf-8")
    settings = load(tmp_path / "kioskd.yaml")
    environ = {"CREDENTIALS_DIRECTORY": "/run/credentials/x", "STATE_DIRECTORY": "/var/lib/kioskd:/srv/state"}
    hidden = {*own_folders(environ), *secret_files(settings)}
    assert hidden >= {tmp_path / name for name in ("key", "words", "shop")}
    assert hidden >= {Path("/run/credentials/x"), Path("/srv/state"), Path("/run/kioskd")}
