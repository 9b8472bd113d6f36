"""The messages of frames are those of the SDK, though the SDK writes only the first one."""

import base64
from collections.abc import Callable

import pytest
from google.genai.live import AsyncSession
from tests.support.gemini import live
from tests.support.live_server import accept_setup, live_server
from websockets.asyncio.server import ServerConnection

from kioskd.adapters.gemini.audio_messages import AudioMessages

PLAIN = bytes(640)
TELLING = b"\xfb\xff\xbf" * 213 + b"\x00"
"""A frame whose Base64 text has the letters that differ between the two alphabets."""
OTHER = bytes(range(256)) * 2 + bytes(128)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_message_is_learnt_in_the_alphabet_of_the_sdk(
    encode: Callable[[bytes], bytes],
) -> None:
    subject = AudioMessages()
    subject.learn(TELLING, f'{{"a": "{encode(TELLING).decode()}", "b": 1}}')
    assert subject.text(OTHER) == f'{{"a": "{encode(OTHER).decode()}", "b": 1}}'


@pytest.mark.parametrize(
    ("frame", "message"),
    [(PLAIN, f'{{"a": "{base64.b64encode(PLAIN).decode()}"}}'), (TELLING, '{"audioStreamEnd": true}')],
    ids=["both alphabets", "another message"],
)
def test_nothing_is_learnt_from_a_message_that_tells_too_little(frame: bytes, message: str) -> None:
    subject = AudioMessages()
    subject.learn(frame, message)
    assert subject.text(OTHER) is None


async def test_the_sdk_writes_the_first_telling_frame_only(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[str | bytes] = []
    by_sdk: list[int] = []
    plain = AsyncSession.send_realtime_input

    async def noted(session: AsyncSession, **said: object) -> None:
        by_sdk.append(len(by_sdk))
        await plain(session, **said)  # type: ignore[arg-type]

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        got.extend([await peer.recv() for _ in range(5)])
        await peer.close()

    monkeypatch.setattr(AsyncSession, "send_realtime_input", noted)
    async with live_server(service) as server, live(server).connect(None) as connection:
        for frame in (PLAIN, TELLING, OTHER, PLAIN, TELLING):
            await connection.send_audio(frame)
    assert len(by_sdk) == 2
    assert got[3] == got[0]
    assert got[4] == got[1]
    assert str(got[2]).replace(base64.urlsafe_b64encode(OTHER).decode(), "") == str(got[0]).replace(
        base64.urlsafe_b64encode(PLAIN).decode(), ""
    )
