"""A tool that speaks to a broker: publishes, and where it is asked to, waits for the one reply that belongs to it."""

import re
from collections.abc import Mapping

from pydantic import SecretStr

from kioskd import ports
from kioskd.tools.contract import ToolResult, declared, failed, read_answer, refused
from kioskd.tools.json_text import encode
from kioskd.tools.kinds.mqtt.broker import BrokerConnection
from kioskd.tools.kinds.mqtt.settings import MqttSettings
from kioskd.tools.template import UnfitError, fields, fill, fill_json, is_json, remaining


class MqttTool:
    """Publishes to one topic. A `ToolSource`.

    The topic takes {parameter}; so does the payload, where a value stays within its place if the payload is JSON. Without
    one the arguments that the topic has not taken go as a JSON object. With `reply` the message carries MQTT 5's response
    topic and correlation data, and the call waits for the message that brings them back. Messages expire with the tool's
    deadline, so that none is delivered when nobody expects it.
    """

    def __init__(self, settings: MqttSettings, clock: ports.Clock, password: SecretStr | None = None) -> None:
        self.declarations = (declared(settings),)
        self.broker = BrokerConnection(settings, clock, password)
        self.run = self.broker.run
        """Keep a connection to the broker, whatever becomes of it, until cancelled."""
        self._settings, self._used = settings, fields(settings.topic)

    async def ready(self) -> None:
        """Return when the broker was tried once."""
        await self.broker.tried.wait()

    async def call(self, _name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Publish one message, and wait for its reply if it is to have one."""
        import aiomqtt  # noqa: PLC0415 - as above

        try:
            topic = fill(self._settings.topic, arguments, _in_topic)
        except UnfitError as err:
            return refused(str(err))
        if topic.startswith("$") or len(topic.encode()) > 1024:
            return refused("the arguments make a topic that is the broker's own, or too long")
        if self._settings.payload is None:
            payload = encode(remaining(arguments, self._used))
        elif is_json(self._settings.payload):
            payload = fill_json(self._settings.payload, arguments)
        else:
            payload = fill(self._settings.payload, arguments, lambda _name, value: value)
        await self.broker.tried.wait()
        if not self.broker.connected:
            return failed("the broker is not connected", retryable=True)
        try:
            reply = await self.broker.exchange(topic, payload.encode())
        except ConnectionError:
            return failed("the broker went away before the reply; nobody knows whether it was done")
        except aiomqtt.MqttError:
            return failed("the broker went away; nobody knows whether it was done")
        return ToolResult("ok", "sent") if reply is None else read_answer(reply, self._settings.answer)


def _in_topic(name: str, value: str) -> str:
    if not value or re.search(r"[/+#\x00-\x1f\x7f-\x9f]", value):
        raise UnfitError(f"{name} is empty, or holds what divides topics (/ + #)")
    return value
