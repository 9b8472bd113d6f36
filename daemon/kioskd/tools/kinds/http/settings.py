"""What an owner can set of a tool that asks a web server."""

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
        raise said(f"{shown(text)} is no host: write HOST or HOST:PORT")
    return text.lower()


HostName = Annotated[str, AfterValidator(_host)]
"""HOST or HOST:PORT."""


class HttpSettings(NamedSettings):
    """A tool that asks a web server."""

    kind: Literal["http"]
    """Asks a web server."""
    url: Annotated[WebAddress, AfterValidator(fits)]
    """Address; {parameter} in its path or query stands for that argument, escaped. Never in its host."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """HTTP method. GET is for what only looks something up."""
    send: Literal["query", "json", "form"] | None = None
    """How the arguments go that the address does not name. Without it: query for GET and DELETE, else json."""
    answer: AnswerForm = "json"
    """What the server answers: json, text, or none (it does something, and its answer does not matter)."""
    headers: Headers = Field(default_factory=dict)
    """Headers to send; credential:NAME in a value stands for a secret (see the README)."""
    redirects: Annotated[int, Range(0, 5, "more is a server that goes in circles")] = 0
    """Redirects to follow, with GET; other methods follow a 303 only, which says where to GET the answer."""
    allowed_hosts: Annotated[
        tuple[HostName, ...],
        Field(max_length=20),
        UnusedAt("redirects", 0, "no redirect is followed; set redirects to 1 or more, or take it out"),
    ] = ()
    """HOST or HOST:PORT to which the server may redirect, beside its own; with `redirects`."""
    answer_bytes: HeldBytes = 262_144
    """Bytes that the server may answer; a longer answer is an error."""
    ca_file: CaFile | None = None
    """Certificates (PEM) to trust in place of the public ones."""
    insecure: Insecure = False
    """true: send the credential in `headers` without encryption beyond this machine, where others can read it."""

    @field_validator("send")
    @classmethod
    def _with_a_body(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value in {"json", "form"} and info.data.get("method") in {"GET", "DELETE"}:
            raise said(
                f"{value} does not go with {info.data['method']}, which has no body; use query, or POST"
            )
        return value

    @property
    def sends(self) -> Literal["query", "json", "form"]:
        """How the arguments go that the address does not name."""
        return self.send or ("query" if self.method in {"GET", "DELETE"} else "json")
