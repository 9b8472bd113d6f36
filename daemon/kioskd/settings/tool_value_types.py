"""How the values of `tools` are written, and what is refused of them; as `forms` is for all other settings."""

import difflib
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import InitErrorDetails

from kioskd.proxies import is_loopback
from kioskd.tools.json_patterns import PatternError, check, parts
from kioskd.yamlconf.value_types import said, shown

LARGEST_SCHEMA: Final = 8192
NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
"""What the service takes for the name of a function or of a parameter."""
FIELD: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A parameter in an owner's template."""
CREDENTIAL: Final = re.compile(r"credential:([A-Za-z0-9_./-]+)")
"""A secret in a value: the name of a systemd credential, or with a slash in it the path of a file."""

_SCALARS: Final = frozenset({"string", "number", "integer", "boolean"})
_SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"}
)
_SECRET_VARIABLES: Final = frozenset({"GEMINI_API_KEY", "GOOGLE_API_KEY"})
_DAEMONS_VARIABLES: Final = re.compile(
    r"CREDENTIALS_DIRECTORY|GOOGLE_APPLICATION_CREDENTIALS|NOTIFY_SOCKET|WATCHDOG_\w+|LISTEN_\w+|"
    r"(?:STATE|RUNTIME|CACHE|LOGS|CONFIGURATION)_DIRECTORY"
)


def _thawed(value: Any) -> Any:
    """Return `value` with lists for tuples, as JSON Schema knows them."""
    if isinstance(value, dict):
        return {name: _thawed(inner) for name, inner in value.items()}
    return [_thawed(inner) for inner in value] if isinstance(value, list | tuple) else value


def at(path: Sequence[str | int], what: str) -> ValidationError:
    """Return the error that points at what stands at `path` within a value."""
    return at_each([(path, what)])


def at_each(faults: Iterable[tuple[Sequence[str | int], str]]) -> ValidationError:
    """Return the error that points at several places within a value."""
    return ValidationError.from_exception_data(
        "settings", [InitErrorDetails(type=said(what), loc=tuple(path), input=None) for path, what in faults]
    )


def _schema(value: Any) -> Any:
    """Return a JSON Schema that can be used, or say what is wrong with it and where."""
    # Here: only a kiosk with tools needs it.
    from jsonschema_rs import ValidationError as SchemaFault  # noqa: PLC0415 - see above
    from jsonschema_rs import meta  # noqa: PLC0415 - as above

    if not isinstance(value, dict):
        raise said(
            f"{shown(value)} is no JSON Schema: a group is needed; write type: object and properties: below it"
        )
    schema = _thawed(value)
    _bound(schema)
    try:
        meta.validate(schema)
    except SchemaFault as error:
        if error.schema_path[-1:] != ["format"]:  # a pattern; see below
            raise at(error.instance_path, f"is no JSON Schema: {_brief(error)}; mend it") from None
    if schema.get("type") != "object":
        raise at(
            ["type"] if "type" in schema else [], "must say type: object: arguments have names; write that"
        )
    for path, what in _unfit_names(schema):
        raise at(path, what)
    for path, what in _not_taken(schema):
        raise at(path, what)
    return {"properties": {}, "additionalProperties": False} | schema


def _bound(schema: object) -> None:
    """Refuse a schema that is too large or too deep to look at closer."""
    try:
        size = len(json.dumps(schema, default=str))
    except (RecursionError, ValueError):
        raise said("is nested too deeply: the model reads it each time; make it simpler") from None
    if size > LARGEST_SCHEMA:
        raise said(f"is larger than {LARGEST_SCHEMA} characters: the model reads it each time; shorten it")


def _unfit_names(schema: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield parameters that cannot be, and those that are required and cannot be given."""
    properties = schema.get("properties", {})
    for name in properties:
        if not re.fullmatch(NAME, name):
            what = "letters, digits and _, at most 64, no digit first; write shoe_size, say"
            yield ("properties", name), f"is no name of a parameter: {what}"
    if schema.get("additionalProperties", False) is not False:
        return
    for number, name in enumerate(schema.get("required", ())):
        if name not in properties:
            near = difflib.get_close_matches(name, properties, n=1)
            hint = f"did you mean {near[0]}?" if near else "add it under properties, or take it out"
            yield ("required", number), f"{shown(name)} is no parameter: no call could give it; {hint}"


def _brief(error: Any) -> str:
    words = " ".join(str(error.message).split())
    return f"{error.schema_path[-1]} does not fit" if len(words) > 100 else words.replace('"', "'")


def _not_taken(schema: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is JSON Schema, but cannot be used here."""
    for path, part in parts(schema):
        for word in ("$ref", "$dynamicRef", "$id", "$schema"):
            if isinstance(part.get(word), str):
                why = "the model needs to see it all in one place; write it out"
                yield (*path, word), f"{word} is not taken: {why}"
        if "patternProperties" in part:
            why = "each parameter has a name; write them under properties"
            yield (*path, "patternProperties"), f"patternProperties is not taken: {why}"
        if isinstance(pattern := part.get("pattern"), str):
            try:
                check(pattern)
            except PatternError as err:
                yield (*path, "pattern"), str(err)


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


def _url(text: str, schemes: tuple[str, ...]) -> SplitResult:
    form = f"{schemes[0]}://HOST or {schemes[0]}://HOST:PORT"
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise said(f"is no address: host or port cannot be read; write {form}") from None
    if url.scheme not in schemes or not host or port == 0:
        raise said(
            f"is no address: it begins with {' or '.join(f'{each}://' for each in schemes)}; write {form}"
        )
    if not text.isascii() or not text.isprintable() or re.search(r'[\s\\<>"^`|]', text):
        raise said("holds blanks or odd characters: no address does; write %20 for a blank, say")
    if "@" in url.netloc or url.fragment:
        raise said("holds a name, password or fragment: it would be seen; take it out")
    if FIELD.search(url.netloc) or "{" in url.netloc:
        raise said("has a parameter in its host: the model would choose whom to ask; name the host")
    return url


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


def _web(text: str) -> str:
    url = _url(text, ("https", "http"))
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


def _broker(text: str) -> str:
    url = _url(text, ("mqtt", "mqtts"))
    if url.path.strip("/") or url.query:
        raise said("holds more than host and port: a topic has a setting of its own; take it out")
    return text


def _tool_name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise said(
            f"{shown(text)} is no name of a tool: letters, digits and _, at most 64, no digit first; "
            "write find_item, say"
        )
    return text


def _variable(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise said(f"{shown(text)} is no name of a variable of the environment; write TZ, say")
    if text in _SECRET_VARIABLES:
        raise said(f"{text} is the service's key: no program needs it; take it out")
    if _DAEMONS_VARIABLES.fullmatch(text):
        raise said(f"{text} leads to what is the daemon's own: no program needs it; take it out")
    return text


def _header_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text):
        raise said(f"{shown(text)} is no name of a header; write X-Shop, say")
    if text.lower() in {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}:
        raise said(f"{text} is set by the request itself; take it out")
    return text


def in_the_clear(url: str, secrets: Iterable[str]) -> bool:
    """Whether a credential in `secrets` would go to `url` for others on the way to read."""
    plain = urlsplit(url).scheme in {"http", "mqtt"} and not is_loopback(url)
    return plain and any(map(CREDENTIAL.search, secrets))


def insists(value: bool, *, url: str, secrets: Iterable[str], tls: str) -> bool:
    """Refuse a credential that others could read on its way, unless the owner has written `insecure: true`."""
    clear = in_the_clear(url, secrets)
    if clear and not value:
        raise said(
            f"is not true: the credential would go to {urlsplit(url).hostname} without encryption, for others to read; "
            f"use {tls}://, or write insecure: true"
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


def sends_all(payload: str, info: ValidationInfo) -> str:
    """Refuse a payload that leaves out a parameter which the topic does not name either: it would reach nobody."""
    parameters, topic = info.data.get("parameters"), info.data.get("topic")
    if parameters is None or topic is None:  # they have faults of their own
        return payload
    named = {*FIELD.findall(topic), *FIELD.findall(payload)}
    for name in parameters["properties"]:
        if name not in named:
            raise said(
                f"leaves out {shown(name)}, which the topic does not name either: it would be asked for and dropped; "
                "name it here, or take it out of parameters"
            )
    return payload


Credential = Annotated[str, AfterValidator(_only_credential), AfterValidator(_reference)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_reference)]
WebAddress = Annotated[str, AfterValidator(_web)]
BrokerAddress = Annotated[str, AfterValidator(_broker)]
HostName = Annotated[str, AfterValidator(_host)]
ToolName = Annotated[str, AfterValidator(_tool_name)]
Variable = Annotated[str, AfterValidator(_variable)]
JsonSchema = Annotated[dict[str, Any], BeforeValidator(_schema)]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(max_length=20), AfterValidator(_headers)]
AnswerForm = Literal["json", "text", "none"]
ProgramArguments = Annotated[
    tuple[
        Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(no_credential)], ...
    ],
    Field(max_length=100),
]
