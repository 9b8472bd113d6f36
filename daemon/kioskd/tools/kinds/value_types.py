"""How settings of tools are written that more than one kind has, and what is refused of them."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo

from kioskd.proxies import is_loopback
from kioskd.tools.credentials import CREDENTIAL
from kioskd.tools.json_schema import NAME
from kioskd.tools.template import FIELD
from kioskd.yamlconf.value_types import PathOnDisk, at, form, said, shown, split_address

_PLAIN: Final = frozenset({"http", "mqtt"})
"""Schemes without TLS."""
_SCALARS: Final = frozenset({"string", "number", "integer", "boolean"})
_SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"}
)
_SECRET_VARIABLES: Final = frozenset({"GEMINI_API_KEY", "GOOGLE_API_KEY"})
_DAEMONS_VARIABLES: Final = re.compile(
    r"CREDENTIALS_DIRECTORY|GOOGLE_APPLICATION_CREDENTIALS|NOTIFY_SOCKET|WATCHDOG_\w+|LISTEN_\w+|"
    r"(?:STATE|RUNTIME|CACHE|LOGS|CONFIGURATION)_DIRECTORY"
)


def _reference(text: str, info: ValidationInfo) -> str:
    """Make paths of credentials start at the YAML's folder; refuse what no header or password holds."""
    if not text.isascii() or not text.isprintable():
        raise said("holds line breaks or odd characters: none belongs there; take them out")

    def placed(match: re.Match[str]) -> str:
        name = match[1]
        folder = (info.context or {}).get("folder", ".")
        return f"credential:{Path(folder, name)}" if "/" in name else match[0]

    return CREDENTIAL.sub(placed, text)


def _only_credential(text: str) -> str:
    if not CREDENTIAL.fullmatch(text):
        # Not repeated: it may be the secret itself.
        raise said("is no reference: a secret does not stand in this file; write credential:NAME")
    return text


def address(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """Return the parts of an address with one of `schemes`, or refuse it."""
    remedy = f"write {schemes[0]}://HOST or {schemes[0]}://HOST:PORT"
    url = split_address(text, f"is no address: host or port cannot be read; {remedy}")
    if url.scheme not in schemes or not url.hostname or url.port == 0:
        begins = " or ".join(f"{each}://" for each in schemes)
        raise said(f"is no address: it begins with {begins}; {remedy}")
    if not text.isascii() or not text.isprintable() or re.search(r'[\s\\<>"^`|]', text):
        raise said("holds blanks or odd characters: no address does; write %20 for a blank, say")
    if "@" in url.netloc or url.fragment:
        raise said("holds a name, password or fragment: it would be seen; take it out")
    if FIELD.search(url.netloc) or "{" in url.netloc:
        raise said("has a parameter in its host: the model would choose whom to ask; name the host")
    return url


def _web(text: str) -> str:
    url = address(text, ("https", "http"))
    no_credential(f"{url.path}?{url.query}")  # not the host: one may be called that, and have a port
    return text


def no_credential(text: str) -> str:
    """Refuse the name of a secret where nobody would put the secret in its place."""
    if found := CREDENTIAL.search(text):
        raise said(
            f"holds {shown(found[0])}, which would go out as it stands: a secret can stand in headers "
            "(http, mcp with url) or password_from (mqtt) only, and a program reads its own; take it out"
        )
    return text


def _variable(text: str) -> str:
    if text in _SECRET_VARIABLES:
        raise said(f"{text} is the service's key: no program needs it; take it out")
    if _DAEMONS_VARIABLES.fullmatch(text):
        raise said(f"{text} leads to what is the daemon's own: no program needs it; take it out")
    return text


def _header_name(text: str) -> str:
    if text.lower() in {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}:
        raise said(f"{text} is set by the request itself; take it out")
    return text


def _with_tls(value: Path, info: ValidationInfo) -> Path:
    scheme = str(info.data.get("url") or info.data.get("broker")).partition(":")[0]
    if scheme in _PLAIN:
        raise said(f"goes unused: {scheme}:// has no TLS; use {scheme}s://, or take it out")
    return value


def _insists(value: bool, info: ValidationInfo) -> bool:
    """Refuse a credential that others could read on its way, unless the owner has written `insecure: true`."""
    given = info.data
    if not {"url", "broker"} & given.keys() or not {"headers", "password_from"} & given.keys():
        return value  # they have faults of their own
    address = given.get("url") or given.get("broker") or ""
    secrets = (*given.get("headers", {}).values(), given.get("password_from") or "")
    url = urlsplit(address)
    clear = url.scheme in _PLAIN and not is_loopback(address) and any(map(CREDENTIAL.search, secrets))
    if clear and not value:
        raise said(
            f"is not true: the credential would go to {url.hostname} without encryption, for others to read; "
            f"use {url.scheme}s://, or write insecure: true"
        )
    if value and not clear:
        raise said("goes unused: no credential leaves this machine without encryption; take it out")
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if name.lower() in _SECRET_HEADERS and not CREDENTIAL.search(text):
            raise at(
                [name], "holds a secret: it does not stand in this file; write credential:NAME in its place"
            )
        if FIELD.search(text):
            raise at([name], "has a parameter: the model has no say in headers; write what is sent")
    return value


def fits(template: str, info: ValidationInfo) -> str:
    """Refuse a template that names what is no parameter, may be left out, or is not one plain value."""
    parameters = info.data.get("parameters")
    if parameters is None:  # it has a fault of its own
        return template
    properties: Mapping[str, Any] = parameters["properties"]
    for name in FIELD.findall(template):
        if name not in properties:
            near = difflib.get_close_matches(name, properties, n=1)
            hint = f"did you mean {near[0]}?" if near else "add it under parameters.properties"
            raise said(f"names {shown(name)}, which is no parameter; {hint}")
        given = properties[name]
        types = given.get("type", ()) if isinstance(given, Mapping) else ()
        if not types or not _SCALARS.issuperset([types] if isinstance(types, str) else types):
            raise said(f"names {shown(name)}, which is no single value; give it type: string, integer, ...")
        if name not in parameters.get("required", ()):
            raise said(f"names {shown(name)}, which a call may leave out; add it to parameters.required")
    return template


Credential = Annotated[str, AfterValidator(_only_credential), AfterValidator(_reference)]
HeaderName = Annotated[
    str,
    form(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "is no name of a header; write X-Shop, say"),
    AfterValidator(_header_name),
]
HeaderValue = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_reference)]
WebAddress = Annotated[str, AfterValidator(_web)]
ToolName = Annotated[
    str,
    form(
        NAME, "is no name of a tool: letters, digits and _, at most 64, no digit first; write find_item, say"
    ),
]
Variable = Annotated[
    str,
    form("[A-Za-z_][A-Za-z0-9_]*", "is no name of a variable of the environment; write TZ, say"),
    AfterValidator(_variable),
]
CaFile = Annotated[PathOnDisk, AfterValidator(_with_tls)]
Insecure = Annotated[bool, Field(validate_default=True), AfterValidator(_insists)]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(max_length=20), AfterValidator(_headers)]
AnswerForm = Literal["json", "text", "none"]
"""How a tool answers: JSON, words, or nothing that matters (it does something, and that is all)."""
ProgramArguments = Annotated[
    tuple[
        Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(no_credential)], ...
    ],
    Field(max_length=100),
]
