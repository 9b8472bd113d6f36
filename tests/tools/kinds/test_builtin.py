"""The kiosk's own tools."""

import datetime
from typing import Any

import pytest
from tests.support.fakes_devices import ManualClock

from kioskd.errors import DeviceLost
from kioskd.tools.contract import Guarded, ToolResult
from kioskd.tools.guard import Guard
from kioskd.tools.kinds.builtin.settings import BUILTINS, BuiltinSettings
from kioskd.tools.kinds.builtin.tool import LONGEST_NOTE, MOST_NOTES, BuiltinTools
from kioskd.tools.toolbox import Toolbox

NOON = datetime.datetime(2026, 3, 2, 12, 5, 7, tzinfo=datetime.timezone(datetime.timedelta(hours=1), "CET"))


class Kiosk:
    """A kiosk that records the actions of its tools; a `KioskControls`."""

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.ended = 0
        self.camera_is_there = True
        self.has_looked = False
        self.left_s: float | None = 299.6
        self.profile = "default"

    def end_conversation(self) -> None:
        self.ended += 1

    def set_volume(self, percent: int) -> int:
        return min(percent, 80)

    async def look(self) -> bytes | None:
        if self.has_looked:
            return None
        if not self.camera_is_there:
            raise DeviceLost("camera: not there; plug it in")
        return b"\xff\xd8jpeg"

    async def more_time(self) -> float | None:
        return self.left_s

    def choose_profile(self, profile: str) -> str:
        self.profile = profile
        return f"Speak as for {profile}."


@pytest.fixture
def kiosk() -> Kiosk:
    return Kiosk()


async def call(kiosk: Kiosk, name: str, **arguments: object) -> ToolResult:
    tools = BuiltinTools(
        BuiltinSettings(kind="builtin", place="Hall 3"), kiosk, profiles=["default", "easy"], now=lambda: NOON
    )

    async def no(_name: str, _words: str) -> bool:
        return False

    box = Toolbox([Guarded(tools, Guard())], clock=ManualClock(), confirm=no)
    return await box.call(name, arguments, turn=1, conversation=1)


async def test_the_conversation_can_be_ended(kiosk: Kiosk) -> None:
    assert (await call(kiosk, "end_conversation")).status == "ok"
    assert kiosk.ended == 1


async def test_the_result_holds_the_volume_that_the_kiosk_has_set(kiosk: Kiosk) -> None:
    assert (await call(kiosk, "set_volume", percent=100)).data == {"percent": 80}


@pytest.mark.parametrize("percent", [-1, 101, "loud", 7.5, None])
async def test_an_impossible_volume_is_rejected(kiosk: Kiosk, percent: object) -> None:
    assert (await call(kiosk, "set_volume", percent=percent)).status == "refused"


async def test_a_look_returns_a_picture_and_no_data(kiosk: Kiosk) -> None:
    result = await call(kiosk, "look")
    assert (result.status, result.picture, result.data) == ("ok", b"\xff\xd8jpeg", None)


async def test_a_second_look_in_a_turn_returns_no_second_picture(kiosk: Kiosk) -> None:
    kiosk.has_looked = True
    result = await call(kiosk, "look")
    assert (result.status, result.picture) == ("ok", None)
    assert "already" in result.message


async def test_a_missing_camera_gives_a_retryable_result(kiosk: Kiosk) -> None:
    kiosk.camera_is_there = False
    result = await call(kiosk, "look")
    assert (result.status, result.retryable, result.picture) == ("error", True, None)


async def test_the_tool_returns_time_and_place(kiosk: Kiosk) -> None:
    assert (await call(kiosk, "time_and_place")).data == {
        "time": "2026-03-02T12:05+01:00",
        "weekday": "Monday",
        "time_zone": "CET",
        "place": "Hall 3",
    }


async def test_a_note_is_kept_and_returned(kiosk: Kiosk) -> None:
    assert (await call(kiosk, "remember_note")).status == "no_results"
    assert (await call(kiosk, "remember_note", title="name", text="Ada")).status == "ok"
    assert (await call(kiosk, "remember_note")).data == {"name": "Ada"}
    assert (await call(kiosk, "remember_note", title="name")).data == {"name": "Ada"}
    assert (await call(kiosk, "remember_note", title="age")).status == "no_results"


async def test_notes_are_limited_and_can_be_replaced(kiosk: Kiosk) -> None:
    kiosk.notes = {str(number): "x" for number in range(MOST_NOTES)}
    assert (await call(kiosk, "remember_note", title="one more", text="x")).status == "refused"
    assert (await call(kiosk, "remember_note", title="7", text="y")).status == "ok"
    assert (await call(kiosk, "remember_note", title="7", text="y" * (LONGEST_NOTE + 1))).status == "refused"
    assert (await call(kiosk, "remember_note", text="untitled")).status == "refused"


async def test_a_switched_off_tool_cannot_be_called(kiosk: Kiosk) -> None:
    others: dict[str, Any] = dict.fromkeys(set(BUILTINS) - {"time_and_place"}, False)
    tools = BuiltinTools(BuiltinSettings(kind="builtin", **others), kiosk)
    assert [declared.name for declared in tools.declarations] == ["time_and_place"]


async def test_more_time_tells_the_new_end(kiosk: Kiosk) -> None:
    result = await call(kiosk, "more_time")
    assert (result.status, result.data) == ("ok", {"seconds": 300})


async def test_more_time_that_is_not_given_is_refused_with_the_reasons(kiosk: Kiosk) -> None:
    kiosk.left_s = None
    result = await call(kiosk, "more_time")
    assert result.status == "refused"
    assert "a limit of the day" in result.message


async def test_a_chosen_profile_answers_with_its_instructions(kiosk: Kiosk) -> None:
    result = await call(kiosk, "choose_profile", profile="easy")
    assert (result.status, result.data) == ("ok", {"instructions": "Speak as for easy."})
    assert kiosk.profile == "easy"


async def test_only_a_profile_of_the_settings_can_be_chosen(kiosk: Kiosk) -> None:
    assert (await call(kiosk, "choose_profile", profile="eesy")).status == "refused"
    assert (await call(kiosk, "choose_profile")).status == "refused"
    assert kiosk.profile == "default"


def test_tools_that_are_useless_on_this_kiosk_are_not_offered(kiosk: Kiosk) -> None:
    useless = {"look", "more_time", "choose_profile"}
    tools = BuiltinTools(BuiltinSettings(kind="builtin"), kiosk, useless=useless)
    assert {declared.name for declared in tools.declarations} == set(BUILTINS) - useless
