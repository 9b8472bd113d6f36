"""Declaration of the kind `http`, tools that ask a web server, for the rest of kioskd."""

from typing import Final
from urllib.parse import urlsplit

from kioskd.tools.contract import ToolSource
from kioskd.tools.credentials import headers
from kioskd.tools.kinds.http.settings import HttpSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind


def _build(tool: HttpSettings, context: BuildContext) -> ToolSource:
    from kioskd.tools.kinds.http.tool import HttpTool  # noqa: PLC0415 - it imports http.cookiejar

    return HttpTool(tool, headers(tool.headers, context.environ))


HTTP: Final = ToolKind(
    name="http",
    settings=HttpSettings,
    build=_build,
    goes_to=lambda tool: urlsplit(tool.url).hostname or "a web server",
)
