"""What an owner can set of each kind of tool: one frozen model a kind, and what guards them all."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from kioskd.settings.tool_value_types import (
    FIELD,
    AnswerForm,
    BrokerAddress,
    Credential,
    Headers,
    HostName,
    ProgramArguments,
    ToolName,
    Variable,
    WebAddress,
    at,
    fits,
    insists,
    no_credential,
    sends_all,
)
from kioskd.settings.tools_argv import no_script, runnable, takes_data
from kioskd.settings.tools_guards import (
    BUILTINS,
    MOST_TOOLS,
    BuiltinSettings,
    GuardSettings,
    HeldBytes,
    NamedSettings,
)
from kioskd.settings.tools_programs import (
    GRANTS,
    ProgramSettings,
)
from kioskd.yamlconf.value_types import Name, OwnerText, PathOnDisk, Range, said

__all__ = [
    "BUILTINS",
    "MOST_TOOLS",
    "BuiltinSettings",
    "CommandSettings",
    "GuardSettings",
    "HttpSettings",
    "McpSettings",
    "MqttSettings",
    "NamedSettings",
    "ProgramSettings",
    "PythonSettings",
]


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
    allowed_hosts: Annotated[tuple[HostName, ...], Field(max_length=20)] = ()
    """HOST or HOST:PORT to which the server may redirect, beside its own; with `redirects`."""
    answer_bytes: HeldBytes = 262_144
    """Bytes that the server may answer; a longer answer is an error."""
    ca_file: PathOnDisk | None = None
    """Certificates (PEM) to trust in place of the public ones."""
    insecure: Annotated[bool, Field(validate_default=True)] = False
    """true: send the credential in `headers` without encryption beyond this machine, where others can read it."""

    @field_validator("insecure")
    @classmethod
    def _insists(cls, value: bool, info: ValidationInfo) -> bool:
        url, headers = info.data.get("url"), info.data.get("headers")
        if url is None or headers is None:
            return value
        return insists(value, url=url, secrets=headers.values(), tls="https")

    @field_validator("send")
    @classmethod
    def _with_a_body(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value in {"json", "form"} and info.data.get("method") in {"GET", "DELETE"}:
            raise said(
                f"{value} does not go with {info.data['method']}, which has no body; use query, or POST"
            )
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _when_redirected(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and info.data.get("redirects") == 0:
            raise said("goes unused: no redirect is followed; set redirects to 1 or more, or take it out")
        return value

    @field_validator("ca_file")
    @classmethod
    def _with_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and str(info.data.get("url", "https")).startswith("http:"):
            raise said("goes unused: http:// has no TLS; use https://, or take it out")
        return value


class CommandSettings(NamedSettings, ProgramSettings):
    """A tool that runs a program, never a shell."""

    kind: Literal["command"]
    """Runs a program."""
    argv: ProgramArguments
    """Program and arguments; {parameter} stands for that argument, within its own word. The rest goes to stdin as JSON."""
    answer: AnswerForm = "text"
    """What the program prints: json, text, or none (it does something, and its output does not matter)."""
    environment: Annotated[tuple[Variable, ...], Field(max_length=40)] = ()
    """Variables of the daemon's environment to pass on; the program has PATH and LANG besides, and nothing else."""
    working_directory: PathOnDisk = Path("/")
    """Folder that it runs in. It may read and change what is there, where the permissions of the files allow it."""
    output_bytes: HeldBytes = 65_536
    """Bytes that it may print; one that prints more is stopped."""
    arguments_are_data: Annotated[bool, Field(validate_default=True)] = False
    """true: you state that the program takes each {parameter} as data, and never as a command, a script or a query. It
    is needed for programs of the system that kioskd does not know as such. What goes to stdin needs no such statement."""

    @field_validator("argv")
    @classmethod
    def _argv_fits(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for number, word in enumerate(value):
            try:
                fits(word, info)
            except PydanticCustomError as err:
                raise at([number], err.message()) from None
        return no_script(runnable(value, info))

    @field_validator("arguments_are_data")
    @classmethod
    def _stated(cls, value: bool, info: ValidationInfo) -> bool:
        argv, parameters = info.data.get("argv"), info.data.get("parameters")
        if argv is None or parameters is None:
            return value  # they have faults of their own
        unknown = takes_data(argv) if parameters["properties"] else None
        if unknown is not None and not value:
            raise said(
                f"is not true: {unknown}; leave parameters to stdin and a program of yours, "
                "or write arguments_are_data: true if you are sure"
            )
        if value and unknown is None:
            raise said("goes unused: the program is known to take its arguments as data; take it out")
        return value


class MqttSettings(NamedSettings):
    """A tool that publishes to a broker, and may wait for a reply."""

    kind: Literal["mqtt"]
    """Speaks to an MQTT broker."""
    broker: BrokerAddress
    """mqtt://HOST or mqtt://HOST:PORT; mqtts:// for TLS. MQTT 5, or 3.1.1 where the broker speaks no 5; `reply` needs 5."""
    topic: Annotated[OwnerText, StringConstraints(max_length=1000)]
    """Topic to publish to; {parameter} stands for that argument, which cannot hold / + or #."""
    payload: (
        Annotated[
            str,
            StringConstraints(max_length=4096),
            AfterValidator(no_credential),
            AfterValidator(fits),
            AfterValidator(sends_all),
        ]
        | None
    ) = None
    """What to publish, with {parameter} in it; in a payload that is JSON a value is escaped, and written as JSON where
    no quotes are round it. Without it: the arguments that the topic does not name, as JSON."""
    qos: Literal[0, 1, 2] = 1
    """1: the broker confirms it, so `ok` means something."""
    retain: bool = False
    """Whether the broker keeps it for those who come later."""
    reply: bool = False
    """Whether to wait for the reply (MQTT 5 response topic and correlation data) and give it to the model."""
    answer: AnswerForm = "json"
    """What the reply is: json, text, or none; with `reply`."""
    username: Annotated[Name, AfterValidator(no_credential)] | None = None
    """User of the broker."""
    password_from: Credential | None = None
    """credential:NAME of the user's password."""
    ca_file: PathOnDisk | None = None
    """Certificates (PEM) to trust in place of the public ones, with mqtts."""
    insecure: Annotated[bool, Field(validate_default=True)] = False
    """true: send the password without encryption beyond this machine, where others can read it."""

    @field_validator("insecure")
    @classmethod
    def _insists(cls, value: bool, info: ValidationInfo) -> bool:
        broker = info.data.get("broker")
        if broker is None or "password_from" not in info.data:
            return value  # they have faults of their own
        return insists(value, url=broker, secrets=[info.data["password_from"] or ""], tls="mqtts")

    @field_validator("topic")
    @classmethod
    def _to_publish(cls, value: str, info: ValidationInfo) -> str:
        if re.search(r"[+#\x00-\x1f]", value) or value.startswith("$"):
            raise said(
                "is no topic to publish to: + # and a $ at its beginning are the broker's; name one topic"
            )
        return fits(no_credential(value), info)

    @field_validator("reply")
    @classmethod
    def _to_one_who_asks_now(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("retain"):
            raise said(
                "does not go with retain: who comes later would reply to nobody; take out one of the two"
            )
        return value

    @field_validator("answer")
    @classmethod
    def _of_a_reply(cls, value: AnswerForm, info: ValidationInfo) -> AnswerForm:
        if info.data.get("reply") is False:
            raise said("goes unused: no reply is waited for; set reply to true, or take it out")
        return value

    @field_validator("password_from")
    @classmethod
    def _of_a_user(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("username") is None:
            raise said("goes unused: a password is a user's; add username, or take it out")
        return value

    @field_validator("ca_file")
    @classmethod
    def _with_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and str(info.data.get("broker", "mqtts")).startswith("mqtt:"):
            raise said("goes unused: mqtt:// has no TLS; use mqtts://, or take it out")
        return value


class McpSettings(GuardSettings, ProgramSettings):
    """The tools of a Model Context Protocol server. The guards hold for each of them."""

    kind: Literal["mcp"]
    """Offers what a Model Context Protocol server has."""
    name: ToolName
    """What the journal calls this server."""
    argv: Annotated[ProgramArguments | None, Field(validate_default=True)] = None
    """A server to start: program and arguments, spoken to over its stdin and stdout."""
    url: Annotated[WebAddress | None, Field(validate_default=True)] = None
    """A server to reach over streamable HTTP."""
    allow: Annotated[tuple[Name, ...], Field(max_length=MOST_TOOLS)]
    """The server's tools that the model may call, by the server's names. Others are not even shown to it."""
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,30}$")] | None = None
    """What to put before their names, so that no two tools have one name."""
    headers: Headers = Field(default_factory=dict)
    """Headers to send, with `url`; credential:NAME in a value stands for a secret."""
    environment: Annotated[tuple[Variable, ...], Field(max_length=40)] = ()
    """Variables of the daemon's environment to pass on, with `argv`."""
    working_directory: PathOnDisk = Path("/")
    """Folder that the server runs in, with `argv`. It may read and change what is there."""
    start_timeout_s: Annotated[float, Range(1, 600, "a program that takes longer does not start")] = 60.0
    """Seconds in which the server may start and answer; after a try in vain the next one waits twice as long."""
    ca_file: PathOnDisk | None = None
    """Certificates (PEM) to trust in place of the public ones, with an https:// `url`."""
    insecure: Annotated[bool, Field(validate_default=True)] = False
    """true: send the credential in `headers` without encryption beyond this machine, where others can read it."""

    @field_validator("insecure")
    @classmethod
    def _insists(cls, value: bool, info: ValidationInfo) -> bool:
        if "url" not in info.data or "headers" not in info.data:
            return value  # they have faults of their own
        secrets = info.data["headers"].values()
        return insists(value, url=info.data["url"] or "", secrets=secrets, tls="https")

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

    @field_validator("argv")
    @classmethod
    def _argv_can_run(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        return None if value is None else runnable(value, info)

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

    @field_validator("headers", "environment", "working_directory")
    @classmethod
    def _of_its_way(cls, value: Any, info: ValidationInfo) -> Any:
        owner = "url" if info.field_name == "headers" else "argv"
        if value and owner in info.data and info.data[owner] is None:
            raise said(f"goes unused: it is for a server with {owner}; take it out")
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """What the model would call the tools in `allow`."""
        return tuple(re.sub(r"[^A-Za-z0-9_]", "_", f"{self.prefix or ''}{name}") for name in self.allow)


class PythonSettings(NamedSettings):
    """A tool that an installed package brings."""

    kind: Literal["python"]
    """Calls a function of an installed package."""
    entry: Name
    """Its entry point in the group kioskd.tools."""
    at_once: Annotated[int, Range(1, 16, "each may be a thread")] = 2
    """Calls of this tool at the same time: of a plain function 4 at most, whatever stands here, as its thread cannot be
    stopped; of an async one all of them."""
