"""The model calls tools of the composed daemon: real programs, and a kiosk whose parts are fakes."""

import asyncio
import json
import textwrap
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import psutil
import pytest
from pydantic import SecretStr
from tests.support import broker as brokers
from tests.support import pictures
from tests.support.fakes_live import ScriptedConnection
from tests.support.http_peers import Answer, http_server
from tests.support.kiosk import Kiosk, running, soon, voice
from tests.support.parts import changed
from tests.support.until import until

from kioskd import app
from kioskd.adapters.fakes.devices import MemoryCamera
from kioskd.adapters.storage.state_files import BUDGET, BudgetFile
from kioskd.core.effects import KioskStatus, Overlay, ShowStatus
from kioskd.core.policy import Policy
from kioskd.errors import ConfigError
from kioskd.flow.tools.confirmation import UNSEEN_S, UP_S
from kioskd.media import pcm
from kioskd.ports import (
    GenerationEnded,
    GoAway,
    Preferences,
    ReplyAudio,
    ResumptionUpdate,
    ToolAnswer,
    ToolCall,
    ToolCallsCancelled,
    ToolsCalled,
    TurnComplete,
)
from kioskd.rehearsal.run import rehearse
from kioskd.rehearsal.scenario import Expectation, load_scenario
from kioskd.settings.buttons_lamps import ButtonSettings, ControlsSettings
from kioskd.settings.load import load
from kioskd.settings.model import Settings
from kioskd.settings.service import ServiceSettings

REHEARSALS = Path(__file__).parents[2] / "config" / "rehearsals"
REPLY = voice(1.0, pcm.DOWNLINK_HZ)
PICTURE = pictures.jpeg()

YAML = """\
    speaker: {volume: 70, volume_floor: 30, volume_ceiling: 90, cues: false}
    microphone: {echo: hardware}
    tools:
      - kind: builtin
        place: Hall 3
      - kind: command
        name: echo
        description: Says it again.
        parameters: {type: object, properties: {text: {type: string}}, required: [text]}
        argv: [/bin/echo, "{text}"]
      - kind: command
        name: sleepy
        description: Sleeps.
        argv: [/bin/sleep, "60"]
        deadline_s: 5
      - kind: command
        name: open_door
        description: Opens the door.
        argv: [/usr/bin/touch, opened]
        working_directory: .
        answer: none
        confirm: button
      - kind: command
        name: wait
        description: Has the model wait.
        argv: [/bin/sleep, "60"]
        deadline_s: 60
        blocking: true
    """


class Shelf:
    """A store of preferences in memory."""

    def __init__(self) -> None:
        self.saved = Preferences()

    def load(self) -> Preferences:
        return self.saved

    def save(self, preferences: Preferences) -> None:
        self.saved = preferences


class Tooled(Kiosk):
    """A kiosk with tools."""

    def __init__(self, settings: Settings, *, camera: bool, state: Path | None = None) -> None:
        super().__init__(settings, watchdog_s=None)
        self.ledger = BudgetFile(state) if state is not None else None
        self.camera = MemoryCamera(PICTURE) if camera else None
        self.memory = Shelf()
        self.tools = app.ToolSet(settings, {}, self.clock)
        self._calls = 0

    def parts(self) -> app.Parts:
        return changed(
            super().parts(),
            camera=self.camera,
            preferences=self.memory,
            tools=self.tools,
            budget=self.ledger,
        )

    @property
    def offered(self) -> list[str]:
        """Tools that are declared to the service at a dial."""
        return [tool.name for tool in self.tools.offered()]

    @property
    def asks(self) -> bool:
        """Whether the lamp asks for a press."""
        shows = [effect for effect in self.effects if isinstance(effect, ShowStatus)]
        return shows[-1].overlay is Overlay.ASKING

    async def call(self, connection: ScriptedConnection, name: str, **arguments: object) -> str:
        """Have the model call a tool, and return the call's id."""
        self._calls += 1
        call_id = f"call-{self._calls}"
        connection.say(ToolsCalled([ToolCall(call_id, name, arguments)]))
        await self.settle()
        return call_id

    async def result(self, connection: ScriptedConnection, name: str, **arguments: object) -> dict[str, Any]:
        """Have the model call a tool, and return the answer that it gets."""
        answer = await self.answer(connection, await self.call(connection, name, **arguments))
        return dict(answer.result)

    async def answer(self, connection: ScriptedConnection, call_id: str) -> ToolAnswer:
        """Wait for the answer to a call."""
        await soon(connection.until(lambda: any(answer.id == call_id for answer in connection.answers)))
        (answer,) = [answer for answer in connection.answers if answer.id == call_id]
        return answer

    async def speak(self, connection: ScriptedConnection) -> None:
        """Have the model say something, and hear it to its end."""
        connection.say(ReplyAudio(REPLY), GenerationEnded(), TurnComplete())
        await self.shows(KioskStatus.SPEAKING)
        await self.hear(1.5)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "kioskd.yaml"
    path.write_text(textwrap.dedent(YAML), encoding="utf-8")
    return load(path)


@asynccontextmanager
async def tooled(
    settings: Settings, *, camera: bool = True, state: Path | None = None
) -> AsyncIterator[Tooled]:
    made = Tooled(settings, camera=camera, state=state)
    async with running(made.serve()):
        await made.start()
        yield made


def children() -> Sequence[psutil.Process]:
    """Return the programs that run for this process."""
    return [child for child in psutil.Process().children() if child.name() == "sleep"]


async def test_every_tool_is_declared_to_the_service(settings: Settings) -> None:
    async with tooled(settings) as it:
        assert it.offered == [
            *("end_conversation", "set_volume", "look", "time_and_place", "remember_note"),
            *("echo", "sleepy", "open_door", "wait"),
        ]


async def test_without_a_camera_the_tool_look_is_not_offered(settings: Settings) -> None:
    async with tooled(settings, camera=False) as it:
        assert "look" not in it.offered
        connection = await it.wake()
        assert (await it.result(connection, "look"))["status"] == "refused"


async def test_a_kiosk_without_tools_answers_a_model_that_calls_nevertheless() -> None:
    async with tooled(Settings()) as it:
        assert it.offered == []
        connection = await it.wake()
        assert (await it.result(connection, "open_door"))["status"] == "refused"


async def test_a_program_runs_and_the_model_gets_its_answer(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        told = await it.result(connection, "echo", text="it's; $(here)")
        assert told == {"status": "ok", "retryable": False, "message": "done", "data": "it's; $(here)"}
        assert (await it.result(connection, "echo"))["status"] == "refused"


async def test_an_object_that_the_model_wrote_as_text_reaches_the_tool_as_an_object(tmp_path: Path) -> None:
    path = tmp_path / "kioskd.yaml"
    filed = "{kind: command, name: file_it, description: Files it, argv: [/bin/echo, filed], parameters: "
    schema = "{type: object, properties: {form: {type: object, minProperties: 1}}, required: [form]}}"
    path.write_text(f"tools: [{filed}{schema}]\n", encoding="utf-8")
    async with tooled(load(path), camera=False) as it:
        connection = await it.wake()
        assert (await it.result(connection, "file_it", form='{"size": 41}'))["status"] == "ok"
        assert (await it.result(connection, "file_it", form="{}"))["status"] == "refused"


async def test_calls_that_a_day_allows_are_not_allowed_again_by_a_restart(tmp_path: Path) -> None:
    (tmp_path / "kioskd.yaml").write_text(
        textwrap.dedent(YAML).replace("name: echo\n", "name: echo\n    per_day: 2\n"), encoding="utf-8"
    )
    settings = load(tmp_path / "kioskd.yaml")
    async with tooled(settings, state=tmp_path / "state") as it:
        connection = await it.wake()
        for text in ("one", "two"):
            assert (await it.result(connection, "echo", text=text))["status"] == "ok"
    async with tooled(settings, state=tmp_path / "state") as it:
        assert (await it.result(await it.wake(), "echo", text="three"))["status"] == "refused"
    assert json.loads((tmp_path / "state" / BUDGET).read_text())["calls"] == {"echo": 2}


async def test_a_tool_that_takes_too_long_is_ended_and_the_model_told(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        call_id = await it.call(connection, "sleepy")
        await until(lambda: len(children()) == 1)
        await it.clock.advance(5.1)
        assert (await it.answer(connection, call_id)).result["status"] == "timeout"
        assert not children()


async def test_a_cancelled_call_ends_its_program_and_is_not_answered(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        call_id = await it.call(connection, "sleepy")
        await until(lambda: len(children()) == 1)
        connection.say(ToolCallsCancelled([call_id]))
        await until(lambda: not children())
        assert (await it.result(connection, "time_and_place"))["data"]["place"] == "Hall 3"
        assert [answer.name for answer in connection.answers] == ["time_and_place"]


async def test_the_end_of_the_conversation_ends_its_programs(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        await it.call(connection, "sleepy")
        await until(lambda: len(children()) == 1)
        it.button.press()
        await it.shows(KioskStatus.ASLEEP)
        await until(lambda: not children())


async def test_the_volume_is_set_within_the_owners_bounds_and_stored(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        assert (await it.result(connection, "set_volume", percent=100))["data"] == {"percent": 90}
        assert (await it.result(connection, "set_volume", percent=0))["data"] == {"percent": 30}
        await until(lambda: it.memory.saved.volume == 30)
        await it.speak(connection)
        loudest = max(abs(sample) for sample in memoryview(it.speaker.heard).cast("h"))
        assert 0 < loudest < 0.3 * max(abs(sample) for sample in memoryview(REPLY).cast("h"))


async def test_the_model_ends_the_conversation_when_its_goodbye_was_heard(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        assert (await it.result(connection, "end_conversation"))["status"] == "ok"
        assert it.shown is KioskStatus.LISTENING
        connection.say(ReplyAudio(REPLY), GenerationEnded(), TurnComplete())
        await it.shows(KioskStatus.SPEAKING)
        await it.hear(1.5)
        await it.shows(KioskStatus.ASLEEP)
        await soon(connection.hung_up())


async def test_a_note_is_kept_for_the_conversation_and_no_longer(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        await it.result(connection, "remember_note", title="name", text="Ada")
        assert (await it.result(connection, "remember_note"))["data"] == {"name": "Ada"}
        it.button.press()
        await it.shows(KioskStatus.ASLEEP)
        again = await it.wake()
        assert (await it.result(again, "remember_note"))["status"] == "no_results"


async def test_what_the_camera_sees_goes_with_the_answer(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        answer = await it.answer(connection, await it.call(connection, "look"))
        assert answer.picture == PICTURE
        assert answer.result["status"] == "ok"


async def test_in_one_turn_the_model_gets_one_picture_however_often_it_looks(settings: Settings) -> None:
    async with tooled(settings) as it:
        assert it.camera is not None
        connection = await it.wake()
        for turn in (1, 2):
            await it.ask()
            connection.say(ToolsCalled([ToolCall(f"{turn}-{n}", "look", {}) for n in range(2)]))
            answers = [await it.answer(connection, f"{turn}-{n}") for n in range(2)]
            await it.clock.advance(8.0)
            answers.append(await it.answer(connection, await it.call(connection, "look")))
            pictures_seen = [answer.picture for answer in answers]
            assert (pictures_seen[:2].count(PICTURE), pictures_seen.count(None)) == (1, 2)
            assert [answer.result["status"] for answer in answers] == ["ok"] * 3
            assert it.camera.shots == turn
            await it.speak(connection)


@pytest.mark.parametrize("ear", ["deaf to a soft voice", "in a crowd that never pauses"])
async def test_the_model_may_look_again_in_the_next_turn(settings: Settings, ear: str) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        if ear == "deaf to a soft voice":
            await it.ask()
        else:
            it.microphone.say(voice(1.0))
            await it.settle()
        heard = it.state.turn.voice
        for _ in range(2):
            assert (await it.answer(connection, await it.call(connection, "look"))).picture == PICTURE
            assert (await it.answer(connection, await it.call(connection, "look"))).picture is None
            await it.speak(connection)
            assert it.state.turn.voice is heard
            await it.clock.advance(6.0)  # the camera sees another picture by then


async def test_speech_of_the_model_during_a_call_does_not_end_the_turn(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        await it.ask()
        assert (await it.answer(connection, await it.call(connection, "look"))).picture == PICTURE
        await it.call(connection, "sleepy")
        await it.speak(connection)
        assert (await it.answer(connection, await it.call(connection, "look"))).picture is None


async def test_no_picture_is_shown_while_it_would_void_a_call(settings: Settings) -> None:
    looks = ControlsSettings(button=ButtonSettings(source="gpio:pi/17", does="look"))
    async with tooled(settings.model_copy(update={"controls": looks})) as it:
        connection = await it.wake()  # the model looks
        await it.ask()
        await it.clock.advance(6.0)  # the next picture is another one
        assert list(connection.shown) == [PICTURE]
        await it.call(connection, "wait")
        it.button.press()
        await it.clock.advance(1.0)
        assert list(connection.shown) == [PICTURE]
        await it.clock.advance(Policy().gate_s)
        assert list(connection.shown) == [PICTURE] * 2


async def test_the_model_is_told_that_the_camera_is_away(settings: Settings) -> None:
    async with tooled(settings) as it:
        assert it.camera is not None
        it.camera.unplug()
        connection = await it.wake()
        assert (await it.result(connection, "look"))["status"] == "error"


async def test_the_door_opens_after_a_press(settings: Settings, tmp_path: Path) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        call_id = await it.call(connection, "open_door")
        await it.clock.advance(UP_S)
        await it.until(lambda: it.asks)
        assert not (tmp_path / "opened").exists()
        await it.clock.advance(UNSEEN_S)
        it.button.press()
        assert (await it.answer(connection, call_id)).result["status"] == "ok"
        assert (tmp_path / "opened").exists()
        assert not it.asks
        assert it.shown is KioskStatus.LISTENING, "the press ended nothing"


@pytest.mark.parametrize("double", ["", ", double: look"])
async def test_a_press_from_before_the_lamp_asked_opens_no_door(tmp_path: Path, double: str) -> None:
    controls = f"controls: {{button: {{source: gpio:pi/17{double}}}}}\ncamera: {{source: picamera}}\n"
    (tmp_path / "kioskd.yaml").write_text(controls + textwrap.dedent(YAML), encoding="utf-8")
    async with tooled(load(tmp_path / "kioskd.yaml")) as it:
        it.button.press()
        await it.clock.advance(0.1)
        it.button.release()
        await it.clock.advance(0.4)
        connection = await soon(it.live.accept())
        await it.shows(KioskStatus.LISTENING)
        call_id = "crossing the press"
        if double:
            it.button.press()
            connection.say(ToolsCalled([ToolCall(call_id, "open_door", {})]))
        else:
            connection.say(ToolsCalled([ToolCall(call_id, "open_door", {})]))
            await it.settle()
            await it.clock.advance(UP_S)
            await it.until(lambda: it.asks)
            it.button.press()
        await it.settle()
        await it.clock.advance(0.5)
        it.button.release()
        if double:  # the finger went down before the question, so the press does what it does otherwise
            await it.shows(KioskStatus.ASLEEP)
            assert not (tmp_path / "opened").exists()
            return
        await it.clock.advance(10.0)
        assert (await it.answer(connection, call_id)).result["status"] == "refused"
        assert not (tmp_path / "opened").exists()
        assert it.shown is KioskStatus.LISTENING, "the press ended nothing"


async def test_a_door_that_was_asked_for_with_the_goodbye_opens(settings: Settings, tmp_path: Path) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        call_id = await it.call(connection, "open_door")
        await it.call(connection, "end_conversation")
        await it.clock.advance(UP_S)
        await it.until(lambda: it.asks)
        await it.speak(connection)
        await it.shows(KioskStatus.LISTENING)
        assert it.asks
        await it.clock.advance(Policy().farewell_s + 1.0)
        it.button.press()
        assert (await it.answer(connection, call_id)).result["status"] == "ok"
        assert (tmp_path / "opened").exists()
        await it.until(lambda: not it.state.turn.calls)
        await it.clock.advance(Policy().farewell_s + 0.1)
        await it.shows(KioskStatus.ASLEEP)


async def test_a_call_that_runs_during_the_goodbye_runs_to_its_end(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        call_id = await it.call(connection, "sleepy")
        await until(lambda: len(children()) == 1)
        await it.call(connection, "end_conversation")
        await it.speak(connection)
        await it.shows(KioskStatus.LISTENING)
        assert len(children()) == 1
        await it.clock.advance(5.1)
        assert (await it.answer(connection, call_id)).result["status"] == "timeout"
        await it.until(lambda: not it.state.turn.calls)
        await it.clock.advance(Policy().farewell_s + 0.1)
        await it.shows(KioskStatus.ASLEEP)


async def test_a_goodbye_that_is_already_being_said_ends_the_conversation_when_heard(
    settings: Settings,
) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        connection.say(ReplyAudio(REPLY))
        await it.shows(KioskStatus.SPEAKING)
        await it.call(connection, "end_conversation")
        connection.say(GenerationEnded(), TurnComplete())
        await it.settle()
        await it.hear(1.5)
        await it.shows(KioskStatus.ASLEEP)


async def test_a_program_that_was_begun_and_cancelled_is_not_begun_again_by_a_resumed_session(
    settings: Settings,
) -> None:
    async with tooled(settings) as it:
        first = await it.wake()
        first.say(ResumptionUpdate(SecretStr("a handle")))
        await it.until(lambda: it.state.link.handle is not None)
        call_id = await it.call(first, "sleepy")
        await until(lambda: len(children()) == 1)
        first.say(ToolCallsCancelled([call_id]))
        await until(lambda: not children())
        first.drop()
        second = await soon(it.live.accept())
        told = await it.result(second, "sleepy")
        assert "not done again" in told["message"]
        assert not children()


async def test_the_door_stays_shut_without_a_press(settings: Settings, tmp_path: Path) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        call_id = await it.call(connection, "open_door")
        await it.clock.advance(UP_S)
        await it.until(lambda: it.asks)
        await it.clock.advance(10.1)
        assert (await it.answer(connection, call_id)).result["status"] == "refused"
        await it.until(lambda: not it.asks)
        it.button.press()
        await it.shows(KioskStatus.ASLEEP)
        assert not (tmp_path / "opened").exists()


async def test_nothing_is_sent_while_a_tool_holds_the_model_up_and_nothing_is_lost(
    settings: Settings,
) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        await it.settle()
        before = len(connection.audio)
        call_id = await it.call(connection, "wait")
        it.microphone.say(voice(0.5))
        await it.settle()
        assert len(connection.audio) == before, "new input would void the call"
        await it.clock.advance(Policy().gate_s + 0.1)
        await soon(connection.until(lambda: len(connection.audio) >= before + 25))
        assert not any(answer.id == call_id for answer in connection.answers)


async def test_a_new_connection_is_not_held_up_by_the_calls_of_the_old(settings: Settings) -> None:
    async with tooled(settings) as it:
        first = await it.wake()
        first.say(ResumptionUpdate(SecretStr("a handle")))
        await it.until(lambda: it.state.link.handle is not None)
        await it.call(first, "wait")
        await it.until(lambda: it.state.turn.gated)
        first.drop()
        second = await soon(it.live.accept())
        it.microphone.say(voice(0.5))
        await soon(second.heard(pcm.FRAME_BYTES * 25))
        assert not it.state.turn.gated


async def test_a_call_that_outlives_a_rollover_is_answered_over_the_new_connection(
    settings: Settings,
) -> None:
    async with tooled(settings) as it:
        first = await it.wake()
        first.say(ResumptionUpdate(SecretStr("a handle")))
        await it.until(lambda: it.state.link.handle is not None)
        await it.call(first, "sleepy")
        first.say(GoAway(Policy().margin_s + 2.0))
        await it.settle()
        assert it.live.open == [first], "no moment is a quiet one while a tool is at work"
        await it.clock.advance(2.1)
        second = await soon(it.live.accept())
        await it.settle()
        await it.clock.advance(3.0)
        await soon(second.until(lambda: second.texts))
        assert 'sleepy: {"status": "timeout"' in second.texts[0]
        assert not [*first.answers, *second.answers]


async def test_a_model_that_goes_in_circles_is_stopped_until_the_visitor_speaks(settings: Settings) -> None:
    async with tooled(settings) as it:
        connection = await it.wake()
        statuses = [(await it.result(connection, "echo", text="a"))["status"] for _ in range(4)]
        assert statuses == ["ok", "ok", "ok", "refused"]
        it.microphone.say(voice(0.5))
        await it.until(lambda: it.state.turn.voice)
        assert (await it.result(connection, "echo", text="a"))["status"] == "ok"


async def test_a_missing_secret_keeps_the_kiosk_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "kioskd.yaml"
    path.write_text(
        "tools: [{kind: http, name: stock, description: d, url: 'https://shop.test/',"
        " headers: {Authorization: 'credential:shop'}}]\n",
        encoding="utf-8",
    )
    made = Tooled(load(path), camera=False)
    async with asyncio.timeout(60):
        with pytest.raises(ConfigError, match="credential:shop"):
            await made.serve()


# The installer's examples, with real servers.


@pytest.mark.skipif(brokers.missing() is not None, reason=brokers.missing() or "")
@pytest.mark.timeout(600)
async def test_a_tool_of_each_kind_works(tmp_path: Path) -> None:
    scenario = load_scenario(REHEARSALS / "tools-of-each-kind.yaml")
    with brokers.broker(tmp_path) as broker:
        async with (
            http_server(lambda _asked: Answer(body=b'{"pairs": 3}'), None) as shop,
            aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as gallery,
        ):
            await gallery.subscribe("gallery/#", qos=1)
            elsewhere = {
                "shop_stock": {"url": f"http://127.0.0.1:{shop.port}/stock/{{item}}"},
                "set_light": {"broker": broker.url},
            }
            tools = tuple(
                tool.model_copy(update=elsewhere.get(getattr(tool, "name", ""), {}))
                for tool in scenario.settings.tools
            )
            wanted = [
                Expectation(journal=f"tool called: name={name} status=ok", is_=1)
                for name in ("shop_stock", "open_door", "set_light", "museum_opening_hours", "time_and_place")
            ]
            changes = {
                "settings": scenario.settings.model_copy(update={"tools": tools}),
                "expect": (*scenario.expect, *wanted),
            }
            rehearsed = await rehearse(Settings(), scenario.model_copy(update=changes), tmp_path / "report")
            message = await soon(_first(gallery))
    summary = rehearsed.summary
    assert [one.text for one in summary.expectations if not one.met] == []
    assert [asked.line for asked in shop.asked] == ["GET /stock/red%20shoes HTTP/1.1"]
    assert (str(message.topic), message.payload) == ("gallery/4/light", b'{"on":true}')


async def test_a_model_that_takes_pictures_only_as_video_gets_them(
    tmp_path: Path,
) -> None:
    settings = Settings(service=ServiceSettings(model="gemini-3.1-flash-live-preview"))
    rehearsed = await rehearse(settings, load_scenario(REHEARSALS / "look.yaml"), tmp_path / "report")
    assert [one.text for one in rehearsed.summary.expectations if not one.met] == []


async def _first(gallery: aiomqtt.Client) -> aiomqtt.Message:
    return await anext(aiter(gallery.messages))
