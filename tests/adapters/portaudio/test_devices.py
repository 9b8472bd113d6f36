from pathlib import Path

import pytest

from kioskd.adapters.portaudio.devices import Direction, SoundDevice, find, stable_name
from kioskd.errors import DeviceLost

DEVICES = [
    SoundDevice(0, "bcm2835 Headphones: - (hw:0,0)", 0, 8, 44_100),
    SoundDevice(1, "USB PnP Sound Device: Audio (hw:1,0)", 1, 0, 48_000),
    SoundDevice(2, "Twin: USB Audio (hw:2,0)", 2, 2, 48_000),
    SoundDevice(3, "Twin: USB Audio (hw:3,0)", 2, 2, 48_000),
    SoundDevice(4, "default", 32, 32, 44_100, frozenset(Direction)),
]


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    for number, card in enumerate(["Headphones", "Device", "Twin", "Twin_1"]):
        (tmp_path / f"card{number}").mkdir()
        (tmp_path / f"card{number}" / "id").write_text(f"{card}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "direction", "index"),
    [
        ("default", Direction.IN, 4),
        ("default", Direction.OUT, 4),
        ("USB PnP Sound Device: Audio", Direction.IN, 1),
        ("usb pnp", Direction.IN, 1),
        ("HEADPHONES", Direction.OUT, 0),
        ("bcm2835", Direction.OUT, 0),
        ("plughw:CARD=Device,DEV=0", Direction.IN, 1),
        ("hw:CARD=device", Direction.IN, 1),
        ("HW:card=DEVICE,dev=0", Direction.IN, 1),
        ("hw:CARD=Twin,DEV=0", Direction.OUT, 2),
        ("hw:CARD=Twin_1", Direction.OUT, 3),
        ("hw:Twin_1,0", Direction.IN, 3),
    ],
)
def test_a_name_finds_its_device(wanted: str, direction: Direction, index: int, sysfs: Path) -> None:
    assert find(DEVICES, wanted, direction, sysfs).index == index


@pytest.mark.parametrize(
    "wanted",
    [
        "1",
        "hw:1",
        "hw:1,0",
        "plughw:1",
        "hw:CARD=1,DEV=0",
        "USB PnP Sound Device: Audio (hw:1,0)",
        "Audio (hw:1,0)",
    ],
)
def test_a_card_number_is_rejected_as_a_name(wanted: str, sysfs: Path) -> None:
    with pytest.raises(
        DeviceLost, match=r"numbers may change .*; set microphone.device to .*'USB PnP Sound Device: Audio'"
    ):
        find(DEVICES, wanted, Direction.IN, sysfs)


@pytest.mark.parametrize("wanted", ["hw:", "(", ",0"])
def test_a_number_is_not_part_of_a_name(wanted: str, sysfs: Path) -> None:
    with pytest.raises(DeviceLost, match="no device has this name"):
        find(DEVICES, wanted, Direction.IN, sysfs)


def test_a_device_of_the_wrong_direction_is_not_found(sysfs: Path) -> None:
    with pytest.raises(
        DeviceLost,
        match=r"speaker 'USB PnP': no device has this name \(devices here: 'bcm2835 Headphones: -', ",
    ):
        find(DEVICES, "USB PnP", Direction.OUT, sysfs)


def test_a_name_of_two_devices_is_rejected_with_names_that_differ(sysfs: Path) -> None:
    with pytest.raises(
        DeviceLost, match=r"several devices .*'hw:CARD=Twin,DEV=0', 'hw:CARD=Twin_1,DEV=0'; set microphone"
    ):
        find(DEVICES, "twin", Direction.IN, sysfs)


def test_a_machine_without_devices_is_reported(sysfs: Path) -> None:
    with pytest.raises(
        DeviceLost, match=r"microphone 'default': no device has this name \(devices here: none\)"
    ):
        find([], "default", Direction.IN, sysfs)


def test_every_stable_name_finds_its_device_after_the_cards_were_renumbered(sysfs: Path) -> None:
    names = [stable_name(device, DEVICES, sysfs) for device in DEVICES]
    assert names == [
        "bcm2835 Headphones: -",
        "USB PnP Sound Device: Audio",
        "hw:CARD=Twin,DEV=0",
        "hw:CARD=Twin_1,DEV=0",
        "default",
    ]
    turned = [
        SoundDevice(
            device.index,
            device.full_name.replace(f"hw:{card}", f"hw:{3 - card}"),
            device.inputs,
            device.outputs,
            1,
        )
        for card, device in enumerate(DEVICES[:4])
    ]
    for number, card in enumerate(["Twin_1", "Twin", "Device", "Headphones"]):
        (sysfs / f"card{number}" / "id").write_text(f"{card}\n")
    for device, name in zip(turned, names[:4], strict=True):
        direction = Direction.IN if device.inputs else Direction.OUT
        assert find(turned, name, direction, sysfs).index == device.index
