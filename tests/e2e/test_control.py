"""Commands control a running kiosk over the real socket; the kiosk has fakes as parts."""

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from tests.support import pictures
from tests.support.control import calling, open_place
from tests.support.daemon_process import COMMAND, PATIENCE_S, always_on, daemon_process, surroundings
from tests.support.gated_camera import GatedCamera
from tests.support.kiosk import Kiosk, running, soon, voice
from tests.support.parts import changed
from tests.support.sound_server import SoundServer
from tests.support.until import until

from kioskd import app
from kioskd.adapters.clock import SystemClock
from kioskd.adapters.remote.control_socket import ControlSocket
from kioskd.adapters.remote.prometheus import MetricsServer
from kioskd.cli import Exit, main, status
from kioskd.cli import key as key_command
from kioskd.core.effects import KioskStatus
from kioskd.doctor.machine import Machine
from kioskd.errors import Code, KioskError
from kioskd.flow.controls.remote import TICK_S
from kioskd.flow.link import picture_pacer
from kioskd.flow.link.outbox import ASKED_S
from kioskd.media import pcm
from kioskd.ports import ReplyAudio, ToolCall, ToolsCalled, UsageReported
from kioskd.settings.camera import CameraSettings
from kioskd.settings.credentials import ServiceKeys
from kioskd.settings.limits import LimitsSettings
from kioskd.settings.model import Settings
from kioskd.settings.sound import SpeakerSettings
from kioskd.simulator import ServiceScript, Simulator
from kioskd.tools.kinds.builtin.settings import BuiltinSettings

SETTINGS = Settings(
    speaker=SpeakerSettings(cues=(), volume_floor=30, volume_ceiling=90),
    camera=CameraSettings(source="folder:/pictures", when="request"),
    limits=LimitsSettings(minutes_per_day=60),
    tools=(BuiltinSettings(kind="builtin"),),
)


DOS = (
    *("status", "metrics", "wake", "sleep", "mute", "unmute", "hush", "volume", "ask", "look", "log", "info"),
    "key",
)


@dataclass(frozen=True)
class Done:
    """Result of a command."""

    code: int
    out: str
    err: str


class Controlled(Kiosk):
    """A kiosk with a control socket."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str] | None) -> None:
        super().__init__(SETTINGS, watchdog_s=None)
        self.place = place
        self.camera = GatedCamera()
        self.keys = ServiceKeys({"GEMINI_API_KEY": "an-old-key"})
        self.door = MetricsServer(0, SystemClock())
        self._capsys = capsys

    def parts(self) -> app.Parts:
        return changed(
            super().parts(),
            keys=self.keys,
            camera=self.camera,
            control=ControlSocket(self.place, SystemClock()),
            metrics=self.door,
            tools=app.ToolSet(self.settings, {}, self.clock),
        )

    async def command(self, *argv: str) -> Done:
        """Run a command, as a person would."""
        assert self._capsys is not None
        code = await soon(asyncio.to_thread(main, [*argv, "--socket", str(self.place)]))
        return Done(code, *self._capsys.readouterr())


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as path:
        yield path


@asynccontextmanager
async def controlled(place: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Controlled]:
    made = Controlled(place, capsys)
    async with running(made.serve()):
        await made.start()
        yield made


async def test_status_says_what_systemd_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with controlled(place, capsys) as it:
        done = await it.command("status")
        assert done.code == Exit.OK
        assert f"status: {done.out.splitlines()[0]}" == it.notifier.told[-1]
        assert "microphone    working" in done.out
        assert "volume 70 %" in done.out
        told = json.loads((await it.command("status", "--json")).out)
        assert (told["state"], told["words"]) == ("asleep", done.out.splitlines()[0])
        told["tool_conditions"] = ["manual: documents 3, passages 12"]
        assert "  tool          manual: documents 3, passages 12" in status.lines(told)


async def test_a_command_begins_and_ends_a_conversation(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        assert await it.command("wake") == Done(0, "Waking: connecting to the service\n", "")
        await soon(it.live.accept())
        await it.shows(KioskStatus.LISTENING)
        assert "conversation  number 1, turns so far 0" in (await it.command("status")).out
        assert await it.command("sleep") == Done(0, "Asleep, ready for the next visitor\n", "")
        assert it.shown is KioskStatus.ASLEEP
        assert "conversations 1 (remote 1)" in (await it.command("status")).out


async def test_a_command_silences_a_reply(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with controlled(place, capsys) as it:
        connection = await it.wake()
        connection.say(ReplyAudio(voice(2.0, pcm.DOWNLINK_HZ)))
        await it.shows(KioskStatus.SPEAKING)
        assert any(await it.hear(0.2))
        assert (await it.command("hush")).code == Exit.OK
        assert not any((await it.hear(0.5))[pcm.byte_count(0.02, pcm.DOWNLINK_HZ) :])


async def test_a_muted_kiosk_refuses_to_wake_and_says_why(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        assert (await it.command("mute")).code == Exit.OK
        assert it.shown is KioskStatus.MUTED
        assert await it.command("wake") == Done(
            1, "", "kioskd: not done: the kiosk is muted; run kioskd unmute first\n"
        )
        refused = await it.command("ask", "hello", "--json")
        assert (refused.code, json.loads(refused.out)["ok"]) == (1, False)
        assert (await it.command("unmute")).code == Exit.OK
        assert (await it.command("wake")).code == Exit.OK


async def test_the_volume_is_set_within_what_the_owner_allows(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        assert (await it.command("volume", "55")).out == "volume 55 %\n"
        bounds = "speaker.volume_floor and volume_ceiling allow no other"
        assert (await it.command("volume", "100")).out == f"volume 90 %: {bounds}\n"
        assert "volume 90 %" in (await it.command("status")).out
        with pytest.raises(SystemExit):
            await it.command("volume", "101")
        assert "write a whole number from 0 to 100, without %" in capsys.readouterr().err


async def test_a_typed_question_wakes_the_kiosk_and_is_answered_aloud(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        assert (await it.command("ask", "Where", "is", "the", "exit?")).code == Exit.OK
        connection = await soon(it.live.accept())
        await until(lambda: list(connection.texts) == ["Where is the exit?"])
        await it.shows(KioskStatus.THINKING)
        connection.say(ReplyAudio(voice(0.5, pcm.DOWNLINK_HZ)))
        await it.shows(KioskStatus.SPEAKING)


async def test_a_picture_from_a_file_is_shown_to_the_model(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place.with_name("picture.webp")
    file.write_bytes(pictures.encoded(pictures.quarters(2000, 1000), "WEBP"))
    async with controlled(place, capsys) as it:
        done = await it.command("show", str(file))
        assert re.match(r"picture sent to the model \(\d+ kB\): Waking", done.out)
        connection = await soon(it.live.accept())
        await it.until(lambda: it.state.link.open)
        await it.clock.advance(picture_pacer.PATIENCE_S)
        assert len(connection.shown) == 1
        assert pictures.opened(connection.shown[0]).size == (768, 384)


async def test_the_model_is_shown_what_the_camera_sees(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        looking = asyncio.create_task(it.command("look"))
        connection = await soon(it.live.accept())
        await it.until(lambda: it.state.link.open)
        await it.clock.advance(picture_pacer.PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            assert (await looking).code == Exit.OK
        assert list(connection.shown) == [it.camera.sees]


async def test_a_look_that_the_line_has_no_room_for_fails_and_holds_up_no_question(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        connection = await it.wake()
        connection.backlog = 100_000
        looking = asyncio.create_task(it.command("look"))
        await until(lambda: it.camera.shots > 0)
        assert (await it.command("ask", "What", "is", "this?")).code == Exit.OK
        await it.clock.advance(ASKED_S + 0.1)
        async with asyncio.timeout(PATIENCE_S):
            done = await looking
        assert (done.code, done.out) == (Exit.NOT_MET, "")
        assert (
            "the model did not get the picture: the line to the service is too slow for pictures; try again"
            in done.err
        )
        assert (list(connection.shown), list(connection.texts)) == ([], ["What is this?"])


async def test_a_picture_that_is_shown_late_restarts_the_idle_time(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        picture = place.with_name("picture.jpg")
        picture.write_bytes(pictures.jpeg())
        await it.wake()
        for asked in (("look",), ("show", str(picture)), ("wake",)):
            await it.clock.advance(it.settings.conversation.idle_s - 0.5)
            assert (await it.command(*asked)).code == Exit.OK
        await it.clock.advance(it.settings.conversation.idle_s - 0.5)
        assert it.state.turn.awake
        await it.clock.advance(1.0)
        await it.shows(KioskStatus.ASLEEP)


async def test_thirty_looks_in_a_moment_show_one_picture(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        connection = await it.wake()
        for _ in range(30):
            assert (await it.command("look")).code == Exit.OK
        await it.clock.advance(picture_pacer.PATIENCE_S)
        assert (len(connection.shown), it.camera.shots) == (1, 1)


async def test_a_look_with_a_camera_that_is_away_fails_and_says_so(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        it.camera.unplug()
        done = await it.command("look")
        assert (done.code, done.out) == (Exit.NOT_MET, "")
        assert (
            done.err == "kioskd: not done: the model did not get the picture: camera: unplugged; plug it in\n"
        )
        assert re.search(r"camera +missing$", (await it.command("status")).out, re.MULTILINE)
        it.camera.replug()
        await soon(it.live.accept())
        assert (await it.command("look")).code == Exit.OK
        assert re.search(r"camera +off$", (await it.command("status")).out, re.MULTILINE)


@pytest.mark.parametrize("ending", ["sleep", "mute"])
async def test_a_look_is_dropped_at_the_end_of_its_conversation(
    place: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    async with controlled(place, capsys) as it:
        await it.wake()
        it.camera.may_start.clear()
        asking = asyncio.create_task(it.command("look"))
        await soon(it.camera.starting.wait())
        assert (await it.command(ending)).code == Exit.OK
        async with asyncio.timeout(PATIENCE_S):
            await asking
        it.camera.may_start.set()
        await it.clock.advance(1.0)
        assert (it.camera.shots, it.camera.running) == (0, False)
        await it.command("unmute")
        connection = await it.wake()
        await it.clock.advance(1.0)
        assert not connection.shown


async def test_a_file_that_is_no_picture_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note, empty = place.with_name("note.txt"), place.with_name("empty.jpg")
    note.write_text("no picture")
    empty.touch()
    async with controlled(place, capsys) as it:
        refused = await it.command("show", str(note))
        assert (refused.code, refused.err) == (
            1,
            "kioskd: not done: the model did not get the picture: it is not a JPEG, PNG or WebP picture\n",
        )
        assert "empty" in (await it.command("show", str(empty))).err
        absent = await it.command("show", str(place.with_name("none.jpg")))
        assert absent.code == Exit.NOT_MET
        assert "No such file" in absent.err
        assert it.shown is KioskStatus.ASLEEP


async def test_the_log_level_is_switched_while_it_runs(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = logging.getLogger("kioskd")
    before = ours.level
    try:
        async with controlled(place, capsys) as it:
            assert (await it.command("log", "debug")).code == Exit.OK
            assert ours.level == logging.DEBUG
            assert "log debug" in (await it.command("status")).out
            assert (await it.command("log", "warning")).code == Exit.OK
            assert ours.level == logging.WARNING
    finally:
        ours.setLevel(before)


async def test_a_key_that_is_handed_over_is_shown_nowhere(
    place: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    new, before = "a-new-key-of-the-service", logging.getLogger("kioskd").level
    caplog.set_level(logging.DEBUG)
    try:
        async with controlled(place, capsys) as it, calling(place) as watcher:
            assert (await it.command("log", "debug")).code == Exit.OK
            await it.wake()
            seen = [await watcher.asks({"do": "watch"})]
            async with calling(place) as owner:
                for key, taken in ((new, True), (f"{new} of two words", False), ([new], False)):
                    answer = await owner.asks({"do": "key", "key": key})
                    assert answer["ok"] is taken
                    seen.append(answer)
            opener = it.keys.opener(it.settings.service)
            assert opener is not None
            assert opener().get_secret_value() == new
            await it.clock.advance(TICK_S)
            seen.append(await watcher.answer())
            assert any("do=key" in line["text"] for line in seen[-1]["events"])
            seen += [await it.command("status", *how) for how in ((), ("--json",), ("--prometheus",))]
        assert new not in f"{seen} {it.notifier.told} {it.effects} {caplog.text}"
    finally:
        logging.getLogger("kioskd").setLevel(before)


def samples(said: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    }


async def test_the_numbers_are_prometheus_text_on_the_socket_and_by_http(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        connection = await it.wake()
        connection.say(UsageReported(100, 20))
        connection.say(ToolsCalled([ToolCall("a", "time_and_place", {}), ToolCall("b", "fly", {})]))
        await until(lambda: len(connection.answers) == 2)
        await it.clock.advance(30.0)
        done = await it.command("status", "--prometheus")
        told = samples(done.out)
        assert told["kioskd_tokens_total", "prompt"] == 100
        assert told["kioskd_conversations_total", "button"] == 1
        assert told["kioskd_connections_total", "new session"] == 1
        assert told["kioskd_tool_calls_total", "ok"] == 1
        assert sum(told.get(("kioskd_tool_calls_total", why), 0) for why in ("refused", "failed")) == 1
        assert told["kioskd_budget", "minutes a day"] == 60
        assert told["kioskd_budget", "minutes used"] > 0
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{it.door.port}/metrics")
        assert samples(answer.text).keys() == told.keys()


async def test_watch_shows_states_levels_and_log_lines_and_no_speech(
    place: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kioskd")
    async with controlled(place, capsys) as it, calling(place) as watcher:
        first: Any = await watcher.asks({"do": "watch"})
        assert first["state"] == "asleep"
        await it.wake()
        it.microphone.say(voice(0.2))
        await it.settle()
        assert (await it.command("ask", "a secret question")).code == Exit.OK
        await it.clock.advance(TICK_S)
        told: Any = await watcher.answer()
        assert told["state"] == "thinking"
        assert told["levels"]["microphone"] > 0.3
        assert any("conversation began" in line["text"] for line in told["events"])
        assert "secret" not in json.dumps([first, told]) + caplog.text


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example([{"do": "look"}, {"do": "sleep"}, {"do": "look"}])
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(("do", "percent", "text", "level", "key", "bytes", "x")),
            st.sampled_from(DOS) | st.integers() | st.text(max_size=5) | st.none() | st.lists(st.integers()),
        ),
        max_size=10,
    )
)
def test_no_request_disturbs_the_kiosk(requests: list[dict[str, object]]) -> None:
    async def story() -> None:
        with open_place() as place:
            made = Controlled(place, None)
            async with running(made.serve()):
                await made.start()
                for request in requests:
                    if "watch" in request.values() or request.get("bytes"):
                        continue  # these wait for more input
                    async with calling(place) as caller:
                        asking = asyncio.create_task(caller.asks(request))
                        while not (await asyncio.wait([asking], timeout=0.02))[0]:
                            await made.clock.advance(1.0)  # a look waits for a connection
                        assert asking.result()["ok"] in (True, False)
                async with calling(place) as caller:
                    assert (await caller.asks({"do": "status"}))["ok"]

    before = logging.getLogger("kioskd").level
    try:
        asyncio.run(story())
    finally:
        logging.getLogger("kioskd").setLevel(before)


async def test_a_command_without_a_daemon_says_so_and_ends_with_69(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (["status"], ["watch"], ["wake"], ["volume", "5"], ["ask", "x"], ["status", "--json"]):
        assert main([*argv, "--socket", str(place)]) == Exit.UNAVAILABLE
        out, err = capsys.readouterr()
        assert not out
        assert err.startswith(f"kioskd: no daemon answers at {place}; start it")


async def test_a_second_daemon_ends_at_once_and_the_first_goes_on(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(place, capsys) as it:
        with pytest.raises(KioskError, match="another kioskd"):
            await soon(Controlled(place, capsys).serve())
        assert (await it.command("status")).code == Exit.OK


async def test_the_real_daemon_answers_and_removes_its_socket(
    tmp_path: Path, place: Path, sound_server: SoundServer
) -> None:
    async with Simulator(ServiceScript()) as service:
        environ = surroundings(sound_server, service) | {"KIOSKD_SOCKET": str(place)}
        settings = always_on(service.endpoint, service.ca_file)
        async with daemon_process(tmp_path, settings, environ) as daemon:
            await daemon.tells("READY=1")
            await daemon.shows("In conversation")
            process = await asyncio.create_subprocess_exec(
                COMMAND, "status", "--json", "--socket", place, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await process.communicate()
            told = json.loads(out)
            assert (process.returncode, told["link"]["phase"]) == (0, "up")
            assert f"STATUS={told['words']}" in daemon.told

            other = tmp_path / "other"
            other.mkdir()
            async with daemon_process(other, settings, environ) as second:
                assert await second.ended() == Exit.UNAVAILABLE
                assert "another kioskd is running already" in second.journal
            await until(place.is_socket)
            code, _ = await daemon.leave()
            assert code == 0
            await until(lambda: not place.exists())


async def test_a_key_works_the_moment_it_is_stored_and_after_a_reload(
    tmp_path: Path,
    place: Path,
    sound_server: SoundServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "gemini-api-key").write_text("a-key-that-was-withdrawn")
    monkeypatch.setattr(key_command, "MACHINE", Machine(tmp_path, "/nowhere"))
    async with Simulator(ServiceScript()) as service, sound_server.quiet_room():
        right = service.key.get_secret_value()
        environ = {
            **sound_server.environ,
            "CREDENTIALS_DIRECTORY": str(tmp_path),
            "KIOSKD_SOCKET": str(place),
            "KIOSKD_LOG": "debug",
        }
        settings = always_on(service.endpoint, service.ca_file)
        async with daemon_process(tmp_path, settings, environ) as daemon:
            await daemon.tells(lambda told: f"(code {Code.SETTINGS})" in told)
            monkeypatch.setattr("sys.stdin", io.StringIO(f"{right}\n"))
            config = str(tmp_path / "kioskd.yaml")
            stored = await asyncio.to_thread(main, ["key", "--config", config, "--socket", str(place)])
            said = capsys.readouterr()
            assert stored == Exit.OK, said.err
            assert said.out.splitlines()[-1] == "in use: the running kioskd has the new key"
            await daemon.shows("In conversation")

            settings["assistant"] = {"voice": "Puck"}
            await asyncio.to_thread((tmp_path / "kioskd.yaml").write_text, json.dumps(settings))
            daemon.reload()
            await until(
                lambda: "Puck" in service.sessions[-1].setups[-1].model_dump_json(), at_most_s=PATIENCE_S
            )
            assert daemon.journal.count("link lost") == 1, "with the key that was withdrawn"
            assert right not in daemon.journal + "".join(daemon.told) + said.out + said.err
            assert (await daemon.leave())[0] == 0
