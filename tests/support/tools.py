"""Tools of each kind, as their settings make them. Settings that only tests use are not checked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from kioskd import ports
from kioskd.adapters.clock import SystemClock
from kioskd.tools.kinds.command.settings import CommandSettings
from kioskd.tools.kinds.command.tool import CommandTool
from kioskd.tools.kinds.http.settings import HttpSettings
from kioskd.tools.kinds.http.tool import HttpTool
from kioskd.tools.kinds.mqtt.settings import MqttSettings
from kioskd.tools.kinds.mqtt.tool import MqttTool
from kioskd.tools.program import Program
from kioskd.tools.sandbox import ProgramSandbox

ANY: Final[Mapping[str, object]] = {"type": "object"}


def http_tool(
    url: str, *, name: str = "ask", headers: Mapping[str, SecretStr] | None = None, **options: Any
) -> HttpTool:
    """Return a tool that asks `url`."""
    chosen = {"name": name, "description": "asks", "parameters": ANY, "url": url} | options
    return HttpTool(HttpSettings.model_construct(**chosen), headers or {})


def command_tool(
    argv: Sequence[str],
    *,
    clock: ports.Clock | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path("/"),
    sandbox: ProgramSandbox | None = None,
    **options: Any,
) -> CommandTool:
    """Return a tool that runs `argv`."""
    chosen = {"name": "run", "description": "runs", "parameters": ANY, "argv": tuple(argv)} | options
    program = Program(argv, folder, environment or {}, sandbox)
    return CommandTool(CommandSettings.model_construct(**chosen), program, clock or SystemClock())


def mqtt_tool(
    broker: str, *, clock: ports.Clock | None = None, password: SecretStr | None = None, **options: Any
) -> MqttTool:
    """Return a tool that publishes to `broker`."""
    chosen = {"name": "light", "description": "", "parameters": ANY, "broker": broker} | options
    return MqttTool(MqttSettings.model_construct(**chosen), clock or SystemClock(), password)
