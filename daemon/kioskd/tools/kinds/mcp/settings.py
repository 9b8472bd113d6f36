"""What an owner can set of a Model Context Protocol server."""

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

_OF_ARGV: Final = UnusedAt("argv", None, "it is for a server with argv; take it out")


class McpSettings(Guard, ProgramSettings):
    """The tools of a Model Context Protocol server. The guards hold for each of them."""

    kind: Literal["mcp"]
    """Offers what a Model Context Protocol server has."""
    name: ToolName
    """What the journal calls this server."""
    argv: Annotated[
        Annotated[ProgramArguments, AfterValidator(runnable)] | None, Field(validate_default=True)
    ] = None
    """A server to start: program and arguments, spoken to over its stdin and stdout."""
    url: Annotated[WebAddress | None, Field(validate_default=True)] = None
    """A server to reach over streamable HTTP."""
    allow: Annotated[tuple[Name, ...], Field(max_length=MOST_TOOLS)]
    """The server's tools that the model may call, by the server's names. Others are not even shown to it."""
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,30}$")] | None = None
    """What to put before their names, so that no two tools have one name."""
    headers: Annotated[Headers, UnusedAt("url", None, "it is for a server with url; take it out")] = Field(
        default_factory=dict
    )
    """Headers to send, with `url`; credential:NAME in a value stands for a secret."""
    environment: Annotated[tuple[Variable, ...], Field(max_length=40), _OF_ARGV] = ()
    """Variables of the daemon's environment to pass on, with `argv`."""
    working_directory: Annotated[PathOnDisk, _OF_ARGV] = Path("/")
    """Folder that the server runs in, with `argv`. It may read and change what is there."""
    start_timeout_s: Annotated[float, Range(1, 600, "a program that takes longer does not start")] = 60.0
    """Seconds in which the server may start and answer; after a try in vain the next one waits twice as long."""
    ca_file: PathOnDisk | None = None
    """Certificates (PEM) to trust in place of the public ones, with an https:// `url`."""
    insecure: Insecure = False
    """true: send the credential in `headers` without encryption beyond this machine, where others can read it."""

    @field_validator("ca_file")
    @classmethod
    def _of_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and not str(info.data.get("url") or "").startswith("https:"):
            raise said("goes unused: only https:// has TLS; use an https:// url, or take it out")
        return value

    @field_validator("allow")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise said("is an empty list: nothing of the server could be called; name its tools")
        for number, name in enumerate(value):
            if name in value[:number]:
                raise at([number], "stands here twice: it counts once; take the second out")
        return value

    @field_validator("url")
    @classmethod
    def _one_of_two(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "argv" in info.data and (value is None) == (info.data["argv"] is None):
            what = "is missing" if value is None else "stands beside argv"
            raise said(f"{what}: a server is either started (argv) or reached (url); write one of the two")
        granted = [name for name in GRANTS if name in info.data and info.data[name] != GRANTS[name]]
        if value is not None and granted:
            raise said(f"goes with no {granted[0]}: that is for a server with argv; take it out")
        if value is not None and FIELD.search(value):
            raise said("has a parameter: a server has one address; write it")
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """What the model would call the tools in `allow`."""
        return tuple(re.sub(r"[^A-Za-z0-9_]", "_", f"{self.prefix or ''}{name}") for name in self.allow)
