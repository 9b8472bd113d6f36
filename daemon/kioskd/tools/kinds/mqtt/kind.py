"""Declaration of the kind `mqtt`, tools that publish to a broker, for the rest of kioskd."""

from typing import Final
from urllib.parse import urlsplit

from kioskd.tools.contract import ToolSource
from kioskd.tools.credentials import secret
from kioskd.tools.kinds.mqtt.settings import MqttSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind


def _build(tool: MqttSettings, context: BuildContext) -> ToolSource:
    from kioskd.tools.kinds.mqtt.tool import MqttTool  # noqa: PLC0415 - only if used

    password = None if tool.password_from is None else secret(tool.password_from, context.environ)
    return MqttTool(tool, context.clock, password)


MQTT: Final = ToolKind(
    name="mqtt",
    settings=MqttSettings,
    build=_build,
    package="aiomqtt",
    credentials=lambda tool: {("password_from",): tool.password_from} if tool.password_from else {},
    goes_to=lambda tool: f"broker {urlsplit(tool.broker).hostname}",
)
