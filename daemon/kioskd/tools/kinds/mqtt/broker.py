"""The connection to an MQTT broker, by MQTT 5 or 3.1.1; it is kept as long as the tool exists."""

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
"""Longest wait, in seconds, between tries to reach a broker."""
LARGEST_PACKET: Final = 262_144
"""Largest message, in bytes, that the broker may send; it drops larger ones."""
_WAITING: Final = 100
"""Most replies that wait to be read."""
_STEP_S: Final = 3.0
"""Seconds for each step with the broker: connecting and disconnecting."""
_OTHER_VERSION: Final = 0x84
"""MQTT 5's reason code for an unsupported version. The library uses it for a 3.1.1 broker's answer, too."""


class BrokerConnection:
    """The connection of one tool to its broker.

    A broker without MQTT 5 is used by MQTT 3.1.1, which has neither replies nor expiry.
    """

    def __init__(self, settings: MqttSettings, clock: ports.Clock, password: SecretStr | None) -> None:
        self._settings, self._clock, self._password = settings, clock, password
        self._broker = urlsplit(settings.broker)
        self._reply_topic = f"kioskd/replies/{secrets.token_hex(8)}"
        self._client: aiomqtt.Client | None = None
        self._old = False
        """Whether the next try speaks MQTT 3.1.1."""
        self.expected: dict[bytes, asyncio.Future[bytes]] = {}
        """Futures of the expected replies, by their correlation data."""
        self.tried = asyncio.Event()
        """Set after the first try to reach the broker."""

    @property
    def connected(self) -> bool:
        """Whether the broker is connected."""
        return self._client is not None

    async def run(self) -> NoReturn:
        """Keep the connection, and make it again after each loss, until cancelled."""

        def lost(error: str) -> None:
            log.warning(
                "MQTT broker lost or not reached, retrying: host=%s error=%s", self._broker.hostname, error
            )

        await retry(self._use, delays=RetryDelays(FIRST_S, MOST_S), lost=lost, pause=self._clock.sleep)

    async def exchange(self, topic: str, payload: bytes) -> bytes | None:
        """Publish one message, and return its reply if the settings ask for one; the caller sets a deadline.

        Raises:
            ConnectionError: the connection was lost before the reply, or there is none.
            aiomqtt.MqttError: the connection was lost before the broker had the message.
        """
        client, correlation = self._client, secrets.token_bytes(8)
        if client is None:
            raise ConnectionError
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._settings.reply:
            self.expected[correlation] = reply
        try:
            # The library gets no timeout, as it would log a warning that shows the message.
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
        """Connect, and receive until the broker is lost. If it needs another MQTT version, try it at once."""
        import aiomqtt  # noqa: PLC0415 - an extra that only such tools need

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
        """Choose the MQTT version of the next try; return whether to try at once."""
        if _wants_other_version(err) and not self._old and not self._settings.reply:
            self._old = True
            return True
        # Some brokers answer nothing to an unknown version, and close. So every second try uses MQTT 3.1.1.
        silent = not connected and str(err) == "Operation timed out"
        self._old = silent and not self._old and not self._settings.reply
        return False

    def _dialed(self) -> "aiomqtt.Client":
        import aiomqtt  # noqa: PLC0415 - as above
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - comes with it

        # The library's log is silenced: its debug lines show topics, which hold arguments.
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
                # Read the exception, so that asyncio does not complain if the call was cancelled.
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
        return "it does not support MQTT 5, which a reply needs; remove reply, or use a broker with MQTT 5"
    if _wants_other_version(err):
        return "it supports neither MQTT 5 nor 3.1.1; use another broker"
    if isinstance(err, aiomqtt.MqttCodeError):  # an answer of the broker
        return "correct username and password_from, or this user's rights on the broker"
    return "check that the broker runs, and correct broker or ca_file"
