"""Commands at the control socket: the events for the core, the answers, and the reasons for a rejection."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support import pictures
from tests.support.fakes_devices import ManualClock, MemoryMicrophone
from tests.support.kiosk import running, soon
from tests.support.until import until

from kioskd.core.events import (
    Closing,
    ConnectionUp,
    Device,
    DeviceGone,
    Event,
    MuteRequested,
    Pressed,
    ReplySilenced,
    SettingsChanged,
    SleepRequested,
    SnapshotRequested,
    Started,
    TextSubmitted,
    WakeCause,
    Woken,
)
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy
from kioskd.errors import Code, ConfigError, KioskError
from kioskd.flow.audio.level_meters import LevelMeters
from kioskd.flow.captions.caption_board import Caption, CaptionBoard
from kioskd.flow.controls.kiosk_view import AnnouncementWish, FeatureViews, KioskView
from kioskd.flow.controls.remote import QUESTION_CHARS, STEP_S, TICK_S, WATCHERS, RemoteControl
from kioskd.flow.link.outbox import Background
from kioskd.flow.reporting.journal import status
from kioskd.flow.reporting.metrics import MetricCounts, Readings, families
from kioskd.flow.subjects.subjects import Subject, Subjects
from kioskd.media import picture
from kioskd.ports import FollowCaptions, MetricFamily

READINGS = Readings(link={}, sent=0, resent=0, dropped=0, gap_bytes=0, overflow_bytes=0, volume=70)


async def _fitted(data: bytes) -> bytes:
    return picture.fit(data, size=64, quality=80)


@dataclass
class Sensor:
    """A presence sensor."""

    status: str = "absent"


class Announcer:
    """An `AnnouncementControl` that notes what is wanted."""

    def __init__(self) -> None:
        self.wishes: list[AnnouncementWish] = []
        self.refusal = self.outcome = ""

    def status(self) -> Mapping[str, object] | None:
        return {"waiting": len(self.wishes), "planned": 0, "next": None} if self.wishes else None

    async def say(self, wish: AnnouncementWish) -> Mapping[str, object]:
        if self.refusal:
            raise KioskError(self.refusal)
        self.wishes.append(wish)
        return {"number": 7} if wish.at is None else {"at": f"2026-12-01 {wish.at}"}

    async def ended(self, number: int) -> str:
        if number != 7:
            raise KioskError("this announcement is not known any more")
        return self.outcome


class Kiosk:
    """A kiosk as remote control sees it, with a real core."""

    def __init__(self, subjects: Sequence[Subject] = (), presence: Sensor | None = None) -> None:
        self.subjects = Subjects(subjects, self.post, ManualClock(), self) if subjects else None
        self.presence = presence
        self.clock = ManualClock()
        self.tally = MetricCounts(self.clock.now())
        self.meters = LevelMeters()
        self.announcer = Announcer()
        view = KioskView(
            post=self.post,
            tell=self.tell,
            display=self,
            pictures=self,
            uplink=self,
            volume=self,
            journal=self,
            owner=self,
            metrics=self,
            tools=self,
            features=FeatureViews(self, self.announcer, subjects=self.subjects, presence=self.presence),
        )
        self._view = view
        self.use_captions(None)
        self.state = State()
        self.status = "none"
        self.tools_left_out: list[dict[str, str]] = []
        self.tool_conditions: list[str] = []
        self.held_s = 0.0
        self.percent = 70
        self.log_level = "info"
        self.posted: list[Event] = []
        self.told: list[str | bytes] = []
        self.room = 8
        self.hangs = False
        self.lines: list[dict[str, str]] = []
        self.keys: list[SecretStr] = []
        self.other_way = ""
        self.unseen = ""
        self.file_faults: list[str] = []
        self.names: tuple[str, ...] = ()
        self.left_s: float | None = None
        self.post(Started())

    def use_captions(self, follow: FollowCaptions | None) -> None:
        self.control = RemoteControl(
            self._view, self.tally, self.meters, self.clock, fit=_fitted, captions=follow
        )

    @property
    def words(self) -> str:
        return status(self.tally.show)

    @property
    def profile(self) -> str | None:
        return self.state.turn.profile if self.names and self.state.turn.awake else None

    def ends_in_s(self) -> float | None:
        return self.left_s

    def post(self, event: Event) -> None:
        self.posted.append(event)
        if not self.hangs:
            asyncio.get_running_loop().call_soon(self._step, event)

    def _step(self, event: Event) -> None:
        before = self.state
        self.state, effects = step(before, event, Policy())
        own = [] if self.subjects is None else [self.subjects.observe]
        for observe in (self.tally.observe, *own, self.control.observe):
            observe(self.clock.now(), event, before, self.state, effects)

    def tell(self, what: str | bytes) -> bool:
        if len(self.told) >= self.room:
            return False
        self.told.append(what)
        return True

    def left_out(self) -> list[dict[str, str]]:
        return self.tools_left_out

    def conditions(self) -> list[str]:
        return self.tool_conditions

    async def snapshot_result(self) -> str:
        return self.unseen

    def use(self, background: Background) -> None:
        self.told.append(background.text)

    def change(self, background: Background) -> None:
        self.told.append(background.text)

    def set_volume(self, percent: int) -> int:
        self.percent = min(max(percent, 20), 90)
        return self.percent

    def set_log_level(self, name: str) -> None:
        self.log_level = name

    async def reload(self) -> Sequence[str]:
        if self.file_faults:
            raise ConfigError("\n".join(self.file_faults))
        return ("speaker.device",)

    def take_key(self, key: SecretStr) -> None:
        if self.other_way:
            raise ConfigError(f"service key: with {self.other_way} no stored key is looked at; take that out")
        self.keys.append(key)

    def families(self) -> list[MetricFamily]:
        return families(self.tally, READINGS, self.clock.now(), "1.2.3")

    def render(self, families: Iterable[MetricFamily]) -> str:
        return "\n".join(family.name for family in families)

    def recent(self, number: int) -> tuple[list[dict[str, str]], int]:
        return self.lines[number:], len(self.lines)

    async def asks(
        self, do: str, attachment: bytes = b"", *, privileged: bool = False, **arguments: object
    ) -> Any:
        answers: list[Mapping[str, object]] = []

        async def answer(message: Mapping[str, object]) -> None:
            answers.append(message)

        await soon(self.control.handle({"do": do, **arguments}, attachment, answer, privileged=privileged))
        (only,) = answers
        return only

    async def awake(self) -> None:
        self.post(Pressed())
        self.post(ConnectionUp(1, resumed=False))
        await until(lambda: self.state.link.open)
        self.posted.clear()


@pytest.fixture
async def kiosk() -> Kiosk:
    made = Kiosk()
    await until(lambda: made.state.started)
    made.posted.clear()
    return made


async def test_the_status_has_words_and_numbers(kiosk: Kiosk) -> None:
    told = await kiosk.asks("status")
    assert told["ok"]
    assert told["words"] == "Asleep, ready for the next visitor"
    assert (told["state"], told["code"], told["conversation"], told["turn"]) == ("asleep", None, None, None)
    assert (told["profile"], told["ends_in_s"]) == (None, None)
    assert (told["microphone"], told["speaker"], told["camera"]) == ("working", "working", "none")
    assert told["link"] == {"phase": "down", "epoch": 0, "age_s": None, "held_s": 0.0, "tries": 0}
    assert told["counts"]["kioskd_reply_wait_seconds"] == {"count": 0, "sum": 0}
    await kiosk.awake()
    await kiosk.clock.advance(7.0)
    told = await kiosk.asks("status")
    assert (told["conversation"], told["link"]["age_s"], told["uptime_s"]) == (1, 7.0, 7.0)


async def test_the_status_names_each_fault_with_its_code(kiosk: Kiosk) -> None:
    kiosk.post(DeviceGone(Device.MICROPHONE, "usb mic"))
    await until(lambda: bool(kiosk.state.missing))
    told = await kiosk.asks("status")
    assert (told["state"], told["code"], told["microphone"]) == ("fault", "D1", "missing")
    assert "usb mic" in told["words"]


async def test_the_status_tells_the_conditions_of_tools(kiosk: Kiosk) -> None:
    kiosk.tool_conditions = ["manual: documents 3, passages 12"]
    assert (await kiosk.asks("status"))["tool_conditions"] == kiosk.tool_conditions


async def test_metrics_are_prometheus_text(kiosk: Kiosk) -> None:
    assert "kioskd_uptime_seconds" in (await kiosk.asks("metrics"))["text"]


@pytest.mark.parametrize(
    ("do", "event"),
    [
        ("wake", Woken(WakeCause.REMOTE)),
        ("sleep", SleepRequested()),
        ("hush", ReplySilenced()),
        ("mute", MuteRequested(muted=True)),
        ("unmute", MuteRequested(muted=False)),
    ],
)
async def test_a_command_reaches_the_core_and_is_answered_with_the_result(
    kiosk: Kiosk, do: str, event: Event
) -> None:
    told = await kiosk.asks(do)
    assert kiosk.posted == [event]
    assert told["ok"]
    assert told["state"] == {"wake": "waking", "mute": "muted"}.get(do, "asleep")
    assert told["words"] == kiosk.words


async def made(*subjects: Subject, presence: Sensor | None = None) -> Kiosk:
    """Return a kiosk with these subjects, which has started."""
    kiosk = Kiosk(subjects, presence)
    await until(lambda: kiosk.state.started)
    kiosk.posted.clear()
    return kiosk


async def test_a_command_wakes_the_kiosk_with_a_subject() -> None:
    kiosk = await made(Subject("clock", "The clock."))
    assert (await kiosk.asks("status"))["subject"] is None
    assert (await kiosk.asks("wake", about="clock"))["ok"]
    assert kiosk.posted == [Woken(WakeCause.REMOTE, about="clock")]
    assert [str(told)[-10:] for told in kiosk.told] == ["The clock."]
    assert (await kiosk.asks("status"))["subject"] == "clock"


async def test_a_command_for_a_subject_that_does_not_exist_is_refused_and_wakes_nothing(
    kiosk: Kiosk,
) -> None:
    assert "the kiosk has no subjects" in (await kiosk.asks("wake", about="clock"))["why"]
    several = await made(*(Subject(f"k{n}", "about") for n in range(12)))
    why = (await several.asks("wake", about="clok"))["why"]
    assert why == "no subject has this name; write one of k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, ..."
    assert not any(isinstance(event, Woken) for event in (*kiosk.posted, *several.posted))


async def test_the_status_says_whether_somebody_is_there(kiosk: Kiosk) -> None:
    assert (await kiosk.asks("status"))["presence"] is None
    assert (await (await made(presence=Sensor())).asks("status"))["presence"] == "absent"


async def test_a_question_wakes_the_kiosk_and_is_sent_to_the_model(kiosk: Kiosk) -> None:
    assert (await kiosk.asks("ask", text="  Where is the exit? "))["ok"]
    assert kiosk.posted == [TextSubmitted()]
    assert kiosk.told == ["Where is the exit?"]
    assert kiosk.state.turn.awake


async def test_a_lone_surrogate_in_a_question_is_replaced(kiosk: Kiosk) -> None:
    assert (await kiosk.asks("ask", text="Where \ud83d is it?"))["ok"]
    assert kiosk.told == ["Where \ufffd is it?"]


@pytest.mark.parametrize("text", ["", "   ", "x" * (QUESTION_CHARS + 1)])
async def test_a_question_of_no_or_too_many_letters_is_refused(kiosk: Kiosk, text: str) -> None:
    assert "characters" in (await kiosk.asks("ask", text=text))["why"]
    assert not kiosk.posted


async def test_a_picture_wakes_the_kiosk_and_is_shown_to_the_model_in_its_size(kiosk: Kiosk) -> None:
    png = pictures.encoded(pictures.quarters(320, 240), "PNG")
    told = await kiosk.asks("show", png)
    assert kiosk.posted == [Woken(WakeCause.REMOTE)]
    (jpeg,) = kiosk.told
    assert isinstance(jpeg, bytes)
    assert pictures.opened(jpeg).size == (64, 48)
    assert told["jpeg_bytes"] == len(jpeg)


@pytest.mark.parametrize("what", [b"", b"no picture", pictures.jpeg()[:200]])
async def test_a_file_that_is_not_a_picture_is_rejected_and_does_not_wake_the_kiosk(
    kiosk: Kiosk, what: bytes
) -> None:
    refusal = await kiosk.asks("show", what)
    assert not refusal["ok"]
    assert "\n" not in refusal["why"]
    assert not kiosk.posted


async def test_a_snapshot_is_requested_if_there_is_a_camera(kiosk: Kiosk) -> None:
    assert "no camera" in (await kiosk.asks("look"))["why"]
    kiosk.status = "off"
    assert (await kiosk.asks("look"))["ok"]
    assert kiosk.posted == [SnapshotRequested()]


async def test_a_failed_snapshot_is_answered_with_its_reason(kiosk: Kiosk) -> None:
    kiosk.status, kiosk.unseen = "off", "camera: unplugged; plug it in"
    refusal = await kiosk.asks("look")
    assert not refusal["ok"]
    assert refusal["why"] == "the model did not get the picture: camera: unplugged; plug it in"


@pytest.mark.parametrize("do", ["wake", "ask", "show", "look"])
@pytest.mark.parametrize(
    ("event", "why"),
    [
        (MuteRequested(muted=True), "the kiosk is muted; run kioskd unmute first"),
        (Closing(Code.HOURS), "quiet hours (code B2)"),
        (DeviceGone(Device.SPEAKER), "code D3"),
    ],
)
async def test_a_kiosk_that_cannot_wake_says_why_and_drops_the_request(
    kiosk: Kiosk, do: str, event: Event, why: str
) -> None:
    kiosk.status = "off"
    kiosk.post(event)
    refusal = await kiosk.asks(do, pictures.grey(9) if do == "show" else b"", text="hello")
    assert not refusal["ok"]
    assert why in refusal["why"]
    assert not kiosk.told


async def test_the_number_of_unanswered_questions_is_bounded(kiosk: Kiosk) -> None:
    kiosk.room = 0
    assert "try again" in (await kiosk.asks("ask", text="hello"))["why"]


async def test_the_volume_stays_within_the_owners_bounds(kiosk: Kiosk) -> None:
    assert (await kiosk.asks("volume", percent=55))["volume"] == 55
    assert (await kiosk.asks("volume", percent=0))["volume"] == 20


async def test_the_log_level_is_set(kiosk: Kiosk) -> None:
    assert (await kiosk.asks("log", level="debug"))["ok"]
    assert kiosk.log_level == "debug"


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"do": None},
        {"do": "fly"},
        {"do": "volume"},
        {"do": "volume", "percent": "5"},
        {"do": "volume", "percent": True},
        {"do": "volume", "percent": 5.5},
        {"do": "ask"},
        {"do": "ask", "text": 7},
        {"do": "log", "level": "silly"},
        {"do": "log", "level": ["info"]},
        {"do": ["status"]},
        {"do": "key"},
        {"do": "key", "key": ["a-key"]},
    ],
)
async def test_an_unknown_request_is_rejected(kiosk: Kiosk, request_: dict[str, object]) -> None:
    answers: list[Mapping[str, object]] = []

    async def answer(message: Mapping[str, object]) -> None:
        answers.append(message)

    await soon(kiosk.control.handle(request_, b"", answer, privileged=True))
    assert [one["ok"] for one in answers] == [False]
    assert not kiosk.posted


async def test_a_new_key_is_stored_and_a_rejected_service_is_tried_with_it(
    kiosk: Kiosk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = await kiosk.asks("key", privileged=True, key="a-new-key")
    assert told["ok"]
    assert [key.get_secret_value() for key in kiosk.keys] == ["a-new-key"]
    assert kiosk.posted == [SettingsChanged()]
    assert "do=key" in caplog.text
    assert "a-new-key" not in f"{caplog.text} {told} {kiosk.keys} {await kiosk.asks('status')}"


async def test_a_member_of_the_group_cannot_change_the_key(kiosk: Kiosk) -> None:
    refused = await kiosk.asks("key", key="a-new-key")
    assert refused == {
        "ok": False,
        "why": "only root and the daemon's own user can change the key; run sudo kioskd key",
    }
    assert (kiosk.keys, kiosk.posted) == ([], [])


async def test_a_key_that_the_settings_do_not_use_is_rejected_with_a_reason(kiosk: Kiosk) -> None:
    kiosk.other_way = "service.key_file"
    refused = await kiosk.asks("key", privileged=True, key="a-new-key")
    assert (refused["ok"], "with service.key_file" in refused["why"]) == (False, True)
    assert "a-new-key" not in refused["why"]
    assert not kiosk.posted


async def test_a_visitor_can_be_called_with_a_profile(kiosk: Kiosk) -> None:
    kiosk.names, kiosk.left_s = ("default", "easy"), 599.96
    told = await kiosk.asks("wake", profile="easy")
    assert told["ok"]
    assert kiosk.posted == [Woken(WakeCause.REMOTE, profile="easy")]
    told = await kiosk.asks("status")
    assert (told["profile"], told["ends_in_s"]) == ("easy", 600.0)


@pytest.mark.parametrize("profile", ["eesy", 7, ["easy"]])
async def test_a_profile_that_does_not_exist_wakes_nobody(kiosk: Kiosk, profile: object) -> None:
    kiosk.names = ("default", "easy")
    told = await kiosk.asks("wake", profile=profile)
    why = "there is no such profile: use one of default, easy (assistant.profiles)"
    assert told == {"ok": False, "why": why}
    kiosk.names = ()
    assert "the settings have none" in (await kiosk.asks("wake", profile=profile))["why"]
    assert kiosk.posted == []


async def test_a_request_reports_that_the_core_hangs(kiosk: Kiosk) -> None:
    kiosk.hangs = True
    answers: list[Mapping[str, object]] = []

    async def answer(message: Mapping[str, object]) -> None:
        answers.append(message)

    async with running(kiosk.control.handle({"do": "wake"}, b"", answer, privileged=False)):
        await kiosk.clock.advance(STEP_S)
        assert "did not react" in str(answers[0]["why"])


# Watching


class Watcher:
    """A client that watches."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def answer(self, message: Mapping[str, object]) -> None:
        self.seen.append(message)


@asynccontextmanager
async def watching(kiosk: Kiosk) -> AsyncIterator[Watcher]:
    watcher = Watcher()
    async with running(kiosk.control.handle({"do": "watch"}, b"", watcher.answer, privileged=False)):
        await kiosk.clock.advance(0)
        yield watcher


async def test_a_watcher_gets_the_status_ten_times_a_second_and_each_line_once(kiosk: Kiosk) -> None:
    kiosk.lines.append({"at": "10:00:00", "level": "info", "text": "ready"})
    async with watching(kiosk) as watcher:
        kiosk.lines.append({"at": "10:00:01", "level": "info", "text": "link up"})
        for _ in range(10):
            await kiosk.clock.advance(TICK_S)
        assert len(watcher.seen) == 11
        assert [line["text"] for told in watcher.seen for line in told["events"]] == ["ready", "link up"]
        assert watcher.seen[0]["levels"] == {"microphone": 0.0, "speaker": 0.0}
        assert watcher.seen[0]["state"] == "asleep"


async def test_levels_are_measured_only_while_a_client_watches(kiosk: Kiosk) -> None:
    microphone = MemoryMicrophone()
    async with running(kiosk.meters.microphone(microphone).capture(lambda _: None)):
        async with watching(kiosk) as first:
            async with watching(kiosk):
                pass
            microphone.say(b"\x00\x40" * 320)  # one watcher has left, and this one remains
            await kiosk.clock.advance(TICK_S)
            assert first.seen[-1]["levels"]["microphone"] == 0.5
        microphone.say(b"\x00\x40" * 320)
        await kiosk.clock.advance(0)
        assert kiosk.meters.levels["microphone"] == 0.0


async def test_the_number_of_watchers_is_bounded_and_other_requests_still_work(kiosk: Kiosk) -> None:
    watchers = [Watcher() for _ in range(WATCHERS)]
    watch = [kiosk.control.handle({"do": "watch"}, b"", one.answer, privileged=False) for one in watchers]
    async with running(*watch):
        await kiosk.clock.advance(0)
        assert "watch already" in (await kiosk.asks("watch"))["why"]
        assert (await kiosk.asks("status"))["ok"]
    async with watching(kiosk) as watcher:
        assert watcher.seen[0]["ok"]


async def test_captions_that_are_off_are_refused(kiosk: Kiosk) -> None:
    assert "captions.stream: true" in (await kiosk.asks("captions"))["why"]
    assert (await kiosk.asks("status"))["captions"] == "off"


async def test_captions_are_sent_with_each_change_and_their_readers_are_bounded() -> None:
    kiosk = Kiosk()
    board = CaptionBoard(kiosk.clock, {"state": "asleep"})
    kiosk.use_captions(board.follow)
    readers = [Watcher() for _ in range(WATCHERS)]
    read = [kiosk.control.handle({"do": "captions"}, b"", one.answer, privileged=False) for one in readers]
    async with running(*read):
        await kiosk.clock.advance(0)
        board.add(Caption("visitor", "Hello."))
        await kiosk.clock.advance(0)
        assert [line["text"] for line in readers[0].seen[-1]["lines"]] == ["Hello."]
        assert "watch already" in (await kiosk.asks("captions"))["why"]
        assert (await kiosk.asks("status"))["captions"] == "on"
    async with watching(kiosk) as watcher:
        assert watcher.seen[0]["ok"]


# New settings


async def test_a_reload_names_the_settings_that_need_a_restart(kiosk: Kiosk) -> None:
    told = await kiosk.asks("reload")
    assert (told["ok"], told["later"], told["faults"]) == (True, ["speaker.device"], [])


async def test_a_rejected_reload_names_every_fault(kiosk: Kiosk) -> None:
    kiosk.file_faults = [
        "kioskd.yaml:3:5 speaker.volum: unknown key",
        "kioskd.yaml:4:9 speaker.cues: is no cue",
    ]
    told = await kiosk.asks("reload")
    assert (told["ok"], told["faults"]) == (True, kiosk.file_faults)


async def test_an_announcement_is_queued_and_its_end_is_told(kiosk: Kiosk) -> None:
    assert (await kiosk.asks("status"))["announcements"] is None
    answer = await kiosk.asks("say", text=" We close soon. ", language="en-GB", now=True)
    assert answer == {"ok": True, "number": 7}
    assert kiosk.announcer.wishes == [AnnouncementWish("We close soon.", None, "en-GB", None, now=True)]
    assert await kiosk.asks("said", number=7) == {"ok": True}
    assert (await kiosk.asks("status"))["announcements"]["waiting"] == 1


async def test_a_recording_is_announced_without_words(kiosk: Kiosk) -> None:
    assert (await kiosk.asks("say", b"RIFF", text="", at="17:45"))["at"] == "2026-12-01 17:45"
    assert kiosk.announcer.wishes == [AnnouncementWish("", b"RIFF", None, "17:45")]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({}, "write the words"),
        ({"text": " "}, "write the words"),
        ({"text": 5}, "write the words"),
        ({"text": "Hello.", "language": "--voices"}, "not a language tag"),
        ({"text": "Hello.", "language": 5}, "not a language tag"),
        ({"text": "Hello.", "at": "24:00"}, "not a time of day"),
        ({"text": "Hello.", "at": 1745}, "not a time of day"),
    ],
)
async def test_an_announcement_that_makes_no_sense_is_refused(
    kiosk: Kiosk, request_: dict[str, Any], why: str
) -> None:
    assert why in (await kiosk.asks("say", **request_))["why"]
    assert kiosk.announcer.wishes == []


async def test_a_refused_or_stopped_announcement_says_why(
    kiosk: Kiosk, caplog: pytest.LogCaptureFixture
) -> None:
    kiosk.announcer.refusal = "8 announcements wait already"
    assert (await kiosk.asks("say", text="Secret words."))["why"] == "8 announcements wait already"
    kiosk.announcer.outcome = "a person stopped it after 1.0 s"
    assert "a person stopped it after 1.0 s" in (await kiosk.asks("said", number=7))["why"]
    assert "not known" in (await kiosk.asks("said", number=8))["why"]
    assert "Secret" not in caplog.text + repr(AnnouncementWish("Secret words."))
