"""A tool that speaks to a broker: publishes, and where it is asked to, waits for the one reply that belongs to it."""

import asyncio
import logging
import math
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn
from urllib.parse import urlsplit

from pydantic import SecretStr

from kioskd import ports
from kioskd.tools.contract import AnswerForm, Declaration, ToolResult, encode, failed, read_answer, refused
from kioskd.tools.template import UnfitError, fields, fill, fill_json, is_json, remaining

if TYPE_CHECKING:
    import aiomqtt

log = logging.getLogger(__name__)

FIRST_S: Final = 1.0
MOST_S: Final = 60.0
"""Seconds before the first and between later tries to reach a broker."""
LARGEST_PACKET: Final = 262_144
"""Bytes of a message that the broker may send us; it drops what is larger."""
_WAITING: Final = 100
"""Replies that may wait to be looked at."""
_STEP_S: Final = 3.0
"""Seconds for each step with the broker: to answer a connect, to part."""
_OTHER_VERSION: Final = 0x84
"""MQTT 5's reason code of a broker that does not speak it; the library gives it for 3.1.1's answer, too."""


class MqttTool:
    """Publishes to one topic. A `Kind`.

    `topic` takes {parameter}; so does `payload`, where a value stays within its place if the payload is JSON. Without one
    the arguments that the topic has not taken go as a JSON object. With `reply` the message carries MQTT 5's response
    topic and correlation data, and the call waits for the message that brings them back. Messages expire after
    `expiry_s`, so that none is delivered when nobody expects it. A broker that speaks MQTT 3.1.1 only is spoken to by
    that: it knows neither replies nor expiry.
    """

    def __init__(
        self,
        declaration: Declaration,
        *,
        clock: ports.Clock,
        broker: str,
        topic: str,
        payload: str | None,
        qos: Literal[0, 1, 2],
        retain: bool,
        reply: bool,
        answer: AnswerForm,
        expiry_s: float,
        username: str | None = None,
        password: SecretStr | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """Speak to `broker`, which is mqtt://HOST[:PORT], or mqtts:// for TLS (`ca_file`: in place of public ones)."""
        self.declarations = (declaration,)
        self._clock, self._broker = clock, urlsplit(broker)
        self._topic, self._payload, self._qos, self._retain = topic, payload, qos, retain
        self._used = fields(topic)
        self._reply, self._answer, self._expiry_s = reply, answer, expiry_s
        self._username, self._password, self._ca_file = username, password, ca_file
        self._reply_topic = f"kioskd/replies/{secrets.token_hex(8)}"
        self._client: aiomqtt.Client | None = None
        self._tried = asyncio.Event()
        self._old = False
        """Whether the next try speaks MQTT 3.1.1."""
        self._expected: dict[bytes, asyncio.Future[bytes]] = {}

    async def settled(self) -> None:
        """Return when the broker was tried once."""
        await self._tried.wait()

    async def run(self) -> NoReturn:
        """Keep a connection to the broker, whatever becomes of it, until cancelled."""
        import aiomqtt  # noqa: PLC0415 - an extra, needed only where there is such a tool

        wait_s, told = FIRST_S, False
        while True:
            try:
                async with self._dialed() as client:
                    if self._reply:
                        await client.subscribe(self._reply_topic, qos=1)
                    self._client = client
                    self._tried.set()
                    version = "3.1.1, messages do not expire" if self._old else "5"
                    log.info("broker connected: host=%s mqtt=%s", self._broker.hostname, version)
                    wait_s, told = FIRST_S, False
                    await self._listen(client)
            except (aiomqtt.MqttError, OSError, ValueError) as err:
                connected = self._client is not None
                if self._falls_back(err, connected=connected):
                    continue
                if not told:
                    log.warning(
                        "broker lost or not reached, retrying: host=%s error=%s; %s",
                        self._broker.hostname,
                        err,
                        _remedy(err, reply=self._reply),
                    )
                told = True
            finally:
                self._lose()
            self._tried.set()
            await self._clock.sleep(wait_s)
            wait_s = min(wait_s * 2, MOST_S)

    def _falls_back(self, err: Exception, *, connected: bool) -> bool:
        """Choose the version of the next try; return whether it comes at once, because the broker wants another."""
        if _wants_other_version(err) and not self._old and not self._reply:
            self._old = True
            return True
        # Some brokers say nothing to a version that they do not know, and close: MQTT 3.1.1 has every second try.
        silent = not connected and str(err) == "Operation timed out"
        self._old = silent and not self._old and not self._reply
        return False

    async def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Publish one message, and wait for its reply if it is to have one."""
        del name
        import aiomqtt  # noqa: PLC0415 - as above

        try:
            topic = fill(self._topic, arguments, _in_topic)
        except UnfitError as err:
            return refused(str(err))
        if topic.startswith("$") or len(topic.encode()) > 1024:
            return refused("the arguments make a topic that is the broker's own, or too long")
        if self._payload is None:
            payload = encode(remaining(arguments, self._used))
        elif is_json(self._payload):
            payload = fill_json(self._payload, arguments)
        else:
            payload = fill(self._payload, arguments, lambda _name, value: value)
        await self._tried.wait()
        if self._client is None:
            return failed("the broker is not connected", retryable=True)
        try:
            return await self._exchange(self._client, topic, payload.encode())
        except aiomqtt.MqttError:
            return failed("the broker went away; nobody knows whether it was done")

    async def _exchange(self, client: "aiomqtt.Client", topic: str, payload: bytes) -> ToolResult:
        correlation = secrets.token_bytes(8)
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._reply:
            self._expected[correlation] = reply
        try:
            # The tool's own deadline bounds it; the library logs what it would warn of.
            await client.publish(
                topic,
                payload,
                self._qos,
                self._retain,
                self._properties(correlation),
                timeout=math.inf,
            )
            return read_answer(await reply, self._answer) if self._reply else ToolResult("ok", "sent")
        except ConnectionError:
            return failed("the broker went away before the reply; nobody knows whether it was done")
        finally:
            self._expected.pop(correlation, None)

    def _dialed(self) -> "aiomqtt.Client":
        import aiomqtt  # noqa: PLC0415 - as above
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - comes with it

        # Silent: its debug lines show topics, which hold arguments.
        quiet = logging.getLogger(f"{__name__}.wire")
        quiet.setLevel(logging.CRITICAL)
        tls = self._broker.scheme == "mqtts"
        certificates = None if self._ca_file is None else str(self._ca_file)
        return aiomqtt.Client(
            self._broker.hostname or "",
            self._broker.port or (8883 if tls else 1883),
            username=self._username,
            password=None if self._password is None else self._password.get_secret_value(),
            logger=quiet,
            protocol=aiomqtt.ProtocolVersion.V311 if self._old else aiomqtt.ProtocolVersion.V5,
            timeout=_STEP_S,
            keepalive=30,
            max_queued_incoming_messages=_WAITING,
            max_queued_outgoing_messages=_WAITING,
            properties=None if self._old else _with(PacketTypes.CONNECT, MaximumPacketSize=LARGEST_PACKET),
            tls_params=aiomqtt.TLSParameters(ca_certs=certificates) if tls else None,
        )

    def _properties(self, correlation: bytes) -> Any:
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - as above

        if self._old:
            return None
        reply = {"ResponseTopic": self._reply_topic, "CorrelationData": correlation} if self._reply else {}
        expiry = {} if self._retain else {"MessageExpiryInterval": math.ceil(self._expiry_s)}
        return _with(PacketTypes.PUBLISH, **reply, **expiry)

    async def _listen(self, client: "aiomqtt.Client") -> None:
        async for message in client.messages:
            correlation = getattr(message.properties, "CorrelationData", None)
            expected = self._expected.get(correlation) if isinstance(correlation, bytes) else None
            if expected is not None and not expected.done():
                expected.set_result(message.payload)

    def _lose(self) -> None:
        self._client = None
        for expected in self._expected.values():
            if not expected.done():
                expected.set_exception(ConnectionError())
                # A call that was cancelled meanwhile does not ask for it.
                expected.exception()


def _with(packet: int, **values: object) -> Any:
    from paho.mqtt.properties import Properties  # noqa: PLC0415 - as above

    properties = Properties(packet)  # type: ignore[no-untyped-call]  # the library has no types there
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _wants_other_version(err: Exception) -> bool:
    return getattr(getattr(err, "rc", None), "value", None) == _OTHER_VERSION


def _remedy(err: Exception, *, reply: bool) -> str:
    import aiomqtt  # noqa: PLC0415 - as above

    if _wants_other_version(err) and reply:
        return "it speaks no MQTT 5, which a reply needs; take out reply, or use a broker with MQTT 5"
    if _wants_other_version(err):
        return "it speaks neither MQTT 5 nor 3.1.1; use another broker"
    if isinstance(err, aiomqtt.MqttCodeError):  # what the broker has answered
        return "correct username and password_from, or what the broker lets this user do"
    return "see that it runs, and correct broker or ca_file"


def _in_topic(name: str, value: str) -> str:
    if not value or re.search(r"[/+#\x00-\x1f\x7f-\x9f]", value):
        raise UnfitError(f"{name} is empty, or holds what divides topics (/ + #)")
    return value
