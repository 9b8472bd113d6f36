"""The checks that the service's user may open its devices."""

import re

import pytest
from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor.access import permissions


async def test_the_remedy_for_a_device_of_root_is_a_udev_rule_and_not_roots_group(
    kiosk: Kiosk,
) -> None:
    (kiosk.root / "dev/gpiochip0").chmod(0o600)
    assert 'GROUP="kioskd", MODE="0660"' in str(finding_of(await kiosk.examined(), "permissions").remedy)


@pytest.mark.parametrize(
    ("node", "camera", "rule"),
    [
        ("gpiochip0", "off", 'SUBSYSTEM=="gpio", KERNEL=="gpiochip*"'),
        ("video0", "v4l2:Webcam", 'SUBSYSTEM=="video4linux", KERNEL=="video*"'),
        ("media3", "picamera", 'SUBSYSTEM=="media", KERNEL=="media*"'),
        ("dma_heap/linux,cma", "picamera", 'SUBSYSTEM=="dma_heap", KERNEL=="*"'),
        ("snd/pcmC1D0p", "off", 'SUBSYSTEM=="sound", KERNEL=="pcm*"'),
        ("snd/controlC0", "off", 'SUBSYSTEM=="sound", KERNEL=="control*"'),
        ("input/event7", "off", 'SUBSYSTEM=="input", KERNEL=="event*"'),
    ],
)
def test_a_udev_rule_does_not_depend_on_the_number_of_the_device(
    kiosk: Kiosk, node: str, camera: str, rule: str
) -> None:
    kiosk.settings["camera"] = {"source": camera}
    kiosk.settings["controls"]["buttons"] = [{"source": "evdev:Pedal/KEY_A", "does": "end"}]
    kiosk.file(f"/dev/{node}").chmod(0o600)
    (found,) = permissions(kiosk.context())
    assert f"{rule}, GROUP=" in str(found.remedy)
    assert not re.search(r"KERNEL==\S*[0-9]", str(found.remedy)), "a number changes with each replug"


@pytest.mark.parametrize("node", ["dma_heap/linux,cma", "media0"])
def test_a_v4l2_camera_needs_no_device_that_only_picamera_opens(kiosk: Kiosk, node: str) -> None:
    kiosk.file(f"/dev/{node}").chmod(0o600)
    assert [one.fault for one in permissions(kiosk.context())] == [None]
    kiosk.settings["camera"] = {"source": "picamera"}
    assert [one.fault for one in permissions(kiosk.context())] == ["device-permission"]
