"""Settings of a tool that asks a web server."""

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from kioskd.tools.guard import HeldBytes, NamedSettings
from kioskd.tools.kinds.value_types import AnswerForm, CaFile, Headers, Insecure, WebAddress, fits
from kioskd.yamlconf.value_types import Range, UnusedAt, said, shown


def _host(text: str) -> str:
    try:
        entry = urlsplit(f"//{text}")
        plain = entry.hostname and entry.port != 0 and re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", text)
        if plain and text.startswith("["):
            ipaddress.ip_address(entry.hostname or "")
    except ValueError:
        plain = None
    if not plain:
        raise said(f"{shown(text)} is not a host; write HOST or HOST:PORT")
    return text.lower()


HostName = Annotated[str, AfterValidator(_host)]
"""HOST or HOST:PORT."""


class HttpSettings(NamedSettings):
    """A tool that asks a web server."""

    kind: Literal["http"]
    """Kind of this tool: it asks a web server."""
    url: Annotated[WebAddress, AfterValidator(fits), Field(examples=["http://127.0.0.1:8080/stock/{item}"])]
    """Address to ask. {parameter} in its path or query is replaced by that argument of the call, escaped. The
    host cannot have one."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """HTTP method. GET is for tools that only look something up."""
    send: Literal["query", "json", "form"] | None = Field(default=None, examples=["query"])
    """Way to send the arguments that `url` does not name. If not set, it is query for GET and DELETE, and
    json for the other methods. GET and DELETE have no body, so they take query only."""
    answer: AnswerForm = "json"
    """Form of the server's answer. With none, the server acts, and its answer is ignored."""
    headers: Annotated[Headers, Field(examples=[{"Authorization": "Bearer credential:shop"}])] = Field(
        default_factory=dict
    )
    """Headers to send. credential:NAME in a value is replaced by that secret. NAME is a systemd credential of
    the service, or the path of a file."""
    redirects: Annotated[int, Range(0, 5, "a server that redirects more often goes in circles")] = 0
    """Most redirects to follow with GET. With the other methods only HTTP 303 is followed, by a GET."""
    allowed_hosts: Annotated[
        tuple[HostName, ...],
        Field(max_length=20, examples=[["cdn.example"]]),
        UnusedAt("redirects", 0, "no redirect is followed; set redirects to 1 or more, or remove it"),
    ] = ()
    """Hosts to which the server is allowed to redirect, as HOST or HOST:PORT, beside its own. It needs
    `redirects` above 0."""
    answer_bytes: HeldBytes = 262_144
    """Most bytes of the server's answer. A longer answer is an error. It has no effect with `answer:
    none`."""
    ca_file: CaFile | None = Field(default=None, examples=["shop-ca.pem"])
    """File with certificates (PEM) to trust in place of the public ones, only for an https:// `url`."""
    insecure: Insecure = False
    """Whether the credential in `headers` is sent to another machine without encryption, so that others can
    read it."""

    @field_validator("send")
    @classmethod
    def _with_a_body(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value in {"json", "form"} and info.data.get("method") in {"GET", "DELETE"}:
            raise said(
                f"{value} needs a body, which {info.data['method']} lacks; write query, or set method to POST"
            )
        return value

    @property
    def sends(self) -> Literal["query", "json", "form"]:
        """The way to send the arguments that the address does not name."""
        return self.send or ("query" if self.method in {"GET", "DELETE"} else "json")
