"""A relay takes nothing out of what goes through it, and adds nothing."""

import pytest

from kioskd.adapters.fakes.live import ScriptedConnection
from kioskd.errors import LinkLost
from kioskd.flow.link.connection_proxy import ConnectionProxy
from kioskd.ports import Connection, ToolAnswer, TurnComplete

FRAME = b"\1\0" * 320


async def test_all_that_is_said_goes_on_as_it_is_in_its_order() -> None:
    behind = ScriptedConnection(resumed=True)
    relay: Connection = ConnectionProxy(behind)
    await relay.begin_audio()
    await relay.send_audio(FRAME)
    await relay.end_audio()
    await relay.send_picture(b"picture")
    await relay.show_pictures([b"one", b"two"])
    await relay.answer([ToolAnswer("1", "tool", {"status": "ok"})])
    await relay.send_text("text")
    assert list(behind.sent) == ["begin", "audio", "end", "picture", "show", "answer", "text"]
    assert (behind.audio[0], behind.pictures[0], list(behind.shown)) == (FRAME, b"picture", [b"one", b"two"])
    assert (behind.answers[0].name, behind.texts[0]) == ("tool", "text")


async def test_all_that_comes_is_handed_on_and_so_is_the_end() -> None:
    behind = ScriptedConnection(resumed=True)
    relay = ConnectionProxy(behind)
    behind.say(TurnComplete())
    assert list(await relay.receive()) == [TurnComplete()]
    behind.drop()
    with pytest.raises(LinkLost):
        await relay.receive()


@pytest.mark.parametrize("resumed", [False, True])
def test_what_the_connection_tells_of_itself_is_told(resumed: bool) -> None:
    behind = ScriptedConnection(resumed=resumed)
    behind.delivered, behind.backlog, behind.arrived = 7, 99, 3
    relay = ConnectionProxy(behind)
    assert (relay.resumed, relay.delivered, relay.backlog) == (resumed, 7, 99)
    assert (relay.written, relay.arrived) == (0, 3)
