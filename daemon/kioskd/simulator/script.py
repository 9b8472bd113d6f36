"""The script of the service: what it says and does, as an owner writes it in a scenario."""

import http
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

ScriptSeconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]

_VisitorTrigger = Literal["audio", "picture", "speech", "speech_end"]
_ModelTrigger = Literal["tool_call", "tool_response", "reply", "reply_end", "turn_end"]
Trigger = Literal["token", "connect", "setup", _VisitorTrigger, _ModelTrigger]
_OpeningFault = Literal["refuse", "silent", "expire", "wrong_first"]
FaultKind = Literal[
    _OpeningFault, "close", "abort", "go_away", "freeze", "stop_reading", "read_slowly", "junk"
]

ENDING_FAULTS: Final = frozenset({"close", "abort", "freeze"})
"""Faults after which the service sends nothing more."""
OPENING_FAULTS: Final = frozenset(get_args(_OpeningFault))
"""Faults that only make sense while a connection opens."""
_AT_OPENING: Final[dict[str, set[str]]] = {
    "refuse": {"token", "connect"},
    "silent": {"token", "connect", "setup"},
    "expire": {"connect"},
    "wrong_first": {"setup"},
}
_OWN_FIELDS: Final[dict[str, set[str]]] = {
    "refuse": {"status", "retry_after_s"},
    "silent": {"lasts_s"},
    "wrong_first": {"left_s"},
    "close": {"code", "reason"},
    "go_away": {"left_s"},
    "freeze": {"lasts_s"},
    "stop_reading": {"lasts_s"},
    "read_slowly": {"bytes_per_s", "lasts_s"},
    "junk": {"text"},
}
_REASON_BYTES: Final = 123  # RFC 6455: a control frame holds 125 bytes, two of them the code


class ScenarioSection(BaseModel):
    """Part of a scenario: cannot be changed, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ScriptedCall(ScenarioSection):
    """A function that the model calls before it speaks."""

    name: str
    """The function's name, as the kiosk declares it."""
    args: dict[str, Any] = {}
    """Its arguments."""
    wait_s: ScriptSeconds = 30.0
    """How long the model waits for the answer before it goes on without."""
    outlives: bool = False
    """Whether it goes on when the visitor interrupts the turn that it was called in. Where the kiosk has declared the
    function as one that holds the model up, it never does."""


class Reply(ScenarioSection):
    """What the model does in one turn: exactly one of `text`, `wav` and `silent`."""

    text: str | None = Field(default=None, min_length=1)
    """Spoken by espeak-ng."""
    wav: Path | None = None
    """Played from this file (16-bit PCM of any rate)."""
    silent: bool = False
    """The model says nothing: it only ends its turn, as gemini-3.8-live may."""
    think_s: ScriptSeconds | None = None
    """Seconds from the end of the visitor's turn to the first sound, instead of the script's own `think_s`."""
    heard: str = "…"
    """The transcript of the visitor's words, where the kiosk asks for transcripts."""
    tool_calls: tuple[ScriptedCall, ...] = ()
    """Functions called first, all at once. The model says this reply when all of them have answered; but nothing if
    functions that do not hold it up have answered with SILENT scheduling."""
    meanwhile: "Reply | None" = None
    """Said while functions are at work that do not hold the model up: a turn of its own. This reply then follows when
    they have answered, by their scheduling: when nobody speaks (WHEN_IDLE), or at once (INTERRUPT)."""

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if (self.text is not None) + (self.wav is not None) + self.silent != 1:
            raise ValueError("give exactly one of text, wav and silent: true")
        if self.meanwhile is not None and (not self.tool_calls or self.meanwhile.tool_calls):
            raise ValueError("meanwhile goes with tool_calls, and has none itself; move it")
        return self


class FaultAction(ScenarioSection):
    """A fault of the service, without the occasion that sets it off."""

    do: FaultKind
    """
    - refuse: answer the request with an HTTP `status`
    - silent: never answer (the request, or the setup)
    - expire: take no token any more that was minted so far, that of this request included
    - wrong_first: a goAway where setupComplete should be
    - close: close with `code` and `reason`
    - abort: reset the TCP connection
    - go_away: announce the end, and close with 1011 when `left_s` is over
    - freeze: neither read nor write any more; the connection stays open
    - stop_reading: go on writing, but read no more
    - read_slowly: take `bytes_per_s` of what comes, for `lasts_s`: a network that is too narrow
    - junk: send `text` as it is
    """
    after_s: ScriptSeconds = 0.0
    """Seconds from the occasion to the fault. Nothing happens if the connection ends before."""
    status: int = 503
    """refuse: the HTTP status, 400 to 599."""
    retry_after_s: int | None = Field(default=None, ge=0)
    """refuse: sent as Retry-After."""
    code: int = 1011
    """close: the WebSocket close code."""
    reason: str = "Internal error encountered."
    """close: what goes with it, 123 bytes at most."""
    left_s: ScriptSeconds = 10.0
    """go_away: how long the connection still lives."""
    text: str | None = None
    """junk: what is sent."""
    lasts_s: ScriptSeconds | None = None
    """silent, freeze, stop_reading: after so many seconds the TCP connection is reset. Default: never. read_slowly:
    after so many seconds all is read as it comes again. Default: never."""
    bytes_per_s: int = Field(default=8_000, ge=100, le=100_000_000)
    """read_slowly: how much is taken each second. Audio alone is about 47,000."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        common = {"do", "on", "nth"} | ({"after_s"} if self.do != "silent" else set())
        if unfit := self.model_fields_set - common - _OWN_FIELDS.get(self.do, set()):
            raise ValueError(f"{self.do} takes no {', '.join(sorted(unfit))}; leave it out")
        known = {int(status) for status in http.HTTPStatus}
        if self.do == "refuse" and not (400 <= self.status <= 599 and self.status in known):
            raise ValueError(f"status {self.status} is no HTTP error; use 400 to 599, 503 for example")
        if self.do == "close" and not (
            self.code in {1000, 1001, 1002, 1003, *range(1007, 1015)} or 3000 <= self.code <= 4999
        ):
            raise ValueError(
                f"code {self.code} cannot be sent; use 1000, 1001, 1007, 1008, 1011 or 3000 to 4999"
            )
        if len(self.reason.encode()) > _REASON_BYTES:
            raise ValueError(f"reason is longer than {_REASON_BYTES} bytes; shorten it")
        if self.do == "junk" and self.text is None:
            raise ValueError("junk needs a text to send")
        return self


class ScriptedFault(FaultAction):
    """A fault and the occasion that sets it off. It happens once."""

    on: Trigger
    """
    - token: a request for a token
    - connect: a WebSocket request
    - setup: a connection's first message
    - audio: the first audio of a connection
    - picture: a picture has come
    - speech, speech_end: the service notices that the visitor begins, has ended
    - tool_call: the model has called functions
    - tool_response: a function has answered
    - reply: the first sound of a reply has been sent
    - reply_end: all of a reply has been sent
    - turn_end: the model's turn is over
    """
    nth: int = Field(default=1, ge=1)
    """At which occasion of this kind, counted over the whole rehearsal."""

    @model_validator(mode="before")
    @classmethod
    def _on_is_a_word(cls, given: Any) -> Any:
        # YAML 1.1 readers, PyYAML among them, take a bare `on` for true.
        if isinstance(given, dict) and True in given and "on" not in given:
            return {"on" if key is True else key: value for key, value in given.items()}
        return given

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        allowed = _AT_OPENING.get(self.do)
        if allowed is not None and self.on not in allowed:
            raise ValueError(f"{self.do} can only happen on {' or '.join(sorted(allowed))}, not on {self.on}")
        if self.on in {"token", "connect"} and self.do not in {"refuse", "silent", "abort", "expire"}:
            raise ValueError(
                f"{self.do} needs an open connection; use on: setup, or do: refuse, silent or abort"
            )
        return self


class ServiceScript(ScenarioSection):
    """The other side of the conversation."""

    replies: tuple[Reply, ...] = Field(default=(Reply(text="I can hear you."),), min_length=1)
    """What the model says, one reply a turn, in order; the last one repeats."""
    think_s: ScriptSeconds = 0.3
    """Seconds from the end of the visitor's turn to the first sound."""
    pace: float = Field(default=8.0, ge=1, le=1000, allow_inf_nan=False)
    """How much faster than it plays a reply is sent."""
    silence_ms: int = Field(default=500, ge=20, le=10_000)
    """How much silence ends the visitor's turn, where the kiosk does not set it (silenceDurationMs)."""
    sweeps: int = Field(default=2, ge=0, le=5)
    """How often gemini-3.8-live calls a function again that answers with nothing to go by: neither a word on how it
    went nor data."""
    voice: str = Field(default="en", min_length=1)
    """The espeak-ng voice."""
    usage: bool = True
    """Whether the service reports the tokens of each turn."""
    faults: tuple[ScriptedFault, ...] = ()
    """The faults that happen."""
    key: SecretStr | None = None
    """The key that is accepted; random if not given. `auth_tokens/...` makes it an ephemeral token."""
    tokens: bool = False
    """Whether there is a token server too. The kiosk is then given no key: it has a token minted for each
    connection, which opens that one alone."""
    token_version: Literal["any", "v1beta", "v1alpha"] = "any"  # noqa: S105 - a version, and no token
    """Which version of the interface takes tokens. The other has no place for them (404)."""
    bad_key: Literal["http_401", "http_403", "close"] = "http_401"
    """How a wrong or missing key or token is refused: at the WebSocket request, or by closing at setup (1008 for
    a missing one, 1007 for a wrong one)."""
    refused_functions: tuple[str, ...] = ()
    """Names of functions that the service turns down at setup (1007) without naming the one. `*` stands for
    any letters, so that `["*"]` refuses every tool."""
    unknown_handle: Literal[1007, 1008] = 1008
    """The close code for a resumption handle that the service does not know. Both have been seen."""
    handles_last_s: ScriptSeconds = 7200.0
    """How long after its connection's end a session can be resumed."""
    frames: Literal["binary", "text"] = "binary"
    """The kind of WebSocket frames that carry the service's JSON; clients have to take both."""
    certificate: Literal["valid", "not_yet_valid", "other_name"] = "valid"
    """The service's certificate: a good one, one that is not valid yet by the device's clock, or one of another
    host."""

    @model_validator(mode="after")
    def _tokens_where_faults_need_them(self) -> Self:
        for fault in self.faults:
            if not self.tokens and (fault.on == "token" or fault.do == "expire"):
                raise ValueError(
                    f"a fault with on: {fault.on}, do: {fault.do} needs tokens: there are none; add tokens: true"
                )
        return self


class FaultSchedule:
    """The faults still to come, and how often each occasion has occurred."""

    def __init__(self, faults: Iterable[ScriptedFault]) -> None:
        self._occurred: Counter[Trigger] = Counter()
        self._pending = [(fault.nth, fault) for fault in faults]

    def add(self, fault: ScriptedFault) -> None:
        """Add a fault; its `nth` counts from now."""
        self._pending.append((self._occurred[fault.on] + fault.nth, fault))

    def due(self, trigger: Trigger) -> list[ScriptedFault]:
        """Count one occasion; return the faults that it sets off."""
        self._occurred[trigger] += 1
        now = self._occurred[trigger]
        due = [entry for entry in self._pending if entry[1].on == trigger and entry[0] == now]
        for entry in due:
            self._pending.remove(entry)
        return [fault for _, fault in due]
