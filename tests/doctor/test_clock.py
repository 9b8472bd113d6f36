"""Whether the network keeps the clock."""

from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor import clock
from kioskd.doctor.finding import Verdict


async def test_a_machine_that_cannot_ask_time_servers_is_told_what_to_install(kiosk: Kiosk) -> None:
    kiosk.program("timedatectl", "printf 'NTP=no\\nNTPSynchronized=no\\nCanNTP=no\\n'")
    assert finding_of(await kiosk.examined(), "clock").remedy == "sudo apt install systemd-timesyncd"


async def test_a_clock_that_the_network_keeps_is_named_with_its_time_zone(kiosk: Kiosk) -> None:
    found = clock.clock(kiosk.context())
    assert (found.verdict, found.said) == (Verdict.OK, "synchronised; Europe/Rome")


async def test_a_clock_kept_by_another_program_gets_a_note(kiosk: Kiosk) -> None:
    kiosk.program("timedatectl", "printf 'NTP=no\\nNTPSynchronized=no\\n'")
    (kiosk.root / "run/chrony").mkdir()
    found = clock.clock(kiosk.context())
    assert (found.verdict, "chronyc tracking" in str(found.remedy)) == (Verdict.NOTE, True)


async def test_servers_that_have_not_answered_are_told_from_none_being_asked(kiosk: Kiosk) -> None:
    kiosk.program("timedatectl", "printf 'NTP=yes\\nNTPSynchronized=no\\n'")
    found = clock.clock(kiosk.context())
    assert "UDP port 123" in str(found.remedy)
    kiosk.program("timedatectl", "printf 'NTP=no\\nNTPSynchronized=no\\n'")
    found = clock.clock(kiosk.context())
    assert found.remedy == "sudo timedatectl set-ntp true"
