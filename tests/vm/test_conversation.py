"""A visitor presses the button, speaks, and hears the answer, with the real unit, cards and GPIO line."""

from tests.support.likeness import in_order
from tests.vm.kiosk import LAMP, UNDERSTOOD, Kiosk, visitors_words

from kioskd.media import pcm


def test_cards_named_by_their_ids_are_opened_by_the_unit(here: Kiosk) -> None:
    here.shows("Asleep")
    said = here.says()
    assert (said["microphone"], said["speaker"], said["code"]) == ("working", "working", None)


def test_devices_are_listed_by_the_names_that_the_settings_take(here: Kiosk) -> None:
    listed = here.machine.exec("kioskd", "devices", "--json").stdout
    for name in ("hw:CARD=Mic,DEV=1", "hw:CARD=Spk,DEV=0", "v4l2:Front", "evdev:Pedal"):
        assert name.removeprefix("evdev:") in listed, name


def test_unit_runs_in_its_sandbox(here: Kiosk) -> None:
    process = here.machine.read(f"/proc/{here.machine.show('MainPID')}/status")
    assert "NoNewPrivs:\t1\n" in process
    assert "Seccomp:\t2\n" in process
    assert "CapEff:\t0000000000000000\n" in process


def test_a_press_wakes_the_kiosk_and_lights_the_lamp(here: Kiosk) -> None:
    assert not here.lit(LAMP)
    here.wakes()
    here.lights(LAMP)


def test_the_visitor_is_heard_and_the_reply_sounds_at_the_other_end_of_the_loop(here: Kiosk) -> None:
    assert here.heard() > UNDERSTOOD
    sent = bytes(here.service.simulator.sessions[0].audio)
    assert in_order(visitors_words(), sent, pcm.UPLINK_HZ) > UNDERSTOOD


def test_the_conversation_goes_on(here: Kiosk) -> None:
    here.answers()
    assert [turn.reply for turn in here.service.simulator.sessions[0].turns][-2:] == ["spoken", "spoken"]


def test_a_press_while_it_speaks_silences_the_reply(here: Kiosk) -> None:
    place = here.machine.journal.now
    here.speaks()
    here.press()
    here.ends_turn("silenced", place)
    here.shows("In conversation: listening")


def test_a_press_while_it_listens_ends_the_conversation(here: Kiosk) -> None:
    here.press()
    here.shows("Asleep")
    assert not here.lit(LAMP)


def test_nothing_was_lost_or_restarted_on_the_way(here: Kiosk) -> None:
    assert here.restarts == 0
    _, conversation, after = here.machine.journal.text("kioskd.service").partition("conversation began")
    assert conversation
    assert "lost, retrying" not in after
