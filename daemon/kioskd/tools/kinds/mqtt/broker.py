"""The connection to an MQTT broker: kept for as long as the tool is there, by MQTT 5 or by 3.1.1."""

import asyncio
import logging
import math
import secrets
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from pydantic import SecretStr

from kioskd import ports
from kioskd.retry import RetryDelays, TryEnded, retry
from kioskd.tools.kinds.mqtt.settings import MqttSettings

if TYPE_CHECKING:
    import aiomqtt

log = logging.getLogger(__name__)

FIRST_S: Final = 1.0
MOST_S: Final = 60.0
"""Seconds before the first and between later tries to reach a broker."""
LARGEST_PACKET: Final = 262_144
"""Bytes of a message that the broker may send us; it drops what is larger."""
_WAITING: Final = 100
"""Replies that may wait to be looked at."""
_STEP_S: Final = 3.0
"""Seconds for each step with the broker: to answer a connect, to part."""
_OTHER_VERSION: Final = 0x84
"""MQTT 5's reason code of a broker that does not speak it; the library gives it for 3.1.1's answer, too."""


class BrokerConnection:
    """The connection of one tool to its broker.

    A broker that speaks MQTT 3.1.1 only is spoken to by that: it knows neither replies nor expiry.
    """

    def __init__(self, settings: MqttSettings, clock: ports.Clock, password: SecretStr | None) -> None:
        self._settings, self._clock, self._password = settings, clock, password
        self._broker = urlsplit(settings.broker)
        self._reply_topic = f"kioskd/replies/{secrets.token_hex(8)}"
        self._client: aiomqtt.Client | None = None
        self._old = False
        """Whether the next try speaks MQTT 3.1.1."""
        self.expected: dict[bytes, asyncio.Future[bytes]] = {}
        """The replies that are waited for."""
        self.tried = asyncio.Event()
        """Set when the broker was tried once."""

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._client is not None

    async def run(self) -> NoReturn:
        """Keep the connection, whatever becomes of it, until cancelled."""

        def lost(error: str) -> None:
            log.warning(
                "broker lost or not reached, retrying: host=%s error=%s", self._broker.hostname, error
            )

        await retry(self._use, delays=RetryDelays(FIRST_S, MOST_S), lost=lost, pause=self._clock.sleep)

    async def exchange(self, topic: str, payload: bytes) -> bytes | None:
        """Publish one message, and return its reply if it is to have one. The caller's deadline bounds it.

        Raises:
            ConnectionError: the broker went away before the reply, or is not connected.
            aiomqtt.MqttError: the broker went away before it had the message.
        """
        client, correlation = self._client, secrets.token_bytes(8)
        if client is None:
            raise ConnectionError
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._settings.reply:
            self.expected[correlation] = reply
        try:
            # No timeout of its own: the library logs what it would warn of.
            await client.publish(
                topic,
                payload,
                self._settings.qos,
                self._settings.retain,
                self._properties(correlation),
                timeout=math.inf,
            )
            return await reply if self._settings.reply else None
        finally:
            self.expected.pop(correlation, None)

    async def _use(self) -> TryEnded:
        """Connect, and listen until the broker is lost; try by its other version at once where it wants that."""
        import aiomqtt  # noqa: PLC0415 - an extra, needed only where there is such a tool

        while True:
            try:
                async with self._dialed() as client:
                    if self._settings.reply:
                        await client.subscribe(self._reply_topic, qos=1)
                    self._client = client
                    self.tried.set()
                    version = "3.1.1, messages do not expire" if self._old else "5"
                    log.info("broker connected: host=%s mqtt=%s", self._broker.hostname, version)
                    await self._listen(client)
            except (aiomqtt.MqttError, OSError, ValueError) as err:
                if self._falls_back(err, connected=self.connected):
                    continue
                self.tried.set()
                error = f"{err}; {_remedy(err, reply=self._settings.reply)}"
                return TryEnded(error, worked=self.connected)
            finally:
                self._lose()

    def _falls_back(self, err: Exception, *, connected: bool) -> bool:
        """Choose the version of the next try; return whether it comes at once, because the broker wants another."""
        if _wants_other_version(err) and not self._old and not self._settings.reply:
            self._old = True
            return True
        # Some brokers say nothing to a version that they do not know, and close: MQTT 3.1.1 has every second try.
        silent = not connected and str(err) == "Operation timed out"
        self._old = silent and not self._old and not self._settings.reply
        return False

    def _dialed(self) -> "aiomqtt.Client":
        import aiomqtt  # noqa: PLC0415 - as above
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - comes with it

        # Silent: its debug lines show topics, which hold arguments.
        quiet = logging.getLogger(f"{__name__}.wire")
        quiet.setLevel(logging.CRITICAL)
        tls = self._broker.scheme == "mqtts"
        ca_file = self._settings.ca_file
        certificates = None if ca_file is None else str(ca_file)
        return aiomqtt.Client(
            self._broker.hostname or "",
            self._broker.port or (8883 if tls else 1883),
            username=self._settings.username,
            password=None if self._password is None else self._password.get_secret_value(),
            logger=quiet,
            protocol=aiomqtt.ProtocolVersion.V311 if self._old else aiomqtt.ProtocolVersion.V5,
            timeout=_STEP_S,
            keepalive=30,
            max_queued_incoming_messages=_WAITING,
            max_queued_outgoing_messages=_WAITING,
            properties=None if self._old else _with(PacketTypes.CONNECT, MaximumPacketSize=LARGEST_PACKET),
            tls_params=aiomqtt.TLSParameters(ca_certs=certificates) if tls else None,
        )

    def _properties(self, correlation: bytes) -> Any:
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - as above

        if self._old:
            return None
        reply = (
            {"ResponseTopic": self._reply_topic, "CorrelationData": correlation}
            if self._settings.reply
            else {}
        )
        expiry = (
            {} if self._settings.retain else {"MessageExpiryInterval": math.ceil(self._settings.deadline_s)}
        )
        return _with(PacketTypes.PUBLISH, **reply, **expiry)

    async def _listen(self, client: "aiomqtt.Client") -> None:
        async for message in client.messages:
            correlation = getattr(message.properties, "CorrelationData", None)
            expected = self.expected.get(correlation) if isinstance(correlation, bytes) else None
            if expected is not None and not expected.done():
                expected.set_result(message.payload)

    def _lose(self) -> None:
        self._client = None
        for expected in self.expected.values():
            if not expected.done():
                expected.set_exception(ConnectionError())
                # A call that was cancelled meanwhile does not ask for it.
                expected.exception()


def _with(packet: int, **values: object) -> Any:
    from paho.mqtt.properties import Properties  # noqa: PLC0415 - as above

    properties = Properties(packet)  # type: ignore[no-untyped-call]  # the library has no types there
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _wants_other_version(err: Exception) -> bool:
    return getattr(getattr(err, "rc", None), "value", None) == _OTHER_VERSION


def _remedy(err: Exception, *, reply: bool) -> str:
    import aiomqtt  # noqa: PLC0415 - as above

    if _wants_other_version(err) and reply:
        return "it speaks no MQTT 5, which a reply needs; take out reply, or use a broker with MQTT 5"
    if _wants_other_version(err):
        return "it speaks neither MQTT 5 nor 3.1.1; use another broker"
    if isinstance(err, aiomqtt.MqttCodeError):  # what the broker has answered
        return "correct username and password_from, or what the broker lets this user do"
    return "see that it runs, and correct broker or ca_file"
