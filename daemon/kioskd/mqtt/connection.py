"""The connection to an MQTT broker, by MQTT 5 or 3.1.1. It is made again after each loss."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from pydantic import SecretStr

from kioskd.ports import BrokerMessage, Clock
from kioskd.retry import RetryDelays, TryEnded, retry

if TYPE_CHECKING:
    import aiomqtt

log = logging.getLogger(__name__)

FIRST_S: Final = 1.0
MOST_S: Final = 60.0
"""Longest wait, in seconds, between tries to reach a broker."""
LARGEST_PACKET: Final = 262_144
"""Largest message, in bytes, that the broker may send; it drops larger ones."""
_WAITING: Final = 100
"""Most messages that wait to be read, and most that wait to be sent."""
_STEP_S: Final = 3.0
"""Seconds for each step with the broker: connecting and disconnecting."""
_OTHER_VERSION: Final = 0x84
"""MQTT 5's reason code for an unsupported version. The library uses it for a 3.1.1 broker's answer, too."""


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """The address of a broker, and our proofs of identity."""

    url: str
    """mqtt://HOST or mqtts://HOST, with or without a port."""
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    """Certificates to trust in place of the public ones."""
    certificate: Path | None = None
    """Our certificate (PEM), for a broker that knows us by it."""
    key: Path | None = None
    """The certificate's private key (PEM)."""


class BrokerConnection:
    """A connection that `run` keeps. A broker without MQTT 5 is used by MQTT 3.1.1.

    All functions that it is given are called in the loop's thread, and must not block.
    """

    def __init__(
        self,
        access: BrokerAccess,
        clock: Clock,
        *,
        topics: Sequence[str] = (),
        take: Callable[["aiomqtt.Message"], None] = lambda _message: None,
        came: Callable[[], None] = lambda: None,
        gone: Callable[[], None] = lambda: None,
        will: BrokerMessage | None = None,
        needs_5: str = "",
    ) -> None:
        """Store the arguments; `run` connects.

        Args:
            access: Where the broker is, and who we are.
            clock: Waits between tries.
            topics: The topics to subscribe to.
            take: Takes each message of these topics.
            came: Called when the broker is connected, and the topics are subscribed to.
            gone: Called after each try, when the broker is lost or was not reached.
            will: The message that the broker sends to others when we are lost.
            needs_5: The setting that only works with MQTT 5; empty if there is none.
        """
        self._access, self._clock, self._will, self._needs_5 = access, clock, will, needs_5
        self._topics, self._take, self._came, self._gone = topics, take, came, gone
        self._broker = urlsplit(access.url)
        self._client: aiomqtt.Client | None = None
        self._old = False
        """Whether this connection, or else the next try, speaks MQTT 3.1.1."""

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

    async def publish(
        self, message: BrokerMessage, *, qos: int, properties: Mapping[str, object] | None = None
    ) -> None:
        """Publish one message. With a `qos` of 1 or 2 it waits for the broker; the caller sets a deadline.

        `properties` are those of MQTT 5 by their names. A connection of MQTT 3.1.1 leaves them out.

        Raises:
            ConnectionError: there is no connection.
            aiomqtt.MqttError: the connection was lost before the broker had the message.
        """
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - as below

        if self._client is None:
            raise ConnectionError
        # The library gets no timeout, as it would log a warning that shows the message.
        await self._client.publish(
            message.topic,
            message.payload,
            qos,
            message.retain,
            None if self._old or not properties else _with(PacketTypes.PUBLISH, **properties),
            timeout=math.inf,
        )

    async def _use(self) -> TryEnded:
        """Connect, and receive until the broker is lost. If it needs another MQTT version, try it at once."""
        while (ended := await self._use_once()) is None:
            pass
        return ended

    async def _use_once(self) -> TryEnded | None:
        """Connect, and receive until the broker is lost; None if it needs another MQTT version."""
        import aiomqtt  # noqa: PLC0415 - an extra that only some kiosks need

        other_version = False
        try:
            async with self._dialed() as client:
                for topic in self._topics:
                    await client.subscribe(topic, qos=1)
                self._client = client
                version = "3.1.1, messages do not expire" if self._old else "5"
                log.info("broker connected: host=%s mqtt=%s", self._broker.hostname, version)
                self._came()
                async for message in client.messages:
                    self._take(message)
        except (aiomqtt.MqttError, OSError, ValueError) as err:
            other_version = self._falls_back(err, connected=self.connected)
            error, worked = f"{err}; {self._remedy(err)}", self.connected
        else:
            error, worked = "it sends nothing more", True
        finally:
            self._client = None
            if not other_version:
                self._gone()
        return None if other_version else TryEnded(error, worked=worked)

    def _falls_back(self, err: Exception, *, connected: bool) -> bool:
        """Choose the MQTT version of the next try; return whether to try at once."""
        if _wants_other_version(err) and not self._old and not self._needs_5:
            self._old = True
            return True
        # Some brokers answer nothing to an unknown version, and close. So every second try uses MQTT 3.1.1.
        silent = not connected and str(err) == "Operation timed out"
        self._old = silent and not self._old and not self._needs_5
        return False

    def _dialed(self) -> "aiomqtt.Client":
        import aiomqtt  # noqa: PLC0415 - as above
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - comes with it

        # The library's log is silenced: its debug lines show topics, which hold arguments.
        quiet = logging.getLogger(f"{__name__}.wire")
        quiet.setLevel(logging.CRITICAL)
        access, will = self._access, self._will
        tls = self._broker.scheme == "mqtts"
        certificates = aiomqtt.TLSParameters(
            ca_certs=_path(access.ca_file), certfile=_path(access.certificate), keyfile=_path(access.key)
        )
        return aiomqtt.Client(
            self._broker.hostname or "",
            self._broker.port or (8883 if tls else 1883),
            username=access.username,
            password=None if access.password is None else access.password.get_secret_value(),
            logger=quiet,
            protocol=aiomqtt.ProtocolVersion.V311 if self._old else aiomqtt.ProtocolVersion.V5,
            timeout=_STEP_S,
            keepalive=30,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, 1, will.retain),
            max_queued_incoming_messages=_WAITING,
            max_queued_outgoing_messages=_WAITING,
            properties=None if self._old else _with(PacketTypes.CONNECT, MaximumPacketSize=LARGEST_PACKET),
            tls_params=certificates if tls else None,
        )

    def _remedy(self, err: Exception) -> str:
        import aiomqtt  # noqa: PLC0415 - as above

        if _wants_other_version(err) and self._needs_5:
            return (
                f"it does not support MQTT 5, which a {self._needs_5} needs; remove {self._needs_5}, "
                "or use a broker with MQTT 5"
            )
        if _wants_other_version(err):
            return "it supports neither MQTT 5 nor 3.1.1; use another broker"
        if isinstance(err, aiomqtt.MqttCodeError):  # an answer of the broker
            return "correct username and password_from, or this user's rights on the broker"
        return "check that the broker runs, and correct broker or ca_file"


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _with(packet: int, **values: object) -> Any:
    from paho.mqtt.properties import Properties  # noqa: PLC0415 - as above

    properties = Properties(packet)  # type: ignore[no-untyped-call]  # the library has no types there
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _wants_other_version(err: Exception) -> bool:
    return getattr(getattr(err, "rc", None), "value", None) == _OTHER_VERSION
