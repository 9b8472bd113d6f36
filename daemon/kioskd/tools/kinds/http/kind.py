"""What others need to know of tools that ask a web server."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kioskd.tools.credentials import headers
from kioskd.tools.kinds.http.settings import HttpSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind, file_faults
from kioskd.yamlconf.document import ValuePath

if TYPE_CHECKING:
    from kioskd.tools.contract import ToolSource


class HttpKind(ToolKind[HttpSettings]):
    """A tool that asks a web server."""

    name = "http"
    settings = HttpSettings

    def credentials(self, tool: HttpSettings) -> Mapping[ValuePath, str]:
        """Return the headers."""
        return {("headers", name): value for name, value in tool.headers.items()}

    def faults(self, tool: HttpSettings) -> Iterator[tuple[ValuePath, str]]:
        """Yield why its certificates cannot be read."""
        return file_faults("ca_file", tool.ca_file)

    def web_address(self, tool: HttpSettings) -> str:
        """Return the server's address."""
        return tool.url

    def goes_to(self, tool: HttpSettings) -> str:
        """Return the server's name."""
        return urlsplit(tool.url).hostname or "a web server"

    def build(self, tool: HttpSettings, context: BuildContext) -> "ToolSource":
        """Return the tool; raises KeyUnusableError for a secret in its headers."""
        from kioskd.tools.kinds.http.tool import HttpTool  # noqa: PLC0415 - brings http.cookiejar

        return HttpTool(tool, headers(tool.headers, context.environ))
