"""The real client of the Live API, connected to a server of the test."""

from pydantic import SecretStr
from tests.support.live_server import LiveServer

from kioskd.adapters.gemini import GeminiConfig, GeminiLive


def live(server: LiveServer | None) -> GeminiLive:
    """Return a client that dials `server`; without one, it dials an address where nothing answers."""
    return GeminiLive(
        GeminiConfig(
            key=SecretStr("a key"),
            model="gemini-3.8-live",
            voice="Kore",
            endpoint=server.endpoint if server else "https://127.0.0.1:9",
            ca_file=server.ca_file if server else None,
        )
    )
