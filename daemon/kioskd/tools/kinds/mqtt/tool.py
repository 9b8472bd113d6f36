"""A tool that publishes messages to a broker, and waits for the reply if its settings ask for one."""

import re
from collections.abc import Mapping

from pydantic import SecretStr

from kioskd import ports
from kioskd.tools.contract import ToolResult, declared, failed, read_answer, refused
from kioskd.tools.json_text import encode
from kioskd.tools.kinds.mqtt.broker import ToolBroker
from kioskd.tools.kinds.mqtt.settings import MqttSettings
from kioskd.tools.template import UnfitError, fields, fill, fill_json, is_json, remaining


class MqttTool:
    """Publishes to one topic; a `ToolSource`.

    The topic can hold {parameter}, and so can the payload. If the payload is JSON, a value stays within its
    place. Without a payload the arguments that the topic does not use are sent as a JSON object. With `reply`
    the message carries MQTT 5's response topic and correlation data, and the call waits for the message that
    returns them. Messages expire with the tool's deadline, so that none is delivered too late.
    """

    def __init__(self, settings: MqttSettings, clock: ports.Clock, password: SecretStr | None = None) -> None:
        self.declarations = (declared(settings),)
        self.broker = ToolBroker(settings, clock, password)
        self.run = self.broker.run
        """Keep a connection to the broker until cancelled."""
        self._settings, self._used = settings, fields(settings.topic)

    @property
    def condition(self) -> str:
        """Whether the broker is connected."""
        return f"{self._settings.name}: broker {'connected' if self.broker.connected else 'not connected'}"

    async def ready(self) -> None:
        """Return after the first try to reach the broker."""
        await self.broker.tried.wait()

    async def call(self, _name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Publish one message, and wait for its reply if the settings ask for one."""
        import aiomqtt  # noqa: PLC0415 - as above

        try:
            topic = fill(self._settings.topic, arguments, _in_topic)
        except UnfitError as err:
            return refused(str(err))
        if topic.startswith("$") or len(topic.encode()) > 1024:
            return refused("the arguments make a topic that is too long or reserved for the broker")
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
            return failed("the broker was lost before the reply; it is not known whether it was done")
        except aiomqtt.MqttError:
            return failed("the broker was lost; it is not known whether it was done")
        return ToolResult("ok", "sent") if reply is None else read_answer(reply, self._settings.answer)


def _in_topic(name: str, value: str) -> str:
    if not value or re.search(r"[/+#\x00-\x1f\x7f-\x9f]", value):
        raise UnfitError(f"{name} is empty, or holds a sign that divides topics (/ + #)")
    return value
