"""The check that the network sets the clock."""

from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor import clock
from kioskd.doctor.finding import Verdict


async def test_the_remedy_for_a_machine_without_a_time_service_is_to_install_one(kiosk: Kiosk) -> None:
    kiosk.program("timedatectl", "printf 'NTP=no\\nNTPSynchronized=no\\nCanNTP=no\\n'")
    assert finding_of(await kiosk.examined(), "clock").remedy == "sudo apt install systemd-timesyncd"


async def test_a_clock_set_from_the_network_is_reported_with_its_time_zone(kiosk: Kiosk) -> None:
    found = clock.clock(kiosk.context())
    assert (found.verdict, found.said) == (Verdict.OK, "set from the network; time zone: Europe/Rome")


async def test_a_clock_kept_by_another_program_gets_a_note(kiosk: Kiosk) -> None:
    kiosk.program("timedatectl", "printf 'NTP=no\\nNTPSynchronized=no\\n'")
    (kiosk.root / "run/chrony").mkdir()
    found = clock.clock(kiosk.context())
    assert (found.verdict, "chronyc tracking" in str(found.remedy)) == (Verdict.NOTE, True)


async def test_silent_time_servers_and_a_time_service_that_is_off_have_different_remedies(
    kiosk: Kiosk,
) -> None:
    kiosk.program("timedatectl", "printf 'NTP=yes\\nNTPSynchronized=no\\n'")
    found = clock.clock(kiosk.context())
    assert "UDP port 123" in str(found.remedy)
    kiosk.program("timedatectl", "printf 'NTP=no\\nNTPSynchronized=no\\n'")
    found = clock.clock(kiosk.context())
    assert found.remedy == "sudo timedatectl set-ntp true"
