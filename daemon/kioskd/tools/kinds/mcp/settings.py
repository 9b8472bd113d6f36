"""Settings of the tools of a Model Context Protocol server."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from kioskd.tools.argv import runnable
from kioskd.tools.guard import MOST_TOOLS, Guard
from kioskd.tools.kinds.value_types import Headers, Insecure, ProgramArguments, ToolName, Variable, WebAddress
from kioskd.tools.program_settings import GRANTS, ProgramSettings
from kioskd.tools.template import FIELD
from kioskd.yamlconf.value_types import Name, PathOnDisk, Range, UnusedAt, at, said

_OF_ARGV: Final = UnusedAt("argv", None, "it is for a server with argv; remove it")


class McpSettings(Guard, ProgramSettings):
    """The tools of a Model Context Protocol server. It needs either `argv` or `url`.

    The settings of every tool count for each of them.
    """

    kind: Literal["mcp"]
    """Kind of this entry: the tools of a Model Context Protocol server."""
    name: Annotated[ToolName, Field(examples=["museum"])]
    """Name of this server in the journal."""
    argv: Annotated[
        Annotated[ProgramArguments, AfterValidator(runnable)] | None,
        Field(validate_default=True, examples=[["python3", "tools-mcp-server.py"]]),
    ] = None
    """Program and arguments of a server that the kiosk starts, and speaks to over stdin and stdout."""
    url: Annotated[
        WebAddress | None, Field(validate_default=True, examples=["https://museum.example/mcp"])
    ] = None
    """Address of a server that the kiosk reaches over streamable HTTP."""
    allow: Annotated[
        tuple[Name, ...], Field(max_length=MOST_TOOLS, examples=[["opening_hours", "find_work"]])
    ]
    """Tools of the server that the model is allowed to call, by the server's names. The model does not see
    the others."""
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,30}$")] | None = Field(
        default=None, examples=["museum_"]
    )
    """Text before the names of these tools, so that no two tools of a kiosk have the same name."""
    headers: Annotated[
        Headers,
        Field(examples=[{"Authorization": "Bearer credential:museum"}]),
        UnusedAt("url", None, "it is for a server with url; remove it"),
    ] = Field(default_factory=dict)
    """Headers to send, only with `url`. credential:NAME in a value is replaced by that secret. NAME is a
    systemd credential of the service, or the path of a file."""
    environment: Annotated[tuple[Variable, ...], Field(max_length=40, examples=[["TZ"]]), _OF_ARGV] = ()
    """Variables of the daemon's environment that the server gets, only with `argv`."""
    working_directory: Annotated[PathOnDisk, _OF_ARGV] = Path("/")
    """Folder in which the server runs, only with `argv`. The server is allowed to read and change the files
    there."""
    start_timeout_s: Annotated[float, Range(1, 600, "a program that takes longer does not start")] = 60.0
    """Seconds in which the server must start and answer. After a failure the kiosk tries again, and waits
    twice as long."""
    ca_file: PathOnDisk | None = Field(default=None, examples=["museum-ca.pem"])
    """File with certificates (PEM) to trust in place of the public ones, only for an https:// `url`."""
    insecure: Insecure = False
    """Whether the credential in `headers` is sent to another machine without encryption, so that others can
    read it."""

    @field_validator("ca_file")
    @classmethod
    def _of_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and not str(info.data.get("url") or "").startswith("https:"):
            raise said("has no effect: only https:// has TLS; write an https:// url, or remove it")
        return value

    @field_validator("allow")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise said("is an empty list: the model could call no tool of the server; name its tools")
        for number, name in enumerate(value):
            if name in value[:number]:
                raise at([number], "is in this list twice; remove the second")
        return value

    @field_validator("url")
    @classmethod
    def _one_of_two(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "argv" in info.data and (value is None) == (info.data["argv"] is None):
            what = "is missing" if value is None else "excludes argv"
            raise said(
                f"{what}: the kiosk either starts a server (argv) or reaches one (url); write one of the two"
            )
        granted = [name for name in GRANTS if name in info.data and info.data[name] != GRANTS[name]]
        if value is not None and granted:
            raise said(f"excludes {granted[0]}, which is for a server with argv; remove {granted[0]}")
        if value is not None and FIELD.search(value):
            raise said("has a {parameter}, but a server has one address; write that address")
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """Names by which the model calls the tools in `allow`."""
        return tuple(re.sub(r"[^A-Za-z0-9_]", "_", f"{self.prefix or ''}{name}") for name in self.allow)
