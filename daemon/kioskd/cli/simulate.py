"""`kioskd simulate`: runs the simulator of the Live service alone, for any client of the API."""

import argparse
import asyncio
import os
import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kioskd import logs
from kioskd.cli import Exit
from kioskd.rehearsal.scenario import load_scenario
from kioskd.simulator import Reply, ServiceScript, Simulator

DEFAULT_SCRIPT: Final = ServiceScript(
    replies=(
        Reply(text="Hello. I am the simulator of the Live service, and I can hear you."),
        Reply(text="That is well understood. Please go on, or interrupt me whenever you like."),
        Reply(text="I always say the same from here on. A scenario file can give me other words."),
    )
)
"""The replies without a scenario."""

_HIGHEST_PORT: Final = 65_535
_OVERRIDING: Final = ("GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE")
"""Variables that take precedence in the SDKs: another key, and Vertex instead of the Developer API."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--scenario",
        type=Path,
        metavar="FILE",
        help="a scenario of kioskd rehearse, for its part `service` (default: three replies)",
    )
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="the port on 127.0.0.1 (default: any free one)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, print a line for each act of a client, and return 0.

    Raises:
        KioskError: the scenario has a fault, or the port or this machine cannot be used.
    """
    logs.set_up(logs.level({"KIOSKD_LOG": "warning"} | os.environ))
    script = load_scenario(arguments.scenario).service if arguments.scenario else DEFAULT_SCRIPT
    asyncio.run(_serve(script, arguments.port))
    return Exit.OK


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r}: write 1 to {_HIGHEST_PORT}, or 0 for any free port")
    return int(text)


async def _serve(script: ServiceScript, port: int) -> None:
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    start = time.monotonic()

    def observe(kind: str, data: dict[str, object]) -> None:
        # Printing follows elsewhere: an error of the output must not look like a fault of the connection.
        if kind in _WORDS:
            lines.put_nowait(_line(kind, data, script.replies, start))

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lines.put_nowait, None)
    async with Simulator(script, observe=observe, port=port) as simulator:
        print("\n".join(_environment(simulator)), flush=True)
        while (line := await lines.get()) is not None:
            print(line, flush=True)
    while not lines.empty():
        if line := lines.get_nowait():
            print(line, flush=True)


def _environment(simulator: Simulator) -> Iterator[str]:
    """Yield shell lines that make Google's SDKs, in Python and in JavaScript, use the simulator."""
    yield f"unset {' '.join(_OVERRIDING)}"
    variables = {
        "GOOGLE_GEMINI_BASE_URL": simulator.endpoint,
        "SSL_CERT_FILE": str(simulator.ca_file),
        # Node reads no SSL_CERT_FILE by itself.
        "NODE_EXTRA_CA_CERTS": str(simulator.ca_file),
        # The SDKs' default from 3.0 on is v1; no Live service has been seen under it.
        "GOOGLE_GENAI_API_VERSION": "v1beta",
        "GEMINI_API_KEY": simulator.key.get_secret_value(),
    }
    for name, value in variables.items():
        yield f"export {name}={shlex.quote(value)}"
    if simulator.token_url is not None:
        yield f"# POST {simulator.token_url} mints an ephemeral token"
        yield f"# {simulator.minting_endpoint} mints tokens for the holder of the key, as the service does"


def _line(kind: str, data: Mapping[str, Any], replies: Sequence[Reply], start: float) -> str:
    """Return the line for an event; `start` is the monotonic time of the first one."""
    by = f"client {data['connection']}" if "connection" in data else "service"
    words = _WORDS[kind].format(**data, more=_more(kind, data, replies))
    return f"{data['t'] - start:7.1f} s  {by:9}  {words}"


def _more(kind: str, data: Mapping[str, Any], replies: Sequence[Reply]) -> str:
    """Return the words of an event that are not in its data."""
    match kind:
        case "setup_complete" if data["resumed"]:
            return ", session resumed"
        case "reply_began":
            scripted = replies[data["place"]]
            reply = scripted.meanwhile if data["meanwhile"] and scripted.meanwhile else scripted
            return reply.text or (reply.wav.name if reply.wav else "")
        case "closed":
            codes = [("the client", data["received"]), ("the service", data["sent"])]
            given = [f"{by} closed with {code}" for by, code in codes if code is not None]
            return ", ".join(given) or "without a close frame"
    return ""


_WORDS: Final = {
    "token_minted": "mints a token",
    "token_refused": "refuses to mint a token: HTTP {status}",
    "refused": "refuses a request: HTTP {status}",
    "connected": "connects to {path}",
    "setup": "sends its setup for {model}",
    "setup_complete": "setup accepted{more}",
    "turned_down": "is rejected: {reason}",
    "audio": "sends audio at {rate} Hz",
    "audio_stream_end": "pauses its audio",
    "speech_began": "begins to speak",
    "speech_ended": "stops speaking",
    "text": "sends a text of {characters} characters",
    "picture": "sends a picture of {bytes} bytes",
    "recall": "sends an earlier conversation of {turns} turns",
    "context_update": "sends new instructions or tools",
    "reply_began": "is answered: “{more}”",
    "reply_sent": "has the whole reply: {sent_s:.1f} s",
    "interrupted": "interrupts the reply after {sent_s:.1f} s",
    "turn_complete": "turn complete: {reply}",
    "tool_call": "is asked to call {name}",
    "tool_response": "answers a call",
    "tool_call_cancelled": "is told that a call is cancelled",
    "tool_call_unanswered": "has not answered a call in time",
    "go_away": "gets a goAway: {left_s:g} s left",
    "fault": "gets a scripted fault: {do}",
    "closed": "is disconnected: {more}",
}
"""The printed line for each kind of event, with the names of its data."""
