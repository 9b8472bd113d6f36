"""Whether the network keeps the clock."""

from tests.doctor.planting import Kiosk, finding_of


async def test_a_machine_that_cannot_ask_time_servers_is_told_what_to_install(kiosk: Kiosk) -> None:
    kiosk.program("timedatectl", "printf 'NTP=no\\nNTPSynchronized=no\\nCanNTP=no\\n'")
    assert finding_of(await kiosk.examined(), "clock").remedy == "sudo apt install systemd-timesyncd"
