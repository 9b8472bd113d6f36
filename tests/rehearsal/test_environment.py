"""The environment of a rehearsed daemon."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from tests.support import pictures

from kioskd.adapters.fakes.devices import MemoryCamera
from kioskd.rehearsal.environment import RehearsalEnvironment, colour_card, scripted_environment
from kioskd.settings.model import Settings


def environment_with(folder: Path, seen: Path | None = None, **settings: Any) -> RehearsalEnvironment:
    return scripted_environment(Settings.model_validate(settings), SecretStr("a key"), folder, seen)


async def looked_at(environment: RehearsalEnvironment) -> bytes:
    """Return the picture of the environment's camera."""
    assert environment.parts.devices.camera is not None
    async with environment.parts.devices.camera.look() as sight:
        return await sight.shoot()


async def test_each_button_of_the_settings_can_be_pressed_by_number_and_by_source(tmp_path: Path) -> None:
    environment = environment_with(
        tmp_path,
        controls={
            "button": {"source": "gpio:gpiochip0/17", "does": "hold"},
            "buttons": ({"source": "evdev:Pedal/KEY_SPACE", "does": "mute"},),
        },
    )
    assert environment.buttons is not None
    assert set(environment.buttons) == {1, "gpio:gpiochip0/17", 2, "evdev:Pedal/KEY_SPACE"}
    assert (
        environment.buttons[2] is environment.buttons["evdev:Pedal/KEY_SPACE"] is not environment.buttons[1]
    )
    assert [hand.rules.does for hand in environment.parts.devices.buttons] == ["hold", "mute"]


async def test_without_buttons_there_is_a_plain_one(tmp_path: Path) -> None:
    environment = environment_with(tmp_path)
    assert environment.buttons is not None
    assert list(environment.buttons) == [1]
    assert environment.parts.devices.buttons[0].button is environment.buttons[1]
    assert environment.parts.devices.buttons[0].rules.does == "toggle"


async def test_a_kiosk_without_a_camera_sees_nothing(tmp_path: Path) -> None:
    assert environment_with(tmp_path, tmp_path).parts.devices.camera is None


async def test_the_scenarios_pictures_are_seen_upright_in_place_of_any_camera(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(pictures.jpeg(640, 480))
    for source in ("picamera", "v4l2:Webcam", f"folder:{tmp_path / 'none'}"):
        environment = environment_with(
            tmp_path, tmp_path, camera={"source": source, "size": 320, "rotate": 90}
        )
        jpeg = await looked_at(environment)
        assert pictures.opened(jpeg).size == (320, 240)
        assert pictures.corners(jpeg) == pictures.UPRIGHT


async def test_the_owners_folder_of_pictures_keeps_its_settings(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(pictures.jpeg(640, 480))
    environment = environment_with(
        tmp_path, camera={"source": f"folder:{tmp_path}", "size": 320, "rotate": 90}
    )
    assert pictures.opened(await looked_at(environment)).size == (240, 320)


async def test_a_camera_without_pictures_sees_a_card(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, camera={"source": "picamera", "size": 400})
    assert isinstance(environment.parts.devices.camera, MemoryCamera)
    assert pictures.opened(await looked_at(environment)).size == (400, 300)


def test_the_card_has_many_colours() -> None:
    colours = pictures.opened(colour_card(800, 75)).getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 1000


async def test_pictures_for_the_begin_of_a_conversation_are_read(tmp_path: Path) -> None:
    (tmp_path / "map.png").write_bytes(pictures.encoded(pictures.quarters(), "PNG"))
    environment = environment_with(tmp_path, assistant={"pictures": (tmp_path / "map.png",)})
    assert [pictures.opened(jpeg).size for jpeg in environment.parts.service.pictures] == [(320, 240)]
