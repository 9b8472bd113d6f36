"""What others need to know of tools that publish to a broker."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kioskd.tools.credentials import secret
from kioskd.tools.kinds.mqtt.settings import MqttSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind, file_faults
from kioskd.yamlconf.document import ValuePath

if TYPE_CHECKING:
    from kioskd.tools.contract import ToolSource


class MqttKind(ToolKind[MqttSettings]):
    """A tool that publishes to a broker, and may wait for a reply."""

    name = "mqtt"
    settings = MqttSettings
    package = "aiomqtt"

    def credentials(self, tool: MqttSettings) -> Mapping[ValuePath, str]:
        """Return the reference to the password, if there is one."""
        return {} if tool.password_from is None else {("password_from",): tool.password_from}

    def faults(self, tool: MqttSettings) -> Iterator[tuple[ValuePath, str]]:
        """Yield why its certificates cannot be read."""
        return file_faults("ca_file", tool.ca_file)

    def goes_to(self, tool: MqttSettings) -> str:
        """Return the broker's name."""
        return f"broker {urlsplit(tool.broker).hostname}"

    def build(self, tool: MqttSettings, context: BuildContext) -> "ToolSource":
        """Return the tool; raises KeyUnusableError for its password."""
        from kioskd.tools.kinds.mqtt.tool import MqttTool  # noqa: PLC0415 - where it is used

        password = None if tool.password_from is None else secret(tool.password_from, context.environ)
        return MqttTool(tool, context.clock, password)
