"""`kioskd tokens`: faults and devices of the token service, and a whole run of it."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from tests.support.fleet import Authority, token_host
from tests.support.until import until

from kioskd.cli import Exit, main

ROW = {"name": "hall-1", "voice": "Kore", "connections_per_day": 9}


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    authority = Authority(tmp_path)
    path = tmp_path / "tokens.yaml"
    path.write_text(
        f"""\
listen: {{certificate: server.pem}}
identity: {{ca_file: {authority.ca_file.name}, crl_file: {authority.crl_file.name}}}
devices:
  - {{name: hall-1, voice: Kore, connections_per_day: 9}}
  - {{name: hall-2, enabled: false}}
""",
        encoding="utf-8",
    )
    return path


def test_check_lists_the_devices_and_says_what_only_the_service_can_see(
    yaml: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "a-key")
    assert main(["tokens", "check", "--config", str(yaml)]) == Exit.OK
    first, one, two, note = capsys.readouterr().out.splitlines()
    assert first == f"{yaml}: ok"
    assert one == "  hall-1  gemini-3.8-live (v1beta), 9 a day, fixed: model, voice"
    assert two == "  hall-2  disabled"
    assert note.startswith(
        "  note: listen.key_file: is not set, and there is no systemd credential tokens-tls-key"
    )


def test_check_names_each_fault_by_line_and_column(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml.write_text(yaml.read_text().replace("voice: Kore", "voice: Korre").replace("enabled", "enable"))
    assert main(["tokens", "check", "--config", str(yaml)]) == Exit.CONFIGURATION
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{yaml}:4:27 devices.voice: Korre is not one of the choices; did you mean Kore?",
        f"{yaml}:5:20 devices.enable: is not a setting; did you mean enabled?",
    ]
    assert main(["tokens", "check", "--config", str(yaml), "--json"]) == Exit.CONFIGURATION
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], [fault["line"] for fault in report["faults"]]) == (False, [4, 5])


def test_check_finds_a_key_that_others_can_read(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = yaml.parent / "server.key"
    key.touch(mode=0o644)
    yaml.write_text(yaml.read_text().replace("server.pem", "server.pem, key_file: server.key"))
    assert main(["tokens", "check", "--config", str(yaml)]) == Exit.CONFIGURATION
    assert f"{yaml}:1:45 listen.key_file: other users can access it (mode 644)" in capsys.readouterr().out


def test_check_reads_the_authority_and_the_revocations(
    yaml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (yaml.parent / "fleet-crl.pem").write_text("")
    assert main(["tokens", "check", "--config", str(yaml)]) == Exit.CONFIGURATION
    assert f"{yaml}:2:45 identity.crl_file: holds no list of revoked" in capsys.readouterr().out


def test_serve_ends_with_78_and_one_line_for_a_fault(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml.write_text("identity: {}\n")
    assert main(["tokens", "serve", "--config", str(yaml)]) == Exit.CONFIGURATION
    assert "identity.ca_file: is missing" in capsys.readouterr().err


async def test_the_service_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    async with token_host(tmp_path, [ROW]) as host:
        log = tmp_path / "journal"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kioskd", "tokens", "serve", "--config", str(host.path)),
                env={**host.environ, "PATH": "/usr/bin"},
                stderr=out,
            )
        await until(lambda: "token service ready" in log.read_text() or process.returncode is not None)
        token = await host.token(host.authority.issue("hall-1"))
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
        journal = log.read_text()
    assert "token minted: device=hall-1" in journal
    assert "stopped" in journal
    assert token not in journal
    assert "uvicorn" not in journal
