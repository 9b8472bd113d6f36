"""The broker of one tool: it takes messages, and returns the replies to them."""

import asyncio
import math
import secrets
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from kioskd.mqtt.connection import BrokerAccess, BrokerConnection
from kioskd.ports import BrokerMessage, Clock
from kioskd.tools.kinds.mqtt.settings import MqttSettings

if TYPE_CHECKING:
    import aiomqtt

_REPLIES: Final = "kioskd/replies"


class ToolBroker:
    """The connection of one tool to its broker. By MQTT 3.1.1 there are neither replies nor expiry."""

    def __init__(self, settings: MqttSettings, clock: Clock, password: SecretStr | None) -> None:
        self._settings = settings
        self._reply_topic = f"{_REPLIES}/{secrets.token_hex(8)}"
        self.expected: dict[bytes, asyncio.Future[bytes]] = {}
        """Futures of the expected replies, by their correlation data."""
        self.tried = asyncio.Event()
        """Set after the first try to reach the broker."""
        self._connection = BrokerConnection(
            BrokerAccess(settings.broker, settings.username, password, settings.ca_file),
            clock,
            topics=[self._reply_topic] if settings.reply else [],
            take=self._take,
            came=self.tried.set,
            gone=self._lose,
            needs_5="reply" if settings.reply else "",
        )
        self.run = self._connection.run
        """Keep the connection, and make it again after each loss, until cancelled."""

    @property
    def connected(self) -> bool:
        """Whether the broker is connected."""
        return self._connection.connected

    async def exchange(self, topic: str, payload: bytes) -> bytes | None:
        """Publish one message, and return its reply if the settings ask for one; the caller sets a deadline.

        Raises:
            ConnectionError: the connection was lost before the reply, or there is none.
            aiomqtt.MqttError: the connection was lost before the broker had the message.
        """
        settings, correlation = self._settings, secrets.token_bytes(8)
        properties: dict[str, object] = {}
        if not settings.retain:
            properties["MessageExpiryInterval"] = math.ceil(settings.deadline_s)
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if settings.reply:
            properties |= {"ResponseTopic": self._reply_topic, "CorrelationData": correlation}
            self.expected[correlation] = reply
        try:
            message = BrokerMessage(topic, payload, settings.retain)
            await self._connection.publish(message, qos=settings.qos, properties=properties)
            return await reply if settings.reply else None
        finally:
            self.expected.pop(correlation, None)

    def _take(self, message: "aiomqtt.Message") -> None:
        correlation = getattr(message.properties, "CorrelationData", None)
        expected = self.expected.get(correlation) if isinstance(correlation, bytes) else None
        if expected is not None and not expected.done():
            expected.set_result(message.payload)

    def _lose(self) -> None:
        self.tried.set()
        for expected in self.expected.values():
            if not expected.done():
                expected.set_exception(ConnectionError())
                # Read the exception, so that asyncio does not complain if the call was cancelled.
                expected.exception()
