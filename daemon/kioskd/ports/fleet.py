"""Interface of the fleet's broker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol


@dataclass(frozen=True, slots=True)
class BrokerMessage:
    """A message for a broker, or from one."""

    topic: str
    payload: bytes = field(repr=False)
    retain: bool = False
    """Whether the broker keeps the message for later subscribers; of a message from it, whether it did."""


class FleetBroker(Protocol):
    """A broker, over a connection that `run` keeps."""

    @property
    def connected(self) -> bool:
        """Whether the broker is connected."""

    async def run(
        self,
        topics: Sequence[str],
        *,
        will: BrokerMessage,
        take: Callable[[BrokerMessage], None],
        came: Callable[[], None],
    ) -> NoReturn:
        """Keep the connection until cancelled. It is made again after each loss.

        `topics` are subscribed to, and `take` gets their messages. `came` is called after each connecting.
        The broker sends `will` to others when the connection is lost.
        """

    async def publish(self, message: BrokerMessage) -> None:
        """Publish a message, and wait until the broker has it. The caller sets a deadline.

        Raises:
            ConnectionError: the broker is not connected, or was lost meanwhile.
        """
