"""Types of the settings that tools of several kinds have, with their checks."""

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
    """Return `text`, in which paths of credentials start at the YAML's folder. Reject unusual characters."""
    if not text.isascii() or not text.isprintable():
        raise said("has line breaks or characters that are not ASCII; remove them")

    def placed(match: re.Match[str]) -> str:
        name = match[1]
        folder = (info.context or {}).get("folder", ".")
        return f"credential:{Path(folder, name)}" if "/" in name else match[0]

    return CREDENTIAL.sub(placed, text)


def _only_credential(text: str) -> str:
    if not CREDENTIAL.fullmatch(text):
        # The text is not repeated, because it may be the secret itself.
        raise said(
            "is not a reference to a secret, and a secret does not belong in this file; write credential:NAME"
        )
    return text


def address(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """Return the parts of an address with one of `schemes`. Raises an error for any other text."""
    remedy = f"write {schemes[0]}://HOST or {schemes[0]}://HOST:PORT"
    url = split_address(text, f"has a host or port that cannot be read; {remedy}")
    if url.scheme not in schemes or not url.hostname or url.port == 0:
        begins = " or ".join(f"{each}://" for each in schemes)
        raise said(f"is not an address that begins with {begins}; {remedy}")
    if not text.isascii() or not text.isprintable() or re.search(r'[\s\\<>"^`|]', text):
        raise said("has blanks or characters that no address has; escape them, for example a blank as %20")
    if "@" in url.netloc or url.fragment:
        raise said("has a name, a password or a #fragment, and others could read it; remove it")
    if FIELD.search(url.netloc) or "{" in url.netloc:
        raise said("has a {parameter} in its host, so that the model would choose the server; write the host")
    return url


def _broker(text: str) -> str:
    url = address(text, ("mqtt", "mqtts"))
    if url.path.strip("/") or url.query:
        raise said("has more than host and port; remove the rest, and write a topic into the setting topic")
    return text


def _web(text: str) -> str:
    url = address(text, ("https", "http"))
    no_credential(f"{url.path}?{url.query}")  # not the host, which may be called credential and have a port
    return text


def no_credential(text: str) -> str:
    """Return `text`. Reject the name of a secret here, where it is not replaced by the secret."""
    if found := CREDENTIAL.search(text):
        raise said(
            f"has {shown(found[0])}, which becomes the secret only in headers (http, mcp with url) and "
            "password_from (mqtt); remove it, and let a program read its secret itself"
        )
    return text


def _variable(text: str) -> str:
    if text in _SECRET_VARIABLES:
        raise said(f"{text} is the service key, which no program needs; remove it")
    if _DAEMONS_VARIABLES.fullmatch(text):
        raise said(f"{text} leads to the daemon's own files, which no program needs; remove it")
    return text


def _header_name(text: str) -> str:
    if text.lower() in {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}:
        raise said(f"{text} is set by each request itself; remove it")
    return text


def _with_tls(value: Path, info: ValidationInfo) -> Path:
    scheme = str(info.data.get("url") or info.data.get("broker")).partition(":")[0]
    if scheme in _PLAIN:
        raise said(f"has no effect: {scheme}:// has no TLS; write {scheme}s://, or remove it")
    return value


def _insists(value: bool, info: ValidationInfo) -> bool:
    """Reject a credential that others could read on its way, unless the owner wrote `insecure: true`."""
    given = info.data
    if not {"url", "broker"} & given.keys() or not {"headers", "password_from"} & given.keys():
        return value  # these have faults of their own
    address = given.get("url") or given.get("broker") or ""
    secrets = (*given.get("headers", {}).values(), given.get("password_from") or "")
    url = urlsplit(address)
    clear = url.scheme in _PLAIN and not is_loopback(address) and any(map(CREDENTIAL.search, secrets))
    if clear and not value:
        raise said(
            f"is not true: the credential would go to {url.hostname} without encryption, and others could "
            f"read it; write {url.scheme}s://, or insecure: true"
        )
    if value and not clear:
        raise said("has no effect: no credential leaves this machine without encryption; remove it")
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if name.lower() in _SECRET_HEADERS and not CREDENTIAL.search(text):
            raise at([name], "is a secret, which does not belong in this file; write credential:NAME")
        if FIELD.search(text):
            raise at(
                [name], "has a {parameter}, but the model must not choose headers; write the whole value"
            )
    return value


def fits(template: str, info: ValidationInfo) -> str:
    """Return `template`. Each parameter in it must be declared, required, and one plain value."""
    parameters = info.data.get("parameters")
    if parameters is None:  # this has a fault of its own
        return template
    properties: Mapping[str, Any] = parameters["properties"]
    for name in FIELD.findall(template):
        if name not in properties:
            near = difflib.get_close_matches(name, properties, n=1)
            hint = f"did you mean {near[0]}?" if near else "add it under parameters.properties"
            raise said(f"names {shown(name)}, which is not a parameter; {hint}")
        given = properties[name]
        types = given.get("type", ()) if isinstance(given, Mapping) else ()
        if not types or not _SCALARS.issuperset([types] if isinstance(types, str) else types):
            plain = "set its type to string, integer, number or boolean"
            raise said(f"names {shown(name)}, which is not one plain value; {plain}")
        if name not in parameters.get("required", ()):
            raise said(f"names {shown(name)}, which a call can leave out; add it to parameters.required")
    return template


BrokerAddress = Annotated[str, AfterValidator(_broker)]
"""Address of a broker: mqtt://HOST or mqtts://HOST, with or without a port."""
Credential = Annotated[str, AfterValidator(_only_credential), AfterValidator(_reference)]
HeaderName = Annotated[
    str,
    form(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "is not the name of a header; write one, for example X-Shop"),
    AfterValidator(_header_name),
]
HeaderValue = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_reference)]
WebAddress = Annotated[str, AfterValidator(_web)]
ToolName = Annotated[
    str,
    form(
        NAME,
        "is not the name of a tool; write letters, digits and _, no digit first, at most 64: find_item",
    ),
]
Variable = Annotated[
    str,
    form("[A-Za-z_][A-Za-z0-9_]*", "is not the name of an environment variable; write one, for example TZ"),
    AfterValidator(_variable),
]
CaFile = Annotated[PathOnDisk, AfterValidator(_with_tls)]
Insecure = Annotated[bool, Field(validate_default=True), AfterValidator(_insists)]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(max_length=20), AfterValidator(_headers)]
AnswerForm = Literal["json", "text", "none"]
"""Form of a tool's answer. none is for a tool whose answer does not matter."""
ProgramArguments = Annotated[
    tuple[
        Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(no_credential)], ...
    ],
    Field(max_length=100),
]
