"""The script of the service: its replies and faults, as an owner writes them in a scenario."""

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
    """A part of a scenario. It is immutable, and rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ScriptedCall(ScenarioSection):
    """A function that the model calls before it speaks."""

    name: str
    """Name of the function, as the kiosk declares it."""
    args: dict[str, Any] = {}
    """Arguments of the function."""
    wait_s: ScriptSeconds = 30.0
    """Seconds for which the model waits for the answer."""
    outlives: bool = False
    """Whether the call goes on when the visitor interrupts its turn. A blocking function never does."""
    answer_holds: str = ""
    """Text that the answer must contain, in its JSON. An answer without it is a fault of the tool."""


class Reply(ScenarioSection):
    """The model's answer in one turn: exactly one of `text`, `wav` and `silent`."""

    text: str | None = Field(default=None, min_length=1)
    """The words of the model, which espeak-ng speaks."""
    wav: Path | None = None
    """A file with the model's voice (16-bit PCM of any rate)."""
    silent: bool = False
    """Whether the model only ends its turn, without a word, as gemini-3.8-live sometimes does."""
    think_s: ScriptSeconds | None = None
    """Seconds from the end of the visitor's turn to the first sound, in place of the script's `think_s`."""
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}-[A-Z]{2}$")
    """The language that the transcripts of this turn name, as fr-FR. If not set, they name none."""
    heard: str = "…"
    """The transcript of the visitor's words, if the kiosk asks for transcripts."""
    tool_calls: tuple[ScriptedCall, ...] = ()
    """Functions that the model calls first, all at once. It speaks this reply when all of them have answered.

    It stays silent if functions that do not block have answered with SILENT scheduling.
    """
    meanwhile: "Reply | None" = None
    """A reply in a turn of its own, while functions are at work that do not block the model.

    After their answers this reply follows by their scheduling: in the next silence (WHEN_IDLE) or at once
    (INTERRUPT).
    """

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if (self.text is not None) + (self.wav is not None) + self.silent != 1:
            raise ValueError("give exactly one of text, wav and silent: true")
        if self.meanwhile is not None and (not self.tool_calls or self.meanwhile.tool_calls):
            raise ValueError("meanwhile needs tool_calls beside it, and must have none itself")
        return self


class FaultAction(ScenarioSection):
    """A fault of the service, without the occasion that triggers it."""

    do: FaultKind
    """
    - refuse: answer the request with an HTTP `status`
    - silent: never answer (the request, or the setup)
    - expire: reject all tokens minted so far, including the token of this request
    - wrong_first: send a goAway in place of setupComplete
    - close: close with `code` and `reason`
    - abort: reset the TCP connection
    - go_away: announce the end, and close with 1011 when `left_s` is over
    - freeze: neither read nor write any more; the connection stays open
    - stop_reading: read no more, but go on writing
    - read_slowly: read only `bytes_per_s` for `lasts_s`, like a slow network
    - junk: send `text` unchanged
    """
    after_s: ScriptSeconds = 0.0
    """Seconds from the occasion to the fault. If the connection ends before, the fault does not happen."""
    status: int = 503
    """refuse: the HTTP status, 400 to 599."""
    retry_after_s: int | None = Field(default=None, ge=0)
    """refuse: the value of Retry-After, in seconds."""
    code: int = 1011
    """close: the WebSocket close code."""
    reason: str = "Internal error encountered."
    """close: the reason, at most 123 bytes."""
    left_s: ScriptSeconds = 10.0
    """go_away: seconds until the connection is closed."""
    text: str | None = None
    """junk: the text."""
    lasts_s: ScriptSeconds | None = None
    """Seconds until the fault ends; by default it does not end.

    After silent, freeze and stop_reading the TCP connection is reset; after read_slowly reading is normal
    again.
    """
    bytes_per_s: int = Field(default=8_000, ge=100, le=100_000_000)
    """read_slowly: bytes read each second. Audio alone needs about 47,000."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        common = {"do", "on", "nth"} | ({"after_s"} if self.do != "silent" else set())
        if unfit := self.model_fields_set - common - _OWN_FIELDS.get(self.do, set()):
            raise ValueError(f"{self.do} takes no {', '.join(sorted(unfit))}; leave it out")
        known = {int(status) for status in http.HTTPStatus}
        if self.do == "refuse" and not (400 <= self.status <= 599 and self.status in known):
            raise ValueError(f"status {self.status} is not an HTTP error; use 400 to 599, for example 503")
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
    """A fault, and the occasion that triggers it. It happens once."""

    on: Trigger
    """
    - token: a request for a token
    - connect: a WebSocket request
    - setup: a connection's first message
    - audio: the first audio of a connection
    - picture: a picture has come
    - speech, speech_end: the service notices that the visitor begins to speak, or has ended
    - tool_call: the model has called functions
    - tool_response: a function has answered
    - reply: the first sound of a reply has been sent
    - reply_end: a whole reply has been sent
    - turn_end: the model's turn is over
    """
    nth: int = Field(default=1, ge=1)
    """Number of the occasion of this kind, counted over the whole rehearsal."""

    @model_validator(mode="before")
    @classmethod
    def _on_is_a_word(cls, given: Any) -> Any:
        # YAML 1.1 readers such as PyYAML read a bare `on` as true.
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
    """The script of the service."""

    replies: tuple[Reply, ...] = Field(default=(Reply(text="I can hear you."),), min_length=1)
    """The model's replies, one for each turn, in order; the last one repeats."""
    think_s: ScriptSeconds = 0.3
    """Seconds from the end of the visitor's turn to the first sound."""
    pace: float = Field(default=8.0, ge=1, le=1000, allow_inf_nan=False)
    """Factor by which a reply is sent faster than real time."""
    silence_ms: int = Field(default=500, ge=20, le=10_000)
    """Silence that ends the visitor's turn, if the kiosk does not set it (silenceDurationMs)."""
    sweeps: int = Field(default=2, ge=0, le=5)
    """Times that gemini-3.8-live repeats a call whose answer is empty, without a result or data."""
    voice: str = Field(default="en", min_length=1)
    """The espeak-ng voice."""
    usage: bool = True
    """Whether the service reports the tokens of each turn."""
    faults: tuple[ScriptedFault, ...] = ()
    """Faults of the service."""
    key: SecretStr | None = None
    """The accepted key; random by default. `auth_tokens/...` makes it an ephemeral token."""
    tokens: bool = False
    """Whether there is a token server. The kiosk then gets no key, but a token for each connection.

    The service then also mints tokens itself, for a server of the owner.
    """
    token_version: Literal["any", "v1beta", "v1alpha"] = "any"  # noqa: S105 - a version, and no token
    """The version of the interface that accepts tokens. The other one answers with HTTP 404."""
    locked: Literal["replace", "refuse"] = "replace"
    """Treatment of another value for a field that a token locks.

    replace: the token's value counts, as Google documents. refuse: the service rejects the setup (1007).
    """
    bad_key: Literal["http_401", "http_403", "close"] = "http_401"
    """The refusal of a wrong or missing key or token: an HTTP status, or a close at setup.

    The close code is 1008 for a missing one and 1007 for a wrong one.
    """
    refused_functions: tuple[str, ...] = ()
    """Names of functions that the service rejects at setup (1007), without naming them in the reason.

    `*` stands for any letters, so `["*"]` rejects every tool.
    """
    unknown_handle: Literal[1007, 1008] = 1008
    """The close code for an unknown resumption handle. Both were seen with the real service."""
    handles_last_s: ScriptSeconds = 7200.0
    """Seconds after the end of its connection for which a session can be resumed."""
    frames: Literal["binary", "text"] = "binary"
    """The kind of WebSocket frames for the service's JSON; clients have to accept both."""
    certificate: Literal["valid", "not_yet_valid", "other_name"] = "valid"
    """The service's certificate: valid, not valid yet by the device's clock, or made for another host."""

    @model_validator(mode="after")
    def _tokens_where_faults_need_them(self) -> Self:
        for fault in self.faults:
            if not self.tokens and (fault.on == "token" or fault.do == "expire"):
                raise ValueError(
                    f"a fault with on: {fault.on}, do: {fault.do} needs a token server; add tokens: true"
                )
        return self


class FaultSchedule:
    """The faults that are still to come, and a counter of each occasion."""

    def __init__(self, faults: Iterable[ScriptedFault]) -> None:
        self._occurred: Counter[Trigger] = Counter()
        self._pending = [(fault.nth, fault) for fault in faults]

    def add(self, fault: ScriptedFault) -> None:
        """Add a fault; its `nth` counts from now."""
        self._pending.append((self._occurred[fault.on] + fault.nth, fault))

    def due(self, trigger: Trigger) -> list[ScriptedFault]:
        """Count one occasion, and return the faults that it triggers."""
        self._occurred[trigger] += 1
        now = self._occurred[trigger]
        due = [entry for entry in self._pending if entry[1].on == trigger and entry[0] == now]
        for entry in due:
            self._pending.remove(entry)
        return [fault for _, fault in due]
