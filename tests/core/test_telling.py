"""Prompts, chimes, codes and overlays: everything that a person hears and sees of the kiosk itself."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.core import (
    ALWAYS_ON,
    AWAKE,
    EPOCH,
    FULL_DUPLEX,
    HALF_DUPLEX,
    HANDLE,
    HELD,
    REPLY,
    asleep,
    dialing,
    down,
    listening,
    lost,
    of_type,
    refused,
    run,
    speaking,
    thinking,
    waiting,
)

from kioskd.core import troubles
from kioskd.core.effects import (
    AskConfirmation,
    Chime,
    Confirm,
    Cue,
    Dial,
    Effect,
    KioskStatus,
    Overlay,
    Prompt,
    SetTimer,
    SetUplink,
    ShowStatus,
    StopPrompt,
    UplinkGate,
)
from kioskd.core.events import (
    Armed,
    Closing,
    ConfirmationRequested,
    ConnectionUp,
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    MicrophoneSilent,
    MuteRequested,
    Pressed,
    PromptOver,
    ReplyBegan,
    ReplyPlayed,
    ReplySilenced,
    Restored,
    SleepRequested,
    SnapshotRequested,
    Started,
    StorageFailed,
    TalkBegan,
    TalkEnded,
    TextSubmitted,
    Timer,
    TimerFired,
    VoiceBegan,
    VoiceEnded,
    WakeCause,
    Woken,
)
from kioskd.core.levels import LONG_S, QUESTION
from kioskd.core.link import CODES, code_of
from kioskd.core.link_state import Link, LinkTrouble
from kioskd.core.machine import State, levels
from kioskd.errors import Code, Remedy

Builder = Callable[..., State]
RETRY = TimerFired(Timer.RETRY)
LATE = (TimerFired(Timer.LATE),)


def outage(*remedies: Remedy, reached: bool = False, **changes: object) -> tuple[State, list[Effect]]:
    """Return a conversation after a long outage of dials that end with `remedies`, and its effects.

    `reached`: the service answered each dial.
    """
    state: State = listening(dialing(), **{"woken_by_person": True, **changes})
    effects: list[Effect] = []
    for remedy in remedies:
        state, more = run(state, lost(remedy, state.link.epoch, reached=reached))
        effects += more
        state, more = run(state, RETRY, *LATE[: len(remedies) - 1])
        effects += more
    return state, effects


# Prompts: an outage


def test_a_visitor_is_told_of_an_outage_once_in_a_conversation() -> None:
    _, effects = outage(*[Remedy.RESUME] * 6)
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]


def test_a_service_that_answers_each_dial_with_a_failure_is_not_called_out_of_reach() -> None:
    state, effects = outage(*[Remedy.RESUME] * 6, reached=True)
    assert of_type(Prompt, effects) == [Prompt(Code.SERVICE)]
    assert levels(run(state, lost(epoch=state.link.epoch))[0], HALF_DUPLEX).show.code is Code.WAY


@pytest.mark.parametrize("remedy", Remedy)
def test_an_answer_of_the_service_changes_only_the_code_of_the_network(
    remedy: Remedy,
) -> None:
    answered = code_of(remedy, reached=True)
    assert answered is (Code.SERVICE if CODES[remedy] is Code.WAY else CODES[remedy])
    assert code_of(remedy, reached=False) is CODES[remedy]


def test_an_outage_that_changes_its_reason_is_still_one_outage() -> None:
    _, effects = outage(*[Remedy.RESUME, Remedy.RESUME_LATER] * 4)
    assert len(of_type(Prompt, effects)) == 1


def test_the_next_conversation_is_told_of_the_outage_again() -> None:
    state, _ = outage(*[Remedy.RESUME] * 3)
    state, _ = run(state, PromptOver(), SleepRequested(), Pressed())
    effects: list[Effect] = []
    for _ in range(3):
        state, more = run(state, lost(epoch=state.link.epoch), RETRY, *LATE)
        effects += more
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]


def test_a_visitor_is_not_told_of_a_single_loss() -> None:
    assert of_type(Prompt, outage(Remedy.RESUME)[1]) == []


def test_a_visitor_is_told_of_an_outage_after_a_long_wait() -> None:
    state, effects = run(listening(woken_by_person=True), lost())
    for _ in range(2):
        state, more = run(state, lost(epoch=state.link.epoch), RETRY)
        effects += more
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.OFFLINE
    assert of_type(Prompt, effects) == []
    assert [clock for clock in of_type(SetTimer, effects) if clock.timer is Timer.LATE] == [
        SetTimer(Timer.LATE, LONG_S)
    ], "the timer must start only once"
    assert of_type(Prompt, run(state, *LATE)[1]) == [Prompt(Code.WAY)]


def test_a_visitor_is_told_of_a_dial_that_hangs_after_a_loss() -> None:
    _, effects = run(listening(woken_by_person=True), lost(), *LATE)
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]


def test_the_wait_begins_again_with_each_outage() -> None:
    state, _ = run(listening(woken_by_person=True), lost(), *LATE)
    state, _ = run(state, ConnectionUp(state.link.epoch, resumed=True))
    assert not state.link.late
    assert Timer.LATE not in levels(state, HALF_DUPLEX).timers
    assert levels(run(state, lost(epoch=state.link.epoch))[0], HALF_DUPLEX).timers[Timer.LATE] == LONG_S


@pytest.mark.parametrize("remedy", [Remedy.QUOTA, Remedy.CLOCK])
def test_a_visitor_is_told_of_a_long_delay_at_once(remedy: Remedy) -> None:
    assert of_type(Prompt, outage(remedy)[1]) == [Prompt(CODES[remedy])]


def test_an_outage_is_not_told_before_a_person_has_called_or_spoken() -> None:
    state, effects = outage(*[Remedy.RESUME] * 3, woken_by_person=False)
    assert of_type(Prompt, effects) == []
    assert of_type(Prompt, run(state, VoiceBegan(), VoiceEnded())[1]) == [Prompt(Code.WAY)]


def test_an_always_on_kiosk_in_an_empty_room_is_silent_about_an_outage() -> None:
    state, effects = run(State(), Started(), policy=ALWAYS_ON)
    for _ in range(5):
        state, more = run(state, lost(epoch=state.link.epoch), RETRY, policy=ALWAYS_ON)
        effects += more
    _, more = run(state, lost(Remedy.SETTINGS, state.link.epoch), policy=ALWAYS_ON)
    assert of_type(Prompt, effects + more) + of_type(Chime, effects + more) == []


def test_a_reply_is_heard_to_its_end_before_the_outage_is_told() -> None:
    state, effects = run(
        speaking(waiting(code=Code.WAY, late=True), woken_by_person=True),
        lost(epoch=EPOCH),
        ReplyPlayed(REPLY),
        policy=FULL_DUPLEX,
    )
    assert levels(state, FULL_DUPLEX).shown is KioskStatus.OFFLINE
    assert len(of_type(Prompt, effects)) == 1


def test_a_speaking_visitor_is_told_of_an_outage_after_the_last_word() -> None:
    state, effects = outage(*[Remedy.RESUME] * 3, voice=True)
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.OFFLINE
    assert of_type(Prompt, effects) == []
    _, effects = run(state, VoiceEnded())
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]


def test_a_visitor_who_holds_the_talk_button_is_told_of_an_outage_at_its_release() -> None:
    state, effects = run(asleep(), TalkBegan(), policy=HELD)
    for _ in range(4):
        state, more = run(state, lost(epoch=state.link.epoch), RETRY, *LATE, policy=HELD)
        effects += more
    assert of_type(Prompt, effects) == []
    assert levels(state, HELD).uplink is UplinkGate.HOLD
    _, effects = run(state, TalkEnded(), policy=HELD)
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]


def test_a_visitor_who_speaks_until_the_outage_is_over_is_not_told() -> None:
    state, _ = outage(*[Remedy.RESUME] * 3, voice=True)
    _, effects = run(state, ConnectionUp(state.link.epoch, resumed=True), VoiceEnded())
    assert of_type(Prompt, effects) == []


# Prompts: the end of a conversation, and calls in vain


@pytest.mark.parametrize("remedy", [Remedy.SETTINGS, Remedy.STOP])
def test_a_refused_conversation_ends_with_its_code(remedy: Remedy) -> None:
    _, effects = run(listening(dialing(), woken_by_person=True), lost(remedy))
    assert of_type(Prompt, effects) == [Prompt(Code.SETTINGS)]
    assert of_type(Chime, effects) == [Chime(Cue.ERROR)]
    assert effects[-1] == ShowStatus(KioskStatus.FAULT, Code.SETTINGS)


def test_a_visitor_is_told_of_each_refused_try() -> None:
    state, effects = run(refused(), PromptOver(), Pressed(), lost(Remedy.SETTINGS, EPOCH + 1))
    state, more = run(state, PromptOver(), Pressed(), lost(Remedy.SETTINGS, EPOCH + 2))
    assert of_type(Prompt, effects + more) == [Prompt(Code.SETTINGS)] * 2


@pytest.mark.parametrize(
    "call", [Pressed(), Woken(WakeCause.REMOTE), TalkBegan(), TextSubmitted(), SnapshotRequested()]
)
@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (DeviceGone(Device.MICROPHONE, "Jabra"), Code.MICROPHONE),
        (MicrophoneSilent(deaf=True), Code.DEAF),
        (Closing(Code.HOURS), Code.HOURS),
    ],
)
def test_a_visitor_who_calls_a_kiosk_that_cannot_serve_is_told_the_reason(
    call: Event, trouble: Event, code: Code
) -> None:
    broken, _ = run(asleep(), trouble)
    state, effects = run(broken, call)
    assert not state.turn.awake
    assert of_type(Prompt, effects) == [Prompt(code)]
    assert of_type(Dial, effects) + of_type(Chime, effects) == []


def test_a_kiosk_without_a_speaker_gives_no_prompt() -> None:
    broken, _ = run(asleep(), DeviceGone(Device.SPEAKER, "Jabra"))
    assert run(broken, Pressed()) == (broken, [])


@pytest.mark.parametrize("event", [Started(), TimerFired(Timer.AGAIN)])
def test_a_broken_kiosk_does_not_wake_by_itself(event: Event) -> None:
    broken, _ = run(asleep(), DeviceGone(Device.MICROPHONE), policy=ALWAYS_ON)
    assert run(broken, event, policy=ALWAYS_ON) == (broken, [])
    assert levels(broken, ALWAYS_ON).timers == {}


def test_a_visitor_is_told_of_a_lost_microphone_and_the_conversation_goes_on() -> None:
    state, effects = run(listening(woken_by_person=True), DeviceGone(Device.MICROPHONE, "Jabra"))
    assert state.turn.awake
    assert of_type(Prompt, effects) == [Prompt(Code.MICROPHONE)]
    state, effects = run(state, PromptOver(), DeviceCame(Device.MICROPHONE))
    assert effects[-1] == ShowStatus(KioskStatus.LISTENING)


@pytest.mark.parametrize("trouble", [DeviceGone(Device.MICROPHONE, "Jabra"), MicrophoneSilent(deaf=True)])
def test_a_visitor_who_speaks_into_a_dead_microphone_is_told_at_once(trouble: Event) -> None:
    assert len(of_type(Prompt, run(listening(woken_by_person=True, voice=True), trouble)[1])) == 1


# Prompts: one at a time


def telling(state: State, code: Code = Code.WAY) -> State:
    """Return `state` while the kiosk speaks the prompt of `code`."""
    return replace(state, prompt=code, told=frozenset({code}))


def test_the_next_prompt_stops_the_present_one() -> None:
    state, effects = run(telling(listening(waiting(), woken_by_person=True)), DeviceGone(Device.MICROPHONE))
    told = [effect for effect in effects if isinstance(effect, StopPrompt | Prompt)]
    assert told == [StopPrompt(), Prompt(Code.MICROPHONE)]
    assert state.prompt is Code.MICROPHONE


HUSHES: tuple[Event, ...] = (
    Pressed(),
    ReplySilenced(),
    SleepRequested(),
    TalkBegan(),
    MuteRequested(),
    TextSubmitted(),
    Woken(WakeCause.REMOTE),
    ReplyBegan(EPOCH, REPLY + 1),
)


def test_a_prompt_whose_trouble_is_over_is_shown_as_speaking() -> None:
    state, effects = run(telling(listening(dialing(tries=9))), ConnectionUp(EPOCH, resumed=True))
    assert of_type(StopPrompt, effects) == []
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.SPEAKING
    assert levels(run(state, PromptOver())[0], HALF_DUPLEX).shown is KioskStatus.LISTENING


@pytest.mark.parametrize("event", HUSHES)
@pytest.mark.parametrize("builder", [asleep, listening])
def test_a_person_who_acts_stops_the_prompt(event: Event, builder: Builder) -> None:
    state, effects = run(telling(builder()), event)
    assert of_type(StopPrompt, effects) == [StopPrompt()]
    assert state.prompt is None


@pytest.mark.parametrize("event", [VoiceBegan(), Started(), ConnectionUp(EPOCH, resumed=True), Armed("mute")])
def test_other_events_do_not_stop_the_prompt(event: Event) -> None:
    assert run(telling(listening(waiting(tries=9))), event)[0].prompt is Code.WAY


def test_a_finished_prompt_is_not_stopped() -> None:
    _, effects = run(telling(listening(waiting(tries=9), woken_by_person=True)), PromptOver(), Pressed())
    assert of_type(StopPrompt, effects) == []


@pytest.mark.parametrize("builder", [asleep, listening])
def test_the_loss_of_the_speaker_stops_the_prompt(builder: Builder) -> None:
    state, effects = run(telling(builder()), DeviceGone(Device.SPEAKER, "Dock"))
    assert of_type(StopPrompt, effects) == [StopPrompt()]
    assert state.prompt is None
    assert run(telling(builder()), DeviceGone(Device.MICROPHONE, "Jabra"))[0].prompt is not None


@pytest.mark.parametrize("builder", [asleep, *AWAKE])
def test_in_half_duplex_a_prompt_shuts_the_uplink(builder: Builder) -> None:
    assert levels(telling(builder()), HALF_DUPLEX).uplink is UplinkGate.SHUT
    uplink = levels(builder(), FULL_DUPLEX).uplink
    assert levels(telling(builder()), FULL_DUPLEX).uplink is uplink


def test_in_half_duplex_the_end_of_a_prompt_opens_the_uplink() -> None:
    _, effects = run(telling(listening()), PromptOver())
    assert effects == [SetUplink(UplinkGate.SEND), ShowStatus(KioskStatus.LISTENING)]


RINGS = TimerFired(Timer.TAIL)


@pytest.mark.parametrize(
    "event", [Pressed(), Woken(WakeCause.REMOTE), TalkBegan(), TextSubmitted(), SnapshotRequested()]
)
def test_in_half_duplex_a_call_into_a_prompt_is_heard_when_the_room_is_quiet(event: Event) -> None:
    state, effects = run(telling(asleep()), event)
    assert of_type(SetUplink, effects) == []
    assert SetTimer(Timer.TAIL, HALF_DUPLEX.tail_s) in effects
    state, effects = run(state, ConnectionUp(EPOCH + 1, resumed=False))
    assert of_type(SetUplink, effects) == []
    _, effects = run(state, RINGS)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND)]


def test_in_half_duplex_a_stopped_prompt_opens_the_uplink_when_the_room_is_quiet() -> None:
    state, effects = run(telling(listening()), ReplySilenced())
    assert of_type(SetUplink, effects) == []
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.SPEAKING
    _, effects = run(state, RINGS)
    assert effects[-2:] == [SetUplink(UplinkGate.SEND), ShowStatus(KioskStatus.LISTENING)]


def test_a_call_soon_after_a_stopped_prompt_waits_until_the_room_is_quiet() -> None:
    state, effects = run(telling(asleep()), ReplySilenced(), TalkBegan(), policy=HELD)
    assert of_type(SetUplink, effects) == []
    _, effects = run(state, RINGS, policy=HELD)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.HOLD)]


def test_a_reply_after_a_stopped_prompt_has_its_own_tail() -> None:
    state, _ = run(telling(listening()), ReplySilenced(), ReplyBegan(EPOCH, REPLY + 1))
    assert Timer.TAIL not in levels(state, HALF_DUPLEX).timers
    _, effects = run(state, Pressed())
    assert SetTimer(Timer.TAIL, HALF_DUPLEX.tail_s) in effects


def test_in_full_duplex_a_call_into_a_prompt_is_heard_at_once() -> None:
    state, effects = run(telling(asleep()), Pressed(), policy=FULL_DUPLEX)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.HOLD)]
    assert Timer.TAIL not in levels(state, FULL_DUPLEX).timers


# Prompts: a disk that cannot be written, which no visitor can mend

FULL = StorageFailed("No space left on device")
NO_SPACE = troubles.Trouble(Code.STORAGE, "No space left on device")


@pytest.mark.parametrize(
    "ending", [Pressed(), SleepRequested(), TimerFired(Timer.LONGEST), TimerFired(Timer.IDLE)]
)
def test_a_visitor_is_told_of_a_full_disk_after_the_chime_of_the_end(ending: Event) -> None:
    state, effects = run(listening(woken_by_person=True), FULL, ending)
    told = [effect for effect in effects if isinstance(effect, Chime | Prompt)]
    assert told == [Chime(Cue.END), Prompt(Code.STORAGE)]
    assert (state.prompt, state.turn.awake) == (Code.STORAGE, False)


@pytest.mark.parametrize("builder", [asleep, *AWAKE])
def test_a_visitor_is_not_told_of_a_full_disk_during_the_conversation(builder: Builder) -> None:
    assert of_type(Prompt, run(builder(woken_by_person=True), FULL)[1]) == []


@pytest.mark.parametrize(
    "call", [Pressed(), *(Woken(cause) for cause in WakeCause), TalkBegan(), TextSubmitted()]
)
def test_a_visitor_who_wakes_the_kiosk_is_not_told_of_a_full_disk(call: Event) -> None:
    state, effects = run(asleep(), FULL, call, ConnectionUp(EPOCH + 1, resumed=False))
    assert (state.turn.awake, of_type(Prompt, effects)) == (True, [])


def test_a_visitor_is_told_of_a_full_disk_once_in_a_conversation() -> None:
    state, effects = run(
        listening(woken_by_person=True), FULL, Pressed(), PromptOver(), FULL, StorageFailed(), FULL
    )
    state, more = run(state, Pressed(), ConnectionUp(EPOCH + 1, resumed=False), Pressed())
    assert of_type(Prompt, effects) == [Prompt(Code.STORAGE)]
    assert of_type(Prompt, more) == [Prompt(Code.STORAGE)]


def test_a_kiosk_in_an_empty_room_is_silent_about_a_full_disk() -> None:
    state, effects = run(State(), Started(), FULL, policy=ALWAYS_ON)
    for _ in range(3):
        state, more = run(state, TimerFired(Timer.LONGEST), TimerFired(Timer.AGAIN), policy=ALWAYS_ON)
        effects += more
    assert of_type(Prompt, effects) == []
    _, effects = run(state, VoiceBegan(), TimerFired(Timer.LONGEST), policy=ALWAYS_ON)
    assert of_type(Prompt, effects) == [Prompt(Code.STORAGE)]


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (Closing(Code.HOURS), [Prompt(Code.HOURS)]),
        (lost(Remedy.SETTINGS), [Prompt(Code.SETTINGS)]),
        (MuteRequested(), []),
    ],
)
def test_the_reason_of_the_end_is_told_in_place_of_a_full_disk(event: Event, told: list[Prompt]) -> None:
    _, effects = run(listening(woken_by_person=True), FULL, event)
    assert of_type(Prompt, effects) == told


def test_a_visitor_is_not_told_of_a_full_disk_during_an_outage() -> None:
    state, effects = run(listening(dialing(tries=3, code=Code.WAY), woken_by_person=True), FULL)
    assert levels(state, HALF_DUPLEX).show == ShowStatus(KioskStatus.OFFLINE, Code.WAY, more=(NO_SPACE,))
    assert of_type(Prompt, effects) == []


def test_an_always_on_kiosk_sleeps_until_the_prompt_is_over() -> None:
    state, _ = run(listening(woken_by_person=True), FULL, Pressed(), policy=ALWAYS_ON)
    assert levels(state, ALWAYS_ON).timers == {}
    state, effects = run(state, PromptOver(), policy=ALWAYS_ON)
    assert SetTimer(Timer.AGAIN, ALWAYS_ON.again_s) in effects


@pytest.mark.parametrize("press", [Pressed(), Woken(WakeCause.VOICE), TextSubmitted()])
def test_the_next_visitor_does_not_wait_for_the_prompt_to_the_last_one(press: Event) -> None:
    over, _ = run(listening(woken_by_person=True), FULL, Pressed())
    state, effects = run(over, press)
    assert state.turn.awake
    assert of_type(StopPrompt, effects) == [StopPrompt()]


# Chimes


@pytest.mark.parametrize(
    "call", [Pressed(), *(Woken(cause) for cause in WakeCause), TalkBegan(), SnapshotRequested()]
)
def test_a_call_is_answered_by_a_chime(call: Event) -> None:
    assert of_type(Chime, run(asleep(), call)[1]) == [Chime(Cue.WAKE)]


@pytest.mark.parametrize("event", [Started(), TimerFired(Timer.AGAIN), TextSubmitted()])
def test_a_wake_by_the_kiosk_or_a_program_has_no_chime(event: Event) -> None:
    state, effects = run(asleep(), event, policy=ALWAYS_ON)
    assert state.turn.awake
    assert of_type(Chime, effects) == []


def test_a_restored_conversation_has_no_chime() -> None:
    assert of_type(Chime, run(State(), Restored(7, HANDLE), Started())[1]) == []


@pytest.mark.parametrize(
    "ending", [Pressed(), SleepRequested(), TimerFired(Timer.LONGEST), TimerFired(Timer.IDLE)]
)
def test_the_end_of_a_conversation_chimes(ending: Event) -> None:
    assert of_type(Chime, run(listening(woken_by_person=True), ending)[1]) == [Chime(Cue.END)]


@pytest.mark.parametrize(("spoke", "chimes"), [(False, []), (True, [Chime(Cue.END)])])
def test_an_always_on_kiosk_chimes_at_the_end_only_after_a_visitor_has_spoken(
    spoke: bool, chimes: list[Chime]
) -> None:
    assert of_type(Chime, run(listening(spoke=spoke), TimerFired(Timer.IDLE), policy=ALWAYS_ON)[1]) == chimes


def test_a_conversation_ended_by_muting_has_only_the_chime_of_muting() -> None:
    assert of_type(Chime, run(listening(woken_by_person=True), MuteRequested())[1]) == [Chime(Cue.MUTE)]


# The lamp: codes, names, overlays, and their order


@pytest.mark.parametrize(
    ("events", "show"),
    [
        (
            (DeviceGone(Device.MICROPHONE, "Jabra"),),
            ShowStatus(KioskStatus.FAULT, Code.MICROPHONE, what="Jabra"),
        ),
        ((DeviceGone(Device.SPEAKER, "Dock"),), ShowStatus(KioskStatus.FAULT, Code.SPEAKER, what="Dock")),
        ((MicrophoneSilent(deaf=True),), ShowStatus(KioskStatus.FAULT, Code.DEAF)),
        ((MuteRequested(),), ShowStatus(KioskStatus.MUTED)),
        ((FULL,), ShowStatus(KioskStatus.ASLEEP, Code.STORAGE, what="No space left on device")),
        (
            (FULL, StorageFailed("Read-only file system")),
            ShowStatus(KioskStatus.ASLEEP, Code.STORAGE, what="Read-only file system"),
        ),
        ((FULL, StorageFailed()), ShowStatus(KioskStatus.ASLEEP)),
        ((FULL, MicrophoneSilent(deaf=True)), ShowStatus(KioskStatus.FAULT, Code.DEAF, more=(NO_SPACE,))),
        ((Closing(Code.BUDGET),), ShowStatus(KioskStatus.CLOSED, Code.BUDGET)),
    ],
)
def test_each_trouble_is_shown_with_its_code_and_name(events: tuple[Event, ...], show: ShowStatus) -> None:
    assert levels(run(asleep(), *events)[0], HALF_DUPLEX).show == show


@pytest.mark.parametrize("remedy", [Remedy.RESUME, Remedy.RESUME_LATER, Remedy.QUOTA, Remedy.CLOCK])
def test_an_outage_is_shown_with_its_code(remedy: Remedy) -> None:
    state, _ = run(listening(waiting()), RETRY, lost(remedy, EPOCH + 1))
    assert levels(state, HALF_DUPLEX).show == ShowStatus(KioskStatus.OFFLINE, CODES[remedy])


def test_every_remedy_has_a_code() -> None:
    assert set(CODES) == set(Remedy)


def test_a_connection_clears_the_code() -> None:
    state, _ = run(listening(waiting(code=Code.WAY)), RETRY, ConnectionUp(EPOCH + 1, resumed=True))
    assert (state.link.code, levels(state, HALF_DUPLEX).show) == (None, ShowStatus(KioskStatus.LISTENING))


def test_the_most_severe_of_several_faults_is_shown() -> None:
    """Each line mends the fault that came before all others."""
    state = replace(
        State(
            link=down(trouble=LinkTrouble.REFUSED), closed=Code.HOURS, deaf=True, unkept="full", refused="3:5"
        ),
        missing={Device.SPEAKER: ("s",), Device.MICROPHONE: ("m",)},
    )
    seen = [levels(state, HALF_DUPLEX).show]
    mends: tuple[dict[str, Any], ...] = (
        {"missing": {Device.SPEAKER: ("s",)}},
        {"missing": {}},
        {"deaf": False},
        {"link": Link()},
        {"started": True, "muted": True},
        {"muted": False},
        {"closed": None},
        {"unkept": ""},
        {"refused": ""},
    )
    for mended in mends:
        state = replace(state, **mended)
        seen.append(levels(state, HALF_DUPLEX).show)
    codes = [[str(each.code) for each in show.troubles] for show in seen]
    assert list(zip((str(show.shown) for show in seen), codes, strict=True)) == [
        ("fault", ["D1", "D3", "D2", "K1", "B2", "S1", "K2"]),
        ("fault", ["D3", "D2", "K1", "B2", "S1", "K2"]),
        ("fault", ["D2", "K1", "B2", "S1", "K2"]),
        ("fault", ["K1", "B2", "S1", "K2"]),
        ("starting", ["B2", "S1", "K2"]),
        ("muted", ["B2", "S1", "K2"]),
        ("closed", ["B2", "S1", "K2"]),
        ("asleep", ["S1", "K2"]),
        ("asleep", ["K2"]),
        ("asleep", []),
    ]


@pytest.mark.parametrize(
    ("what", "overlay"), [("mute", Overlay.ARMED_MUTE), ("restart", Overlay.ARMED_RESTART)]
)
@pytest.mark.parametrize("builder", [asleep, *AWAKE])
def test_an_armed_action_is_shown_over_any_state(builder: Builder, what: str, overlay: Overlay) -> None:
    shown = levels(builder(), HALF_DUPLEX).show
    state, effects = run(builder(), Armed(what))
    assert effects == [replace(shown, overlay=overlay)]
    assert run(state, Armed()) == (builder(), [shown])


def test_muting_clears_the_armed_action() -> None:
    state, _ = run(asleep(), Armed("mute"), MuteRequested())
    assert levels(state, HALF_DUPLEX).show == ShowStatus(KioskStatus.MUTED)


# A tool that waits for a press


@pytest.mark.parametrize("builder", [asleep, *AWAKE])
@pytest.mark.parametrize(
    "press",
    [(Pressed(),), (Woken(WakeCause.BUTTON),), (TalkBegan(), TalkEnded())],
    ids=["toggle", "wake", "hold"],
)
def test_a_press_allows_the_call_of_a_waiting_tool_and_does_nothing_else(
    builder: Builder, press: tuple[Event, ...]
) -> None:
    policy = HELD if TalkBegan() in press else HALF_DUPLEX
    shown = levels(builder(), policy).show
    asking, effects = run(builder(), ConfirmationRequested(wanted=True), policy=policy)
    assert effects == [replace(shown, overlay=Overlay.ASKING)]
    over = (*press, ConfirmationRequested(wanted=False))
    assert run(asking, *over, policy=policy) == (builder(), [Confirm(), shown])


@pytest.mark.parametrize(
    "event",
    [Woken(WakeCause.VOICE), Woken(WakeCause.REMOTE), SnapshotRequested(), ReplySilenced(), SleepRequested()],
)
@pytest.mark.parametrize("builder", [asleep, *AWAKE])
def test_other_events_do_not_allow_the_call_and_keep_their_effect(builder: Builder, event: Event) -> None:
    state, effects = run(builder(), ConfirmationRequested(wanted=True), event)
    assert of_type(Confirm, effects) == []
    assert (state.turn, state.confirming) == (run(builder(), event)[0].turn, True)


def test_a_press_has_no_other_effect_while_the_tool_waits() -> None:
    state, effects = run(thinking(), ConfirmationRequested(wanted=True), Pressed(), Pressed())
    assert effects[1:] == [Confirm(), Confirm()]
    assert (state.turn, state.confirming) == (thinking().turn, True)


def test_a_press_has_its_usual_effect_after_the_tool_stops_waiting() -> None:
    state, effects = run(
        listening(), ConfirmationRequested(wanted=True), ConfirmationRequested(wanted=False), Pressed()
    )
    assert of_type(Confirm, effects) == []
    assert not state.turn.awake


def test_a_waiting_tool_hides_the_armed_action() -> None:
    state, _ = run(listening(), Armed("mute"), ConfirmationRequested(wanted=True))
    assert levels(state, HALF_DUPLEX).show.overlay is Overlay.ASKING


ASKED = ConfirmationRequested(wanted=True, name="open_door", aloud=True)


def test_the_question_is_spoken_to_a_silent_visitor() -> None:
    state, effects = run(thinking(), ASKED)
    assert of_type(AskConfirmation, effects) == [AskConfirmation()]
    assert state.prompt == QUESTION


def test_the_question_is_not_spoken_over_a_voice_or_while_asleep() -> None:
    for begin in (listening(voice=True), asleep()):
        state, effects = run(begin, ASKED)
        assert of_type(AskConfirmation, effects) == []
        assert state.prompt is None


def test_a_reply_does_not_stop_the_question_but_its_answer_does() -> None:
    state, effects = run(thinking(), ASKED, ReplyBegan(EPOCH, REPLY))
    assert of_type(StopPrompt, effects) == []
    state, effects = run(thinking(), ASKED, ConfirmationRequested(wanted=False))
    assert of_type(StopPrompt, effects) == [StopPrompt()]
    assert state.prompt is None


def test_in_half_duplex_the_question_shuts_the_uplink() -> None:
    state, _ = run(listening(), ASKED, policy=HALF_DUPLEX)
    assert levels(state, HALF_DUPLEX).uplink is UplinkGate.SHUT
    state, _ = run(state, PromptOver(), policy=HALF_DUPLEX)
    assert levels(state, HALF_DUPLEX).uplink is not UplinkGate.SHUT
