"""A kiosk without a key: it talks by the tokens of the fleet's token service, and is cut off when revoked."""

import asyncio
import wave
from pathlib import Path
from typing import Any

import pytest
from tests.support.fleet import Issued, TokenHost, token_host
from tests.support.kiosk import PATIENCE_S, Kiosk, running, silence, soon, voice
from tests.support.parts import changed
from tests.support.until import until

from kioskd import app
from kioskd.core.effects import KioskStatus
from kioskd.core.link_state import LinkPhase
from kioskd.media import pcm
from kioskd.settings.model import Settings
from kioskd.simulator import Reply, ServiceScript

RENEW_S = 60.0


class KeylessKiosk(Kiosk):
    """A kiosk whose devices are fakes, and whose client of the Live service is the real one."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, watchdog_s=None)
        self.client = app.live(settings, None)

    def parts(self) -> app.Parts:
        """Return the kiosk's parts."""
        return changed(super().parts(), live=self.client)


async def keyless(
    host: TokenHost, device: Issued, proof: str = "certificate", renew_s: float = RENEW_S
) -> KeylessKiosk:
    """Return a kiosk with these settings for its service."""
    service: dict[str, Any] = {
        "endpoint": host.simulator.endpoint,
        "ca_file": host.path.with_name("both.pem"),
        "token_url": host.url,
        "token_certificate": device.certificate,
        "token_key_file": device.key,
        "token_proof": proof,
        "renew_s": renew_s,
    }
    host.path.with_name("both.pem").write_bytes(
        host.authority.ca_file.read_bytes() + host.simulator.ca_file.read_bytes()
    )
    settings = {
        "service": service,
        "speaker": {"cues": ()},
        "conversation": {"idle_s": 3000.0, "longest_s": 3000.0},
    }
    made = KeylessKiosk(Settings.model_validate(settings))
    # It takes half a second in a thread, for which the clock of the test does not wait.
    await made.client.warm_up()
    return made


def speaking_script(folder: Path) -> ServiceScript:
    file = folder / "reply.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, pcm.DOWNLINK_HZ, 0, "NONE", ""))
        sound.writeframes(voice(0.5, pcm.DOWNLINK_HZ))
    return ServiceScript(replies=(Reply(wav=file),), tokens=True, think_s=0, pace=1000)


async def ask(it: Kiosk, host: TokenHost, nth: int) -> None:
    """Ask a question, and hear the whole answer."""
    it.microphone.say(voice(1.0) + silence(1.0))
    await soon(host.simulator.wait_for("reply_sent", nth))
    await it.shows(KioskStatus.SPEAKING)
    async with asyncio.timeout(PATIENCE_S):
        while it.shown is not KioskStatus.LISTENING:
            # The network has its own time, so the end of the reply may come later than its sound.
            await it.hear(0.1)
            await it.clock.advance(0.1)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("proof", ["certificate", "signature"])
async def test_a_kiosk_without_a_key_talks_over_its_rollovers_until_it_is_revoked(
    tmp_path: Path, proof: str
) -> None:
    row = {"name": "hall-1", "instructions": "You are the guide of the hall."}
    script = speaking_script(tmp_path)
    async with token_host(tmp_path, [row], script=script, proof=proof) as host, host.serving():
        device = host.authority.issue("hall-1")
        it = await keyless(host, device, proof)
        async with running(it.serve()):
            await it.start()
            it.button.press()
            for nth in (1, 2, 3):
                await soon(host.simulator.wait_for("setup_complete", nth))
                await it.until(lambda: it.state.link.open)
                await ask(it, host, nth)
                await it.clock.advance(RENEW_S)
            await soon(host.simulator.wait_for("setup_complete", 4))
            (session,) = host.simulator.sessions
            assert len(session.setups) == 4
            assert all(
                setup.system_instruction and setup.system_instruction.words == row["instructions"]
                for setup in session.setups
            )
            host.authority.revoke(device)
            await host.look()
            await it.until(lambda: it.state.link.open)
            await it.clock.advance(RENEW_S)
            await it.shows(KioskStatus.FAULT)
            assert host.simulator.count("setup_complete") == 4


async def test_a_kiosk_that_asks_too_often_waits_as_long_as_it_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refusals() -> int:
        return caplog.text.count("token refused: device=hall-1 cause=its limit for a minute is used up")

    limits = {"device_per_minute": 1}
    async with token_host(tmp_path, [{"name": "hall-1"}], limits=limits) as host, host.serving():
        it = await keyless(host, host.authority.issue("hall-1"), renew_s=20.0)
        async with running(it.serve()):
            await it.start()
            it.button.press()
            await soon(host.simulator.wait_for("setup_complete", 1))
            await it.until(lambda: it.state.link.open)
            await it.clock.advance(20.0)
            await until(lambda: refusals() == 1)
            await it.until(lambda: it.state.link.phase is LinkPhase.WAITING)
            # The service has its own clock, by which the whole minute is left.
            await it.clock.advance(50.0)
            assert (refusals(), host.simulator.count("token_minted")) == (1, 1)
            await host.clock.advance(60.0)
            # Kiosks that are told the same add up to that time again, each its own. The time stands still
            # from the dial on: the kiosk would renew the new connection, too.
            for _ in range(75):
                if it.state.link.phase is LinkPhase.WAITING:
                    await it.clock.advance(1.0)
            await soon(host.simulator.wait_for("setup_complete", 2))
            assert refusals() == 1
