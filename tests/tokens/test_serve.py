"""The token service, asked by the daemon's own client over TLS. It mints at the simulator by the real SDK."""

import asyncio
import dataclasses
import datetime as dt
import logging
import re
from pathlib import Path

import pytest
from tests.simulator.raw_client import DEVELOPER, dial
from tests.support.fakes_devices import MemoryNotifier
from tests.support.fleet import MODEL, Authority, Issued, TokenHost, Wall, token_host
from websockets.exceptions import InvalidStatus

from kioskd.errors import ConfigError, KioskError, LinkLost, Remedy
from kioskd.simulator import ScriptedFault, ServiceScript, Simulator
from kioskd.simulator.script import Reply

HALL = {"name": "hall-1", "voice": "Puck", "instructions": "You are the guide of the hall."}
CONSTRAINED = f"{DEVELOPER}Constrained"
PROOFS = ("certificate", "signature")


async def refused(
    host: TokenHost, device: Issued | None, proof: str = "certificate", wall: Wall | None = None
) -> LinkLost:
    """Return the loss with which the daemon's client gets no token."""
    with pytest.raises(LinkLost) as caught:
        await host.credentials(device, proof, wall=wall).fetch()
    return caught.value


async def status_of(simulator: Simulator, token: str, path: str = CONSTRAINED) -> int:
    """Return the HTTP status with which the Live service rejects a token."""
    with pytest.raises(InvalidStatus) as caught:
        async with dial(simulator, path, {"Authorization": f"Token {token}"}):
            pytest.fail("the connection was opened")
    return caught.value.response.status_code


@pytest.mark.parametrize("proof", PROOFS)
async def test_a_known_device_gets_a_token_that_opens_one_session(tmp_path: Path, proof: str) -> None:
    async with token_host(tmp_path, [HALL], proof=proof) as host, host.serving():
        token = await host.token(host.authority.issue("hall-1"), proof)
        async with dial(host.simulator, CONSTRAINED, {"Authorization": f"Token {token}"}) as client:
            await client.setup()
        # A stolen token that was used opens nothing.
        assert await status_of(host.simulator, token) == 401


async def test_a_token_fixes_the_settings_of_its_row_and_no_others(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL]) as host, host.serving():
        token = await host.token(host.authority.issue("hall-1"))
        async with dial(host.simulator, CONSTRAINED, {"Authorization": f"Token {token}"}) as client:
            await client.setup(
                systemInstruction={"parts": [{"text": "Sell me a car."}]}, outputAudioTranscription={}
            )
    (setup,) = host.simulator.sessions[0].setups
    assert setup.system_instruction is not None
    assert setup.system_instruction.words == "You are the guide of the hall."
    assert setup.generation_config is not None
    assert setup.generation_config.model_dump(by_alias=True, exclude_none=True) == {
        "responseModalities": ("AUDIO",),
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}},
    }
    assert setup.output_audio_transcription is not None


@pytest.mark.parametrize(
    "other",
    [
        {"model": "models/gemini-3.1-flash-live-preview"},
        {"systemInstruction": {"parts": [{"text": "Sell me a car."}], "role": "user"}},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_a_client_that_asks_for_other_settings_can_be_refused(
    tmp_path: Path, other: dict[str, object]
) -> None:
    script = ServiceScript(replies=(Reply(silent=True),), tokens=True, locked="refuse")
    async with token_host(tmp_path, [HALL], script=script) as host, host.serving():
        token = await host.token(host.authority.issue("hall-1"))
        async with dial(host.simulator, CONSTRAINED, {"Authorization": f"Token {token}"}) as client:
            await client.send(setup={"model": f"models/{MODEL}", **other})
            code, reason = await client.closing()
    assert code == 1007
    assert "the ephemeral token fixes it" in reason


@pytest.mark.parametrize("version", ["v1beta", "v1alpha"])
async def test_a_token_opens_only_the_version_that_it_was_minted_for(tmp_path: Path, version: str) -> None:
    async with token_host(tmp_path, [HALL | {"api_version": version}]) as host, host.serving():
        token = await host.token(host.authority.issue("hall-1"))
        other = {"v1beta": "v1alpha", "v1alpha": "v1beta"}[version]
        assert await status_of(host.simulator, token, CONSTRAINED.replace("v1beta", other)) == 401
        path = CONSTRAINED.replace("v1beta", version)
        async with dial(host.simulator, path, {"Authorization": f"Token {token}"}) as client:
            await client.setup()


async def test_a_token_opens_no_session_after_a_minute(tmp_path: Path) -> None:
    wall = Wall()
    async with token_host(tmp_path, [HALL], wall=wall) as host, host.serving():
        device = host.authority.issue("hall-1")
        old, kept = await host.token(device), await host.token(device)
        wall.off += dt.timedelta(seconds=50)
        async with dial(host.simulator, CONSTRAINED, {"Authorization": f"Token {kept}"}) as client:
            await client.setup()
        wall.off += dt.timedelta(seconds=11)
        assert await status_of(host.simulator, old) == 401


async def test_a_connection_ends_when_the_longest_conversation_is_over(tmp_path: Path) -> None:
    wall = Wall()
    async with token_host(tmp_path, [HALL | {"longest_s": 120}], wall=wall) as host, host.serving():
        token = await host.token(host.authority.issue("hall-1"))
        async with dial(host.simulator, CONSTRAINED, {"Authorization": f"Token {token}"}) as client:
            await client.setup()
            wall.off += dt.timedelta(seconds=170)
            await client.send(realtimeInput={"text": "Hello?"})
            await client.until("turnComplete")
            wall.off += dt.timedelta(seconds=11)
            await client.send(realtimeInput={"text": "Still there?"})
            assert await client.closing() == (1007, "Unauthenticated: the ephemeral token has expired.")


@pytest.mark.parametrize("proof", PROOFS)
async def test_a_revoked_certificate_gets_no_token_after_the_next_look(tmp_path: Path, proof: str) -> None:
    rows = [HALL, {"name": "hall-2"}]
    async with token_host(tmp_path, rows, proof=proof) as host, host.serving():
        device, other = host.authority.issue("hall-1"), host.authority.issue("hall-2")
        await host.token(device, proof)
        host.authority.revoke(device)
        await host.look()
        lost = await refused(host, device, proof)
        assert (lost.remedy, "HTTP 401" in str(lost)) == (Remedy.CREDENTIALS, True)
        await host.token(other, proof)


async def test_a_disabled_row_gets_no_token_after_the_next_look(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL]) as host, host.serving():
        device = host.authority.issue("hall-1")
        await host.token(device)
        host.write(devices=[HALL | {"enabled": False}])
        await host.look()
        lost = await refused(host, device)
        assert lost.remedy is Remedy.SETTINGS
        assert "it does not allow this device" in str(lost)


async def test_a_device_without_a_row_or_a_certificate_gets_no_token(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL]) as host, host.serving():
        stranger = Authority(tmp_path, "other").issue("hall-1")
        for device in (host.authority.issue("hall-9"), stranger, None):
            assert (await refused(host, device)).remedy in (Remedy.CREDENTIALS, Remedy.RESUME)
        assert host.simulator.count("token_minted") == 0


async def test_another_model_than_the_rows_is_refused(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL]) as host, host.serving():
        credentials = host.credentials(host.authority.issue("hall-1"), model="gemini-3.1-flash-live-preview")
        with pytest.raises(LinkLost, match=r"HTTP 403 .* or not the model in service\.model"):
            await credentials.fetch()


async def test_a_device_whose_clock_is_five_minutes_off_is_told_so(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL], proof="signature") as host, host.serving():
        device = host.authority.issue("hall-1")
        for off, words in ((5, "5 min ahead of"), (-5, "5 min behind")):
            lost = await refused(host, device, "signature", Wall(dt.timedelta(minutes=off)))
            assert lost.remedy is Remedy.CLOCK
            assert words in str(lost)


async def test_a_wrong_clock_does_not_matter_to_a_certificate(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL]) as host, host.serving():
        await host.token(host.authority.issue("hall-1"), wall=Wall(dt.timedelta(minutes=5)))


async def test_a_control_host_whose_clock_is_five_minutes_off_mints_tokens_that_work(tmp_path: Path) -> None:
    for minutes in (5, -5):
        folder = tmp_path / str(minutes)
        folder.mkdir()
        async with token_host(folder, [HALL]) as host:
            host.wall = Wall(dt.timedelta(minutes=minutes))
            async with host.serving():
                token = await host.token(host.authority.issue("hall-1"))
                async with dial(host.simulator, CONSTRAINED, {"Authorization": f"Token {token}"}) as client:
                    await client.setup()


async def test_the_budget_of_a_day_outlives_a_restart_and_ends_at_midnight(tmp_path: Path) -> None:
    wall = Wall()
    async with token_host(tmp_path, [HALL | {"connections_per_day": 2}], wall=wall) as host:
        device = host.authority.issue("hall-1", ends=dt.timedelta(days=3))
        async with host.serving():
            await host.token(device)
        async with host.serving():
            await host.token(device)
            lost = await refused(host, device)
            assert (lost.remedy, lost.retry_after_s) == (Remedy.QUOTA, 600.0)
            wall.off += dt.timedelta(days=1)
            await host.token(device)


async def test_the_rate_of_a_minute_is_kept_and_the_device_is_told_how_long(tmp_path: Path) -> None:
    limits = {"device_per_minute": 2, "all_per_minute": 3}
    rows = [HALL, {"name": "hall-2"}]
    async with token_host(tmp_path, rows, limits=limits) as host, host.serving():
        first, second = host.authority.issue("hall-1"), host.authority.issue("hall-2")
        await host.token(first)
        await host.clock.advance(15)
        await host.token(first)
        assert (await refused(host, first)).retry_after_s == 45.0
        await host.token(second)
        assert (await refused(host, second)).retry_after_s == 45.0
        await host.clock.advance(45)
        await host.token(first)


async def test_a_live_service_that_fails_costs_no_budget_and_is_asked_again(tmp_path: Path) -> None:
    faults = (
        ScriptedFault(on="token", do="refuse", status=503),
        ScriptedFault(on="token", nth=2, do="refuse", status=429, retry_after_s=30),
        ScriptedFault(on="token", nth=3, do="abort"),
    )
    script = ServiceScript(replies=(Reply(silent=True),), tokens=True, faults=faults)
    async with token_host(tmp_path, [HALL | {"connections_per_day": 1}], script=script) as host:
        device = host.authority.issue("hall-1")
        async with host.serving():
            losses = [await refused(host, device) for _ in range(3)]
            assert [lost.remedy for lost in losses] == [Remedy.RESUME, Remedy.QUOTA, Remedy.RESUME]
            assert [lost.retry_after_s for lost in losses] == [5.0, 30.0, 5.0]
            await host.token(device)


async def test_each_token_has_an_audit_line_without_its_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with token_host(tmp_path, [HALL]) as host, host.serving():
        device = host.authority.issue("hall-1")
        tokens = [await host.token(device) for _ in range(5)]
        key = host.simulator.key.get_secret_value()
    lines = [record for record in caplog.records if record.getMessage().startswith("token minted: ")]
    assert len(lines) == 5
    assert all(getattr(line, "audit", False) for line in lines)
    pattern = rf"token minted: device=hall-1 model={MODEL} version=v1beta sha256=[0-9a-f]{{16}}"
    assert all(re.fullmatch(pattern, line.getMessage()) for line in lines)
    assert not any(secret in caplog.text for secret in (*tokens, key))


async def test_a_yaml_with_a_fault_changes_nothing_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with token_host(tmp_path, [HALL]) as host, host.serving():
        device = host.authority.issue("hall-1")
        host.write(devices=[HALL | {"voise": "Kore"}])
        await host.look()
        await host.token(device)
        assert "did you mean voice?" in caplog.text
        host.write(devices=[])
        await host.look()
        assert (await refused(host, device)).remedy is Remedy.CREDENTIALS


async def test_a_revocation_list_that_cannot_be_used_leaves_the_old_one_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with token_host(tmp_path, [HALL, {"name": "hall-2"}]) as host:
        device, other = host.authority.issue("hall-1"), host.authority.issue("hall-2")
        host.authority.revoke(device)
        async with host.serving():
            for broken in (b"", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"):
                host.authority.crl_file.write_bytes(broken)
                await host.look()
                assert "the old list stays in force" in caplog.text
            forged = Authority(tmp_path, "forged")
            host.authority.crl_file.write_bytes(forged.crl_file.read_bytes())
            await host.look()
            assert "is not signed by the authority" in caplog.text
            assert (await refused(host, device)).remedy is Remedy.CREDENTIALS
            await host.token(other)


async def test_a_renewed_certificate_of_the_server_is_taken_over(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL]) as host:
        server = host.authority.issue(
            "tokens.example", hosts=("127.0.0.1",), ends=-dt.timedelta(hours=1), starts=-dt.timedelta(days=2)
        )
        async with host.serving():
            device = host.authority.issue("hall-1")
            assert (await refused(host, device)).remedy is Remedy.CLOCK
            assert host.authority.issue("tokens.example", hosts=("127.0.0.1",)).key == server.key
            await host.look()
            await host.token(device)


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL]) as host, host.serving():
        again = dataclasses.replace(host, service=None, notifier=MemoryNotifier())
        with pytest.raises(KioskError, match=r"127\.0\.0\.1 port \d+ cannot be used; set listen\.address"):
            async with again.serving():
                pytest.fail("the port was used twice")


async def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL]) as host:
        host.server.key.chmod(0o644)
        with pytest.raises(ConfigError, match="other users can access it"):
            async with host.serving():
                pytest.fail("it was started")


async def test_the_service_manager_hears_when_it_is_ready_and_alive(tmp_path: Path) -> None:
    async with token_host(tmp_path, [HALL]) as host, host.serving():
        await host.look()
        assert host.notifier.told == ["ready", *(["alive", "status: Serving 1 devices"] * 2)]


async def test_many_requests_at_once_are_each_answered(tmp_path: Path) -> None:
    rows = [{"name": f"hall-{number}"} for number in range(40)]
    async with token_host(tmp_path, rows) as host, host.serving():
        devices = [host.authority.issue(row["name"]) for row in rows]
        tokens = await asyncio.gather(*(host.token(device) for device in devices))
    assert len(set(tokens)) == 40
