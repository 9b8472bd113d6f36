"""The check that the service's user can read the files that the settings name, in its sandbox."""

from dataclasses import replace

import pytest
from tests.doctor.planting import Kiosk, faults

from kioskd.doctor.files import files
from kioskd.doctor.finding import Verdict


async def test_files_of_settings_that_are_not_the_services_own_are_not_judged(kiosk: Kiosk) -> None:
    kiosk.settings["assistant"] = {"pictures": [str(kiosk.file("/home/pi/map.jpg"))]}
    context = kiosk.context()
    own = replace(context, path=kiosk.file("/home/pi/kiosk.yaml"))
    assert [one.fault for one in files(context)] == ["file-hidden"]
    assert [one.verdict for one in files(own)] == [Verdict.SKIPPED]


@pytest.mark.parametrize("place", ["/var/lib/kioskd/recordings", "/srv/kiosk/recordings"])
async def test_recordings_may_go_where_the_unit_may_write(kiosk: Kiosk, place: str) -> None:
    kiosk.unit["ReadWritePaths"] = "-/sys/devices /srv/kiosk"
    folder = str(kiosk.root / place.lstrip("/"))
    kiosk.settings["privacy"] = {"recordings": {"folder": folder, "keep_days": 1, "most_mb": 10}}
    assert faults(await kiosk.examined()) == []
