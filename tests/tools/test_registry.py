"""The list of the kinds of tools: a kind in it is known everywhere, and no other module names it."""

import ast
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import toy_tool
from tests.support.kiosk import QUIET, Kiosk, running, soon
from tests.support.parts import changed
from tests.support.toy_tool import BELL, BellSettings

import kioskd
from kioskd import app
from kioskd.app.service import find_proxies
from kioskd.cli import Exit, main
from kioskd.ports import ToolCall, ToolsCalled
from kioskd.proxies import ProxyError
from kioskd.settings.load import SettingsError, load
from kioskd.settings.model import Settings
from kioskd.settings.sandbox import secret_files
from kioskd.tools.guard import Guard
from kioskd.tools.registry import KINDS, kind_of

PACKAGE = Path(kioskd.__file__).parent
CHIME = """\
    conversation: {wake: [remote]}
    tools:
      - kind: builtin
      - kind: bell
        name: ring
        description: Rings the bell.
        parameters: {type: object, properties: {loud: {type: boolean}}}
        times: 3
        tower: .
        opens_with: credential:./key
    """


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("k3y")
    (tmp_path / "key").chmod(0o600)
    path = tmp_path / "kioskd.yaml"
    path.write_text(textwrap.dedent(CHIME), encoding="utf-8")
    return path


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a kind by its line in the registry alone."""
    monkeypatch.setitem(KINDS, BELL.name, BELL)


def test_each_kind_is_listed_by_its_name_and_has_its_own_settings() -> None:
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in KINDS}
    assert len({kind.settings for kind in KINDS.values()}) == len(KINDS)


def test_settings_of_no_kind_are_a_bug() -> None:
    with pytest.raises(LookupError, match="Guard"):
        kind_of(Guard())


def test_a_kind_without_a_line_in_the_registry_is_unknown(file: Path) -> None:
    with pytest.raises(
        SettingsError,
        match="bell is not a kind of tool; write one of builtin, documents, http, command, mqtt, mcp, python",
    ):
        load(file)


@pytest.mark.usefixtures("bell")
def test_settings_of_a_kind_with_a_line_are_read(file: Path) -> None:
    ring = load(file).tools[1]
    assert isinstance(ring, BellSettings)
    assert (ring.times, kind_of(ring)) == (3, BELL)


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize(
    ("line", "other", "fault"),
    [
        ("times: 3", "times: 12", "tools.times: 12 is above 9 (more is noise); write 1 to 9"),
        ("times: 3", "timse: 3", "tools.timse: is not a setting of kind bell: did you mean times?"),
        (
            "times: 3",
            "url: x",
            "tools.url: is not a setting of kind bell: it belongs to kind http or mcp; remove it",
        ),
        ("name: ring", "name: look", "tools.name: look is already the name of another tool (builtin)"),
    ],
)
def test_a_fault_in_a_kinds_settings_is_reported_with_its_place(
    file: Path, line: str, other: str, fault: str
) -> None:
    file.write_text(file.read_text().replace(line, other))
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert fault in str(caught.value)


@pytest.mark.usefixtures("bell")
def test_check_reports_the_kinds_faults_on_this_machine(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--config", str(file)]) == Exit.OK
    assert "  tools       builtin, ring\n" in capsys.readouterr().out
    file.write_text(file.read_text().replace("tower: .", "tower: ./none").replace("./key", "./no-key"))
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    out = capsys.readouterr().out
    assert "tools.tower: does not exist; build it" in out
    assert "tools.opens_with: credential:" in out


@pytest.mark.usefixtures("bell")
def test_a_tool_of_a_new_kind_is_listed_and_called_by_hand(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tools", "list", "--config", str(file)]) == Exit.OK
    assert "ring   bell\n    Rings the bell.\n" in capsys.readouterr().out
    assert main(["tools", "call", "ring", '{"loud": true}', "--json", "--config", str(file)]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["data"] == {"ding": 3, "key": "(hidden)", "loud": True}


@pytest.mark.usefixtures("bell")
def test_privacy_says_where_the_calls_of_a_new_kind_go(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["privacy", "--json", "--config", str(file)]) == Exit.OK
    leaves = json.loads(capsys.readouterr().out)["leaves"]
    [told] = [one["to"] for one in leaves if one["what"] == "calls of the tool ring"]
    assert told == f"all who hear the bell in {file.parent.name}"


@pytest.mark.usefixtures("bell")
def test_a_new_kinds_secret_is_hidden_from_programs_and_its_address_has_a_proxy(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(file)
    assert secret_files(settings) == [file.parent / "key"]
    monkeypatch.setenv("no_proxy", "generativelanguage.googleapis.com")
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(ProxyError):
        find_proxies(settings)


class Belfry(Kiosk):
    """A kiosk with tools."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, watchdog_s=None)
        self.tools = app.ToolSet(settings, {}, self.clock)

    def parts(self) -> app.Parts:
        """Return the parts of the kiosk, with its tools."""
        return changed(super().parts(), tools=self.tools)


@pytest.mark.usefixtures("bell")
async def test_the_model_calls_a_tool_of_a_new_kind(file: Path) -> None:
    it = Belfry(QUIET.model_copy(update={"tools": load(file).tools}))
    async with running(it.serve()):
        await it.start()
        assert "ring" in [tool.name for tool in it.tools.offered()]
        connection = await it.wake()
        connection.say(ToolsCalled([ToolCall("1", "ring", {"loud": False})]))
        await soon(connection.until(lambda: connection.answers))
    [answer] = connection.answers
    assert answer.result["data"] == {"ding": 3, "key": "(hidden)", "loud": False}


def names_of_kinds(package: Path) -> Iterator[str]:
    """Yield each place that names a kind's folder or settings, except in the kinds and in the registry."""
    settings = {kind.settings.__name__ for kind in KINDS.values()}
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package).as_posix()
        if place.startswith("tools/kinds/") or place == "tools/registry.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ImportFrom(module=str(module)) if module.startswith("kioskd.tools.kinds."):
                    if module != "kioskd.tools.kinds.value_types":
                        yield f"{place}:{node.lineno}"
                case ast.Name(id=name) if name in settings:
                    yield f"{place}:{node.lineno}"


def test_no_other_module_names_a_kind(tmp_path: Path) -> None:
    assert list(names_of_kinds(PACKAGE)) == []
    (tmp_path / "bad.py").write_text(
        "from kioskd.tools.kinds.http.settings import HttpSettings\nisinstance(1, HttpSettings)\n"
    )
    assert list(names_of_kinds(tmp_path)) == ["bad.py:1", "bad.py:2"]
    assert toy_tool.BellSettings.__name__ not in {kind.settings.__name__ for kind in KINDS.values()}
