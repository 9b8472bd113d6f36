"""The fleet's broker, over MQTT."""

import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from kioskd.errors import ConfigError
from kioskd.mqtt.connection import BrokerAccess, BrokerConnection
from kioskd.ports import BrokerMessage, Clock

if TYPE_CHECKING:
    import aiomqtt


class MqttFleetBroker:
    """A `FleetBroker` over MQTT 5, or 3.1.1 with an older broker."""

    def __init__(self, access: BrokerAccess, clock: Clock) -> None:
        """Connect to nothing yet.

        Raises:
            ConfigError: the extra kioskd[mqtt] is not installed.
        """
        if importlib.util.find_spec("aiomqtt") is None:
            raise ConfigError(
                "fleet.mqtt: needs the extra kioskd[mqtt], which is not installed; "
                "run the installer again, or remove fleet.mqtt"
            )
        self._access, self._clock = access, clock
        self._connection: BrokerConnection | None = None

    @property
    def connected(self) -> bool:
        """Whether the broker is connected."""
        return self._connection is not None and self._connection.connected

    async def run(
        self,
        topics: Sequence[str],
        *,
        will: BrokerMessage,
        take: Callable[[BrokerMessage], None],
        came: Callable[[], None],
    ) -> NoReturn:
        """See `FleetBroker`."""

        def message(received: "aiomqtt.Message") -> None:
            payload = received.payload
            if isinstance(payload, bytes | bytearray):
                take(BrokerMessage(str(received.topic), bytes(payload), received.retain))

        self._connection = BrokerConnection(
            self._access, self._clock, topics=topics, take=message, came=came, will=will
        )
        await self._connection.run()

    async def publish(self, message: BrokerMessage) -> None:
        """See `FleetBroker`."""
        import aiomqtt  # noqa: PLC0415 - an extra that only some kiosks need

        if self._connection is None:
            raise ConnectionError
        try:
            await self._connection.publish(message, qos=1)
        except aiomqtt.MqttError:
            raise ConnectionError from None
