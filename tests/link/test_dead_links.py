"""Dead links of every kind: they are noticed in time, and no speech of the visitor is lost.

The whole daemon runs over the real SDK, in a network namespace of the test. Only its devices are fakes. Each
frame of the visitor's speech carries its number, so that the service's record shows lost and repeated frames.
"""

import asyncio
import contextlib
import datetime as dt
import logging
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal, cast

import pytest
from pydantic import SecretStr
from tests.support.daemon_process import PATIENCE_S, DaemonProcess, always_on, daemon_process, surroundings
from tests.support.fakes_devices import MemoryMicrophone, MemoryNotifier, MemorySpeaker
from tests.support.kiosk import running
from tests.support.namespace import ON_ITS_WAY_S, Namespace, missing, namespace
from tests.support.parts import parts as kiosk_parts
from tests.support.sound_server import SoundServer

from kioskd import app
from kioskd.adapters.clock import SystemClock
from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.adapters.gemini import GeminiConfig, GeminiLive
from kioskd.adapters.gemini.live_socket import Deadlines
from kioskd.adapters.network import SETTLE_S, KernelNetwork
from kioskd.core.effects import Effect, KioskStatus
from kioskd.core.events import ConnectionLost, ConnectionUp, Event, Started
from kioskd.core.machine import State
from kioskd.errors import Remedy
from kioskd.flow.reporting.journal import STATUS
from kioskd.media import pcm
from kioskd.settings.conversation import ConversationSettings
from kioskd.settings.model import Settings
from kioskd.simulator import FaultAction, Reply, ServiceScript, Simulator
from kioskd.simulator.certificate import Certificate, make_certificate
from kioskd.simulator.records import SessionRecord

NOTICED_S: Final = 22.0
"""The most seconds until a dead link is noticed. 20 s are promised; the rest is for a busy machine."""
LEAVING_S: Final = 5.0
BRISK: Final = Deadlines(open_s=2.0, setup_s=2.0)
"""The dial's timeout, shortened so that a failing dial does not delay the tests."""
HOST: Final = "live.test"
MUTE: Final = ServiceScript(replies=(Reply(silent=True),))
ALWAYS: Final = Settings(
    conversation=ConversationSettings(wake=("start",), idle_s=3600.0, longest_s=86_400.0)
)


@pytest.fixture
def network() -> Iterator[Namespace]:
    """Yield a network that can be disturbed."""
    if lacking := missing():
        pytest.skip(lacking)
    with namespace() as made:
        yield made


class Kiosk:
    """A daemon, and a visitor who speaks without a pause."""

    def __init__(self, live: GeminiLive, settings: Settings = ALWAYS) -> None:
        self.button = MemoryButton()
        self.said = 0
        """The frames that the visitor has said so far; also the next frame's number."""
        self._live = live
        self._settings = settings
        self._microphone = MemoryMicrophone()
        self._seen: list[tuple[float, Event]] = []
        self._changed = asyncio.Event()

    async def serve(self) -> None:
        """Run the kiosk until cancelled."""
        clock = SystemClock()
        parts = kiosk_parts(
            clock,
            self._microphone,
            MemorySpeaker(clock),
            self._live,
            MemoryNotifier(),
            buttons=[app.ButtonSpec(self.button)],
            network=KernelNetwork(),
        )
        await app.serve(self._settings, parts, observers=[self._observe])

    async def speak(self) -> None:
        """Have the visitor speak until cancelled."""
        due = time.monotonic()
        while True:
            while due <= time.monotonic():
                self.say(1)
                due += pcm.FRAME_MS / 1000
            await asyncio.sleep(pcm.FRAME_MS / 1000)

    def say(self, count: int) -> None:
        """Have the visitor say `count` frames at once."""
        for number in range(self.said, self.said + count):
            self._microphone.say(number.to_bytes(2, "little").ljust(pcm.FRAME_BYTES, b"\0"))
        self.said += count

    async def started(self) -> None:
        """Wait until the kiosk is ready."""
        await self._until(lambda event: isinstance(event, Started), 1)

    async def up(self, nth: int = 1) -> float:
        """Wait for the `nth` connection. Return the clock's time when it opened."""
        return await self._until(lambda event: isinstance(event, ConnectionUp), nth)

    async def lost(
        self, after: float = 0.0, within_s: float = NOTICED_S, remedy: Remedy | None = None
    ) -> float:
        """Wait for the first loss since `after`, or the first with this remedy. Return its time."""
        return await self._until(
            lambda event: isinstance(event, ConnectionLost) and remedy in (None, event.remedy),
            1,
            after,
            within_s,
        )

    async def losses(self, count: int) -> None:
        """Wait until `count` dials or connections have failed."""
        await self._until(lambda event: isinstance(event, ConnectionLost), count)

    async def _until(
        self, wanted: Callable[[Event], bool], nth: int, after: float = 0.0, within_s: float = 2 * PATIENCE_S
    ) -> float:
        try:
            async with asyncio.timeout(within_s):
                while len(times := [at for at, event in self._seen if at >= after and wanted(event)]) < nth:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"did not happen within {within_s} s; did: {self._seen}") from None
        return times[nth - 1]

    def _observe(
        self, now: float, event: Event, _before: State, _after: State, _effects: tuple[Effect, ...]
    ) -> None:
        if isinstance(event, Started | ConnectionUp | ConnectionLost):
            self._seen.append((now, event))
            self._changed.set()


@asynccontextmanager
async def in_conversation(
    service: Simulator,
    *,
    endpoint: str | None = None,
    ca_file: Path | None = None,
    deadlines: Deadlines | None = None,
    proxy: str | None = None,
) -> AsyncIterator[Kiosk]:
    """Yield a kiosk whose visitor has begun to speak to the service."""
    live = live_at(endpoint or service.endpoint, ca_file or service.ca_file, service.key, deadlines, proxy)
    kiosk = Kiosk(live)
    async with running(kiosk.serve(), kiosk.speak()):
        await kiosk.up()
        await hears(service, kiosk.said)
        yield kiosk


def live_at(
    endpoint: str, ca_file: Path, key: SecretStr, deadlines: Deadlines | None, proxy: str | None = None
) -> GeminiLive:
    config = GeminiConfig(
        key=key, model="gemini-3.8-live", voice="Kore", endpoint=endpoint, ca_file=ca_file, proxy=proxy
    )
    return GeminiLive(config, deadlines=deadlines)


def numbers(session: SessionRecord) -> list[int]:
    """Return the numbers of the frames that a session received, in order."""
    heard = bytes(session.audio)
    return [int.from_bytes(heard[at : at + 2], "little") for at in range(0, len(heard), pcm.FRAME_BYTES)]


async def hears(service: Simulator, number: int, within_s: float = 2 * PATIENCE_S) -> None:
    """Wait until the service has received the frame of this number."""
    async with asyncio.timeout(within_s):
        while True:
            if service.sessions and (heard := numbers(service.sessions[-1])) and heard[-1] >= number:
                return
            await asyncio.sleep(0.02)  # the record does not signal that it has grown


async def goes_on(kiosk: Kiosk, service: Simulator) -> None:
    """Wait until the service is connected again and has caught up. Check that no frame is lost or doubled."""
    await kiosk.up(2)
    await hears(service, kiosk.said)
    [session] = service.sessions
    assert service.connections[-1].resumed
    heard = numbers(session)
    lost = set(range(heard[0], heard[-1] + 1)) - set(heard)
    twice = len(heard) - len(set(heard))
    assert (len(lost), twice) == (0, 0), f"lost {sorted(lost)}, {twice} frames heard twice"
    assert heard == sorted(heard)


async def test_a_black_hole_and_a_frozen_peer_are_noticed_in_time(network: Namespace) -> None:
    """All faults run side by side with the daemon's real deadlines, because each takes long."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_fall_into_a_black_hole(network))
        tasks.create_task(_freeze())


async def _fall_into_a_black_hole(network: Namespace) -> None:
    async with Simulator(MUTE) as service, in_conversation(service) as kiosk:
        async with network.black_hole(port_of(service)):
            began = time.monotonic()
            noticed = await kiosk.lost(began)
            # The service, too, has given up the connection by now: it rejects a second one beside an open
            # one.
            service.inject(FaultAction(do="abort"))
            await service.wait_for("closed", 1)
        assert noticed - began < NOTICED_S
        await goes_on(kiosk, service)


async def _freeze() -> None:
    """Stop the peer's process. Its kernel still acknowledges bytes that no process reads."""
    async with (
        Simulator(MUTE) as service,
        relay(service) as peer,
        in_conversation(service, endpoint=peer.endpoint) as kiosk,
    ):
        began = time.monotonic()
        await peer.freeze()
        noticed = await kiosk.lost(began)
        assert noticed - began < NOTICED_S
        # The bytes in its kernel are lost with it. The kiosk must not count them as received.
        await peer.replace()
        await goes_on(kiosk, service)


async def test_a_buffer_that_stays_full_is_noticed_in_time(network: Namespace) -> None:
    for buffer in ("tcp_wmem", "tcp_rmem"):
        network.run("sh", "-c", f"echo 4096 16384 65536 > /proc/sys/net/ipv4/{buffer}")
    async with Simulator(MUTE) as service, in_conversation(service) as kiosk:
        service.inject(FaultAction(do="stop_reading"))
        await service.wait_for("fault", 1)
        kiosk.say(1100)  # so that the buffer is full at once
        began = time.monotonic()
        assert await kiosk.lost(began) - began < Deadlines().send_s + 2
        service.inject(FaultAction(do="abort"))
        await goes_on(kiosk, service)


async def test_a_connection_that_the_peer_has_forgotten_is_closed_at_once(network: Namespace) -> None:
    """The peer restarted while the network was away, and does not know the connection (half open)."""
    async with Simulator(MUTE) as service, in_conversation(service) as kiosk:
        async with network.black_hole(port_of(service)):
            service.inject(FaultAction(do="abort"))
            await service.wait_for("closed", 1)
        back = time.monotonic()
        assert await kiosk.lost(back) - back < 3.0
        await goes_on(kiosk, service)


async def test_a_short_outage_needs_no_new_connection(network: Namespace) -> None:
    async with Simulator(MUTE) as service, in_conversation(service) as kiosk:
        async with network.black_hole(port_of(service)):
            await asyncio.sleep(3.0)  # the outage
        await hears(service, kiosk.said)
        [session] = service.sessions
        heard = numbers(session)
        assert heard == list(range(heard[0], heard[-1] + 1))
        assert len(service.connections) == 1


async def test_a_slow_uplink_delays_speech_but_keeps_the_connection(network: Namespace) -> None:
    """The line passes half of the speech's rate, and a backlog exists as after an outage."""
    async with Simulator(MUTE) as service, in_conversation(service) as kiosk:
        network.slow_down("200kbit", "400ms")
        last = kiosk.said + 250
        kiosk.say(250)
        began = time.monotonic()
        await hears(service, last)
        took = time.monotonic() - began
        [session] = service.sessions
        heard = numbers(session)

    assert took > 5.0, "it was not slow"
    assert heard == list(range(heard[0], heard[-1] + 1))
    assert len(service.connections) == 1


async def test_the_kiosk_waits_for_the_end_of_a_captive_portal(network: Namespace, tmp_path: Path) -> None:
    """The portal answers for every host, with a certificate of its own."""
    ours, portal = identity(tmp_path, "ours"), identity(tmp_path, "portal", names=("portal.invalid",))
    async with (
        Simulator(MUTE) as service,
        Gateway(service, ours, portal) as gateway,
        in_conversation(
            service, endpoint=gateway.endpoint, ca_file=gateway.ca_file, deadlines=BRISK
        ) as kiosk,
    ):
        gateway.show(portal)
        began = time.monotonic()
        await gateway.cut()
        await kiosk.lost(began)
        await gateway.shown(2)
        gateway.show(ours)
        await goes_on(kiosk, service)


async def test_the_kiosk_waits_for_its_clock_to_be_set(network: Namespace, tmp_path: Path) -> None:
    """By the device's clock, the service's certificate is not valid before tomorrow."""
    ours = identity(tmp_path, "ours")
    tomorrow = identity(tmp_path, "tomorrow", starts_in=dt.timedelta(days=1))
    async with (
        Simulator(MUTE) as service,
        Gateway(service, ours, tomorrow) as gateway,
        in_conversation(
            service, endpoint=gateway.endpoint, ca_file=gateway.ca_file, deadlines=BRISK
        ) as kiosk,
    ):
        gateway.show(tomorrow)
        await gateway.cut()
        await kiosk.lost(remedy=Remedy.CLOCK)
        gateway.show(ours)
        await goes_on(kiosk, service)


async def test_the_kiosk_waits_for_a_silent_name_server(
    network: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "RES_OPTIONS", "timeout:1 attempts:1"
    )  # for the resolver's thread, which cannot be cancelled
    ours = identity(tmp_path, "ours")
    async with Simulator(MUTE) as service, Gateway(service, ours) as gateway, resolver(network) as names:
        endpoint = f"https://{HOST}:{gateway.port}"
        async with in_conversation(
            service, endpoint=endpoint, ca_file=gateway.ca_file, deadlines=BRISK
        ) as kiosk:
            names.silent = True
            began = time.monotonic()
            await gateway.cut()
            noticed = await kiosk.lost(began)
            await kiosk.lost(noticed + 0.001)  # a failed dial
            names.silent = False
            await goes_on(kiosk, service)


@pytest.mark.parametrize("manner", ["refuse", "silent"])
async def test_the_kiosk_waits_for_a_failing_proxy(
    network: Namespace, tmp_path: Path, manner: Literal["refuse", "silent"]
) -> None:
    """Only the proxy can resolve the service's name here."""
    ours = identity(tmp_path, "ours")
    async with Simulator(MUTE) as service, Gateway(service, ours) as gateway, Proxy(gateway) as proxy:
        endpoint = f"https://{HOST}:{gateway.port}"
        async with in_conversation(
            service, endpoint=endpoint, ca_file=gateway.ca_file, deadlines=BRISK, proxy=proxy.url
        ) as kiosk:
            await proxy.asked.acquire()
            proxy.manner = manner
            await gateway.cut()
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(2):
                    await proxy.asked.acquire()
            proxy.manner = "pass"
            await goes_on(kiosk, service)


async def test_an_idle_kiosk_without_network_neither_dials_nor_logs(
    network: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kioskd")
    network.run("ip", "link", "add", "wifi", "type", "veth", "peer", "name", "far")
    async with Simulator(MUTE) as service:
        kiosk = Kiosk(live_at(service.endpoint, service.ca_file, service.key, BRISK), Settings())
        join(network)
        async with running(kiosk.serve(), kiosk.speak()):
            await kiosk.started()
            caplog.clear()
            for _ in range(2):
                network.run("ip", "address", "flush", "dev", "wifi")
                network.lose_the_way()
                await asyncio.sleep(1.5)  # longer than the network monitor waits for quiet
                network.find_the_way()
                join(network)
                await asyncio.sleep(1.5)
            assert [
                record.getMessage() for record in caplog.records if record.name.startswith("kioskd")
            ] == []
            assert service.connections == []

            kiosk.button.press()
            await kiosk.up()


def join(network: Namespace) -> None:
    """Give the wireless card an address and a route."""
    for card in ("far", "wifi"):
        network.run("ip", "link", "set", card, "up")
    network.run("ip", "address", "add", "10.9.8.65/24", "dev", "wifi")
    network.run("ip", "route", "replace", "default", "via", "10.9.8.1", "dev", "wifi")


async def test_the_kiosk_dials_as_soon_as_the_network_returns(network: Namespace) -> None:
    """The dial does not wait for the end of a long delay."""
    network.run("ip", "link", "add", "wifi", "type", "veth", "peer", "name", "far")
    join(network)
    hasty = Deadlines(open_s=0.2, unacknowledged_s=1.0)
    async with Simulator(MUTE) as service, in_conversation(service, deadlines=hasty) as kiosk:
        async with network.black_hole(port_of(service)):
            network.run("ip", "address", "flush", "dev", "wifi")
            network.lose_the_way()
            service.inject(FaultAction(do="abort"))
            await kiosk.losses(5)  # from now on the delay is up to 8 s

        network.find_the_way()
        join(network)
        back = time.monotonic()
        assert await kiosk.up(2) - back < SETTLE_S + 1.5
        await goes_on(kiosk, service)


async def test_the_kiosk_moves_to_another_network_before_the_old_one_ends(network: Namespace) -> None:
    network.run("ip", "link", "add", "wifi", "type", "veth", "peer", "name", "far")
    async with Simulator(MUTE) as service, in_conversation(service) as kiosk:
        join(network)
        await goes_on(kiosk, service)
        assert service.connections[0].close_received == 1000
        with pytest.raises(AssertionError):
            await kiosk.lost(within_s=0.0)


async def test_the_daemon_ends_as_quickly_without_a_network(
    network: Namespace, tmp_path: Path, sound_server: SoundServer
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_leave_a_black_hole(network, folder(tmp_path, "hole"), sound_server))
        tasks.create_task(_leave_a_dial_into_nothing(network, folder(tmp_path, "dial"), sound_server))
        tasks.create_task(_leave_a_silent_resolver(network, folder(tmp_path, "names"), sound_server))
        tasks.create_task(_leave_a_frozen_peer(folder(tmp_path, "frozen"), sound_server))
        tasks.create_task(_leave_a_silent_proxy(folder(tmp_path, "proxy"), sound_server))


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


async def _leave_a_black_hole(network: Namespace, folder: Path, sound: SoundServer) -> None:
    async with Simulator(MUTE) as service:
        settings = always_on(service.endpoint, service.ca_file)
        async with daemon_process(folder, settings, surroundings(sound, service)) as daemon:
            await daemon.shows(STATUS[KioskStatus.LISTENING])
            async with network.black_hole(port_of(service)):
                await asyncio.sleep(2.0)  # until unanswered bytes wait
                assert_left_in_time(await daemon.leave(), daemon)


async def _leave_a_dial_into_nothing(network: Namespace, folder: Path, sound: SoundServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port: int = nobody.getsockname()[1]
        async with network.black_hole(port):
            settings = always_on(f"https://127.0.0.1:{port}")
            async with daemon_process(folder, settings, sound.environ | {"GEMINI_API_KEY": "any"}) as daemon:
                await daemon.shows(STATUS[KioskStatus.WAKING])
                assert_left_in_time(await daemon.leave(), daemon)


async def _leave_a_silent_resolver(network: Namespace, folder: Path, sound: SoundServer) -> None:
    async with resolver(network) as names:
        names.silent = True
        settings = always_on(f"https://{HOST}")
        async with daemon_process(folder, settings, sound.environ | {"GEMINI_API_KEY": "any"}) as daemon:
            async with asyncio.timeout(PATIENCE_S):
                await names.asked.wait()
            assert_left_in_time(await daemon.leave(), daemon)


async def _leave_a_frozen_peer(folder: Path, sound: SoundServer) -> None:
    async with Simulator(MUTE) as service, relay(service) as peer:
        settings = always_on(peer.endpoint, service.ca_file)
        async with daemon_process(folder, settings, surroundings(sound, service)) as daemon:
            await daemon.shows(STATUS[KioskStatus.LISTENING])
            await peer.freeze()
            await asyncio.sleep(1.0)  # until acknowledged bytes wait that no process reads
            assert_left_in_time(await daemon.leave(), daemon)


async def _leave_a_silent_proxy(folder: Path, sound: SoundServer) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        settings = always_on(f"https://{HOST}")
        settings["service"]["proxy"] = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        async with daemon_process(folder, settings, sound.environ | {"GEMINI_API_KEY": "any"}) as daemon:
            async with asyncio.timeout(PATIENCE_S):
                asking, _ = await loop.sock_accept(proxy)
            with asking:
                assert_left_in_time(await daemon.leave(), daemon)


def assert_left_in_time(left: tuple[int, float], daemon: DaemonProcess) -> None:
    code, took = left
    assert code == 0, daemon.journal
    assert took < LEAVING_S, daemon.journal
    assert "Traceback" not in daemon.journal


def port_of(service: Simulator) -> int:
    return int(service.endpoint.rpartition(":")[2])


# ---- Machines between the kiosk and the service. ----

_RELAY: Final = """
import asyncio, signal, sys

hearing = asyncio.Event()
hearing.set()

async def pipe(reader, writer, gate=None):
    try:
        while data := await reader.read(65536):
            if gate:
                await gate.wait()
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()

async def serve(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    await asyncio.gather(pipe(reader, there[1], hearing), pipe(there[0], writer))

async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, hearing.clear)
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


class Relay:
    """A process that passes bytes to the service and back, until it is stopped or killed."""

    def __init__(self, service: Simulator) -> None:
        self._target = port_of(service)
        self.process: asyncio.subprocess.Process
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, always at the same port."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _RELAY, str(self.port), str(self._target)), stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout
        self.port = int(await self.process.stdout.readline())

    async def freeze(self) -> None:
        """Stop, after pending bytes were answered. From then on only the kernel acknowledges."""
        self.process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(ON_ITS_WAY_S)
        self.process.send_signal(signal.SIGSTOP)

    async def stop(self) -> None:
        """End at once."""
        self.process.kill()
        await self.process.wait()

    async def replace(self) -> None:
        """End, and start again."""
        await self.stop()
        await self.start()


@asynccontextmanager
async def relay(service: Simulator) -> AsyncIterator[Relay]:
    made = Relay(service)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def identity(
    parent: Path,
    name: str,
    *,
    names: tuple[str, ...] = (HOST,),
    starts_in: dt.timedelta = -dt.timedelta(hours=1),
) -> Certificate:
    """Return a certificate for the test's host, for another host, or for a later time."""
    addresses = ("127.0.0.1",) if HOST in names else ()
    return make_certificate(folder(parent, name), hosts=(*names, *addresses), starts_in=starts_in)


class Gateway:
    """Passes bytes to the service, and presents the certificate that a test chooses."""

    def __init__(self, service: Simulator, *identities: Certificate) -> None:
        """Present the first of `identities`. A kiosk with `ca_file` trusts the issuers of all."""
        self._service = service
        self._identities = {id(one): one.server_context() for one in identities}
        self._shown = self._identities[id(identities[0])]
        self.ca_file = identities[0].ca_file.with_name("all.pem")
        self.ca_file.write_text("".join(one.ca_file.read_text() for one in identities))
        self._open: set[asyncio.WriteTransport] = set()
        self._callers: set[asyncio.ReadTransport] = set()
        self._shows = 0
        self._showed = asyncio.Event()
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def show(self, identity: Certificate) -> None:
        """Present this certificate from now on."""
        self._shown = self._identities[id(identity)]
        self._shows = 0

    async def cut(self) -> None:
        """Break all connections, after pending bytes to the service were answered."""
        for caller in self._callers:
            caller.pause_reading()
        await asyncio.sleep(ON_ITS_WAY_S)
        for transport in self._open:
            end(transport)

    async def shown(self, times: int) -> None:
        """Wait until the certificate was presented `times` times."""
        async with asyncio.timeout(PATIENCE_S):
            while self._shows < times:
                self._showed.clear()
                await self._showed.wait()

    async def __aenter__(self) -> "Gateway":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.sni_callback = self._choose
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for transport in self._open:
            end(transport)

    def _choose(
        self, socket: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _asked: ssl.SSLContext
    ) -> None:
        """Choose the certificate, when OpenSSL asks for it at the beginning of a handshake."""
        socket.context = self._shown
        self._shows += 1
        self._showed.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        trusting = ssl.create_default_context(cafile=self._service.ca_file)
        there = await asyncio.open_connection("127.0.0.1", port_of(self._service), ssl=trusting)
        both = {writer.transport, there[1].transport}
        caller = cast(asyncio.ReadTransport, writer.transport)
        self._open |= both
        self._callers.add(caller)
        try:
            await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))
        finally:
            self._callers.discard(caller)
            self._open -= both
            for transport in both:
                end(transport)


def end(transport: asyncio.WriteTransport) -> None:
    """Break a connection, unless it is ending already."""
    if not transport.is_closing():
        transport.abort()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on all bytes until the end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Resolver(asyncio.DatagramProtocol):
    """A name server that returns one address for all names, or does not answer."""

    def __init__(self) -> None:
        self.silent = False
        self.asked = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question (RFC 1035): 127.0.0.1 for an IPv4 address, and nothing else."""
        self.asked.set()
        if self.silent:
            return
        end = data.index(b"\0", 12) + 5
        address = data[end - 4 : end - 2] == b"\0\1"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1" if address else b""
        header = data[:2] + b"\x81\x80\0\1" + (b"\0\1" if address else b"\0\0") + b"\0\0\0\0"
        self._transport.sendto(header + data[12:end] + answer, addr)


@asynccontextmanager
async def resolver(network: Namespace) -> AsyncIterator[Resolver]:
    """Yield this machine's name server, at the address where it looks for one."""
    address = name_server()
    if not address.startswith("127."):
        network.run("ip", "address", "add", f"{address}/32", "dev", "lo")
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(Resolver, local_addr=(address, 53))
    try:
        yield made
    finally:
        transport.close()


def name_server() -> str:
    """Return the address of this machine's name server."""
    lines = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    addresses = [line[1] for line in lines if line[:1] == ["nameserver"] and "." in line[1]]
    if not addresses:
        pytest.skip("/etc/resolv.conf names no IPv4 name server to stand in for")
    return addresses[0]


class Proxy:
    """An HTTP proxy in front of a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._open: set[asyncio.WriteTransport] = set()
        self.manner: Literal["pass", "refuse", "silent"] = "pass"
        self.asked = asyncio.Semaphore(0)

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for transport in self._open:
            end(transport)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert request.startswith(f"CONNECT {HOST}:{self._gateway.port} ".encode())
        both = {writer.transport}
        self._open |= both
        self.asked.release()
        try:
            match self.manner:
                case "pass":
                    there = await asyncio.open_connection("127.0.0.1", self._gateway.port)
                    both.add(there[1].transport)
                    self._open |= both
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))
                case "refuse":
                    writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                    await writer.drain()
                case "silent":
                    await reader.read()
        finally:
            self._open -= both
            for transport in both:
                end(transport)
