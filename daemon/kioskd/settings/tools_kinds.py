"""What an owner can set of each kind of tool: one frozen model a kind, and what guards them all."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from kioskd.settings.forms import Name, PathOnDisk, Range, Text, said, shown
from kioskd.settings.section import Section
from kioskd.settings.tools_forms import (
    FIELD,
    Answer,
    BrokerAddress,
    Credential,
    Headers,
    Host,
    Schema,
    ToolName,
    Variable,
    WebAddress,
    Words,
    at,
    fits,
    no_credential,
    no_script,
    runnable,
    sends_all,
)

BUILTINS: Final = ("end_conversation", "set_volume", "look", "time_and_place", "remember_note")
MOST_TOOLS: Final = 64
"""How many the model is told of at most: it reads all of them each time."""


def _of_an_answer(value: int, info: ValidationInfo) -> int:
    if info.data.get("answer") == "none":
        raise said("goes unused: with answer none nothing of it is read; take it out")
    return value


HeldBytes = Annotated[int, Range(1, 4_194_304, "it is held in memory"), AfterValidator(_of_an_answer)]


class GuardSettings(Section):
    """What keeps a tool from doing harm, whatever its kind."""

    deadline_s: Annotated[float, Range(0.1, 120, "the visitor waits for it")] = 10.0
    """Seconds after which a call is stopped, with all it has begun. Longer than 10 and the visitor has given up."""
    per_turn: Annotated[int, Range(0, 100, "it is a count")] = 5
    """Calls in one turn of the conversation; 0 is no limit. A turn rarely needs two."""
    per_conversation: Annotated[int, Range(0, 10_000, "it is a count")] = 50
    """Calls in one conversation; 0 is no limit."""
    per_day: Annotated[int, Range(0, 1_000_000, "it is a count")] = 0
    """Calls a day, by the local date and over restarts; 0 is no limit."""
    at_once: Annotated[int, Range(1, 16, "each may be a program or a connection")] = 2
    """Calls of this tool at the same time."""
    same_calls: Annotated[int, Range(0, 100, "it is a count")] = 3
    """Calls with the same arguments in one turn; 0 is no limit. More is a model that goes in circles."""
    confirm: Literal["never", "button"] = "never"
    """button: lamp and voice name the tool, and only a press within 10 s lets it act."""
    confirm_text: Annotated[Text, StringConstraints(max_length=200)] | None = None
    """What is asked, in the visitors' language: Open the {door}? A parameter in braces is said. Without it, the name."""
    blocking: bool = False
    """Whether the model waits for the answer before it speaks on. Without it the conversation goes on meanwhile."""
    scheduling: Literal["silent", "when_idle", "interrupt"] | None = None
    """When the model takes up the answer: when_idle (also without this), interrupt at once, or silent."""
    dry_run: bool = False
    """Check and count everything, but carry out nothing."""
    result_bytes: Annotated[int, Range(512, 65_536, "the model reads all of it, and it is billed")] = 8192
    """Bytes of the answer that the model gets; the rest is cut, and it is told."""

    @field_validator("confirm_text")
    @classmethod
    def _of_what_asks(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("confirm") == "never":
            raise said("goes unused: nothing is asked without confirm: button; add that, or take this out")
        if value is not None and not issubclass(cls, NamedSettings):
            raise said("would be said of several tools, of which each has a name of its own; take it out")
        return value

    @field_validator("scheduling")
    @classmethod
    def _of_what_does_not_block(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("blocking"):
            raise said("goes unused: the model waits for a blocking tool; take out one of the two")
        return value


class BuiltinSettings(GuardSettings):
    """The kiosk's own tools; each can be switched off."""

    kind: Literal["builtin"]
    """The kiosk's own tools, once in the list."""
    end_conversation: bool = True
    """Whether the model may end the conversation, when the visitor says goodbye."""
    set_volume: bool = True
    """Whether the model may change how loudly it speaks, when the visitor asks for it."""
    look: bool = True
    """Whether the model may take a picture, when the visitor wants to show something; only where there is a camera."""
    time_and_place: bool = True
    """Whether the model may ask for the date, the time and `place`."""
    place: Name | None = None
    """Where this kiosk is, in words; told with the time."""
    remember_note: bool = True
    """Whether the model may keep notes until the conversation ends."""

    @field_validator("place")
    @classmethod
    def _with_the_time(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("time_and_place") is False:
            raise said("goes unused: it is told by time_and_place, which is off; take out one of the two")
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are switched on."""
        return tuple(name for name in BUILTINS if getattr(self, name))


class NamedSettings(GuardSettings):
    """What the model is told of a tool."""

    name: ToolName
    """What the model calls it."""
    description: Annotated[Text, StringConstraints(max_length=1000)]
    """When to call it and what it gives, in words for the model."""
    parameters: Schema = Field(default_factory=lambda: {"type": "object"}, validate_default=True)
    """JSON Schema of its arguments. Those that it does not name are refused, unless it says additionalProperties."""

    @field_validator("parameters")
    @classmethod
    def _with_those_that_are_said(cls, value: dict[str, object], info: ValidationInfo) -> dict[str, object]:
        properties = value.get("properties")
        for name in FIELD.findall(info.data.get("confirm_text") or ""):
            if not isinstance(properties, dict) or name not in properties:
                raise said(f"lack {shown(name)}, which confirm_text says; add it here, or take it out there")
        return value


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
    answer: Answer = "json"
    """What the server answers: json, text, or none (it does something, and its answer does not matter)."""
    headers: Headers = Field(default_factory=dict)
    """Headers to send; credential:NAME in a value stands for a secret (see the README)."""
    redirects: Annotated[int, Range(0, 5, "more is a server that goes in circles")] = 0
    """Redirects to follow, with GET; other methods follow a 303 only, which says where to GET the answer."""
    allowed_hosts: Annotated[tuple[Host, ...], Field(max_length=20)] = ()
    """HOST or HOST:PORT to which the server may redirect, beside its own; with `redirects`."""
    answer_bytes: HeldBytes = 262_144
    """Bytes that the server may answer; a longer answer is an error."""
    ca_file: PathOnDisk | None = None
    """Certificates (PEM) to trust in place of the public ones."""

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


class CommandSettings(NamedSettings):
    """A tool that runs a program, never a shell."""

    kind: Literal["command"]
    """Runs a program."""
    argv: Words
    """Program and arguments; {parameter} stands for that argument, within its own word. The rest goes to stdin as JSON."""
    answer: Answer = "text"
    """What the program prints: json, text, or none (it does something, and its output does not matter)."""
    environment: Annotated[tuple[Variable, ...], Field(max_length=40)] = ()
    """Variables of the daemon's environment to pass on; the program has PATH and LANG besides, and nothing else."""
    working_directory: PathOnDisk = Path("/")
    """Folder that it runs in."""
    output_bytes: HeldBytes = 65_536
    """Bytes that it may print; one that prints more is stopped."""

    @field_validator("argv")
    @classmethod
    def _argv_fits(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for number, word in enumerate(value):
            try:
                fits(word, info)
            except PydanticCustomError as err:
                raise at([number], err.message()) from None
        return no_script(runnable(value, info))


class MqttSettings(NamedSettings):
    """A tool that publishes to a broker, and may wait for a reply."""

    kind: Literal["mqtt"]
    """Speaks to an MQTT broker."""
    broker: BrokerAddress
    """mqtt://HOST or mqtt://HOST:PORT; mqtts:// for TLS. It speaks MQTT 5."""
    topic: Annotated[Text, StringConstraints(max_length=1000)]
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
    answer: Answer = "json"
    """What the reply is: json, text, or none; with `reply`."""
    username: Annotated[Name, AfterValidator(no_credential)] | None = None
    """User of the broker."""
    password_from: Credential | None = None
    """credential:NAME of the user's password."""
    ca_file: PathOnDisk | None = None
    """Certificates (PEM) to trust in place of the public ones, with mqtts."""

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
    def _of_a_reply(cls, value: Answer, info: ValidationInfo) -> Answer:
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


class McpSettings(GuardSettings):
    """The tools of a Model Context Protocol server. The guards hold for each of them."""

    kind: Literal["mcp"]
    """Offers what a Model Context Protocol server has."""
    name: ToolName
    """What the journal calls this server."""
    argv: Annotated[Words | None, Field(validate_default=True)] = None
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
    """Folder that the server runs in, with `argv`."""

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
