"""What a person hears and sees of the kiosk itself: prompts, chimes, the lamp's codes and what lies on top of them."""

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
    """Return a conversation whose dials end so, one after the other, for long, and what was done on the way.

    `reached`: the service answered each of them.
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
def test_what_was_reached_is_called_by_no_other_code_than_what_was_not_but_for_the_way(
    remedy: Remedy,
) -> None:
    answered = code_of(remedy, reached=True)
    assert answered is (Code.SERVICE if CODES[remedy] is Code.WAY else CODES[remedy])
    assert code_of(remedy, reached=False) is CODES[remedy]


def test_an_outage_that_changes_its_reason_is_still_one_outage() -> None:
    _, effects = outage(*[Remedy.RESUME, Remedy.RESUME_LATER] * 4)
    assert len(of_type(Prompt, effects)) == 1


def test_the_next_conversation_is_told_again() -> None:
    state, _ = outage(*[Remedy.RESUME] * 3)
    state, _ = run(state, PromptOver(), SleepRequested(), Pressed())
    effects: list[Effect] = []
    for _ in range(3):
        state, more = run(state, lost(epoch=state.link.epoch), RETRY, *LATE)
        effects += more
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]


def test_one_loss_is_nobodys_business() -> None:
    assert of_type(Prompt, outage(Remedy.RESUME)[1]) == []


def test_an_outage_is_told_when_the_visitor_has_waited_for_long() -> None:
    state, effects = run(listening(woken_by_person=True), lost())
    for _ in range(2):
        state, more = run(state, lost(epoch=state.link.epoch), RETRY)
        effects += more
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.OFFLINE
    assert of_type(Prompt, effects) == []
    assert [clock for clock in of_type(SetTimer, effects) if clock.timer is Timer.LATE] == [
        SetTimer(Timer.LATE, LONG_S)
    ], "and it runs on"
    assert of_type(Prompt, run(state, *LATE)[1]) == [Prompt(Code.WAY)]


def test_a_dial_that_hangs_after_a_loss_is_told_too() -> None:
    _, effects = run(listening(woken_by_person=True), lost(), *LATE)
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]


def test_each_outage_of_a_conversation_is_given_as_long() -> None:
    state, _ = run(listening(woken_by_person=True), lost(), *LATE)
    state, _ = run(state, ConnectionUp(state.link.epoch, resumed=True))
    assert not state.link.late
    assert Timer.LATE not in levels(state, HALF_DUPLEX).timers
    assert levels(run(state, lost(epoch=state.link.epoch))[0], HALF_DUPLEX).timers[Timer.LATE] == LONG_S


@pytest.mark.parametrize("remedy", [Remedy.QUOTA, Remedy.CLOCK])
def test_a_long_wait_is_told_at_once(remedy: Remedy) -> None:
    assert of_type(Prompt, outage(remedy)[1]) == [Prompt(CODES[remedy])]


def test_nobody_is_told_where_nobody_has_called_or_spoken() -> None:
    state, effects = outage(*[Remedy.RESUME] * 3, woken_by_person=False)
    assert of_type(Prompt, effects) == []
    assert of_type(Prompt, run(state, VoiceBegan(), VoiceEnded())[1]) == [Prompt(Code.WAY)]


def test_an_always_on_kiosk_in_an_empty_room_is_silent_about_it() -> None:
    state, effects = run(State(), Started(), policy=ALWAYS_ON)
    for _ in range(5):
        state, more = run(state, lost(epoch=state.link.epoch), RETRY, policy=ALWAYS_ON)
        effects += more
    _, more = run(state, lost(Remedy.SETTINGS, state.link.epoch), policy=ALWAYS_ON)
    assert of_type(Prompt, effects + more) + of_type(Chime, effects + more) == []


def test_a_reply_that_still_sounds_is_heard_before_the_outage_is_told() -> None:
    state, effects = run(
        speaking(waiting(code=Code.WAY, late=True), woken_by_person=True),
        lost(epoch=EPOCH),
        ReplyPlayed(REPLY),
        policy=FULL_DUPLEX,
    )
    assert levels(state, FULL_DUPLEX).shown is KioskStatus.OFFLINE
    assert len(of_type(Prompt, effects)) == 1


def test_who_is_talking_is_told_of_an_outage_when_they_have_finished() -> None:
    state, effects = outage(*[Remedy.RESUME] * 3, voice=True)
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.OFFLINE
    assert of_type(Prompt, effects) == []
    _, effects = run(state, VoiceEnded())
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]


def test_who_talks_by_holding_a_button_is_told_of_an_outage_when_they_let_it_go() -> None:
    state, effects = run(asleep(), TalkBegan(), policy=HELD)
    for _ in range(4):
        state, more = run(state, lost(epoch=state.link.epoch), RETRY, *LATE, policy=HELD)
        effects += more
    assert of_type(Prompt, effects) == []
    assert levels(state, HELD).uplink is UplinkGate.HOLD
    _, effects = run(state, TalkEnded(), policy=HELD)
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]


def test_who_talks_through_an_outage_is_never_told_of_it() -> None:
    state, _ = outage(*[Remedy.RESUME] * 3, voice=True)
    _, effects = run(state, ConnectionUp(state.link.epoch, resumed=True), VoiceEnded())
    assert of_type(Prompt, effects) == []


# Prompts: the end of a conversation, and calls that come to nothing


@pytest.mark.parametrize("remedy", [Remedy.SETTINGS, Remedy.STOP])
def test_a_refused_conversation_ends_with_its_code(remedy: Remedy) -> None:
    _, effects = run(listening(dialing(), woken_by_person=True), lost(remedy))
    assert of_type(Prompt, effects) == [Prompt(Code.SETTINGS)]
    assert of_type(Chime, effects) == [Chime(Cue.ERROR)]
    assert effects[-1] == ShowStatus(KioskStatus.FAULT, Code.SETTINGS)


def test_each_try_that_is_refused_is_told() -> None:
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
def test_who_calls_a_kiosk_that_cannot_serve_is_told_why(call: Event, trouble: Event, code: Code) -> None:
    broken, _ = run(asleep(), trouble)
    state, effects = run(broken, call)
    assert not state.turn.awake
    assert of_type(Prompt, effects) == [Prompt(code)]
    assert of_type(Dial, effects) + of_type(Chime, effects) == []


def test_a_kiosk_without_its_speaker_tells_nobody_anything() -> None:
    broken, _ = run(asleep(), DeviceGone(Device.SPEAKER, "Jabra"))
    assert run(broken, Pressed()) == (broken, [])


@pytest.mark.parametrize("event", [Started(), TimerFired(Timer.AGAIN)])
def test_a_broken_kiosk_does_not_wake_by_itself(event: Event) -> None:
    broken, _ = run(asleep(), DeviceGone(Device.MICROPHONE), policy=ALWAYS_ON)
    assert run(broken, event, policy=ALWAYS_ON) == (broken, [])
    assert levels(broken, ALWAYS_ON).timers == {}


def test_a_microphone_lost_in_mid_conversation_is_told_and_the_conversation_goes_on() -> None:
    state, effects = run(listening(woken_by_person=True), DeviceGone(Device.MICROPHONE, "Jabra"))
    assert state.turn.awake
    assert of_type(Prompt, effects) == [Prompt(Code.MICROPHONE)]
    state, effects = run(state, PromptOver(), DeviceCame(Device.MICROPHONE))
    assert effects[-1] == ShowStatus(KioskStatus.LISTENING)


@pytest.mark.parametrize("trouble", [DeviceGone(Device.MICROPHONE, "Jabra"), MicrophoneSilent(deaf=True)])
def test_who_talks_into_a_microphone_that_hears_nothing_is_told_at_once(trouble: Event) -> None:
    assert len(of_type(Prompt, run(listening(woken_by_person=True, voice=True), trouble)[1])) == 1


# Prompts: one at a time, and never in the way


def telling(state: State, code: Code = Code.WAY) -> State:
    """Return `state` while the visitor is told of `code`."""
    return replace(state, prompt=code, told=frozenset({code}))


def test_a_prompt_gives_way_to_the_next_one() -> None:
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


def test_a_prompt_that_is_not_true_any_more_is_shown_as_what_it_is() -> None:
    state, effects = run(telling(listening(dialing(tries=9))), ConnectionUp(EPOCH, resumed=True))
    assert of_type(StopPrompt, effects) == []
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.SPEAKING
    assert levels(run(state, PromptOver())[0], HALF_DUPLEX).shown is KioskStatus.LISTENING


@pytest.mark.parametrize("event", HUSHES)
@pytest.mark.parametrize("builder", [asleep, listening])
def test_a_prompt_gives_way_to_whoever_has_something_to_say(event: Event, builder: Builder) -> None:
    state, effects = run(telling(builder()), event)
    assert of_type(StopPrompt, effects) == [StopPrompt()]
    assert state.prompt is None


@pytest.mark.parametrize("event", [VoiceBegan(), Started(), ConnectionUp(EPOCH, resumed=True), Armed("mute")])
def test_a_prompt_does_not_give_way_to_anything_else(event: Event) -> None:
    assert run(telling(listening(waiting(tries=9))), event)[0].prompt is Code.WAY


def test_a_prompt_that_was_heard_is_not_hushed_afterwards() -> None:
    _, effects = run(telling(listening(waiting(tries=9), woken_by_person=True)), PromptOver(), Pressed())
    assert of_type(StopPrompt, effects) == []


@pytest.mark.parametrize("builder", [asleep, listening])
def test_a_prompt_that_nobody_can_hear_any_more_is_over(builder: Builder) -> None:
    state, effects = run(telling(builder()), DeviceGone(Device.SPEAKER, "Dock"))
    assert of_type(StopPrompt, effects) == [StopPrompt()]
    assert state.prompt is None
    assert run(telling(builder()), DeviceGone(Device.MICROPHONE, "Jabra"))[0].prompt is not None


@pytest.mark.parametrize("builder", [asleep, *AWAKE])
def test_half_duplex_hears_nothing_while_it_tells(builder: Builder) -> None:
    assert levels(telling(builder()), HALF_DUPLEX).uplink is UplinkGate.SHUT
    uplink = levels(builder(), FULL_DUPLEX).uplink
    assert levels(telling(builder()), FULL_DUPLEX).uplink is uplink


def test_half_duplex_hears_again_when_it_has_told() -> None:
    _, effects = run(telling(listening()), PromptOver())
    assert effects == [SetUplink(UplinkGate.SEND), ShowStatus(KioskStatus.LISTENING)]


RINGS = TimerFired(Timer.TAIL)


@pytest.mark.parametrize(
    "event", [Pressed(), Woken(WakeCause.REMOTE), TalkBegan(), TextSubmitted(), SnapshotRequested()]
)
def test_half_duplex_hears_who_calls_into_a_prompt_when_the_room_is_quiet(event: Event) -> None:
    state, effects = run(telling(asleep()), event)
    assert of_type(SetUplink, effects) == []
    assert SetTimer(Timer.TAIL, HALF_DUPLEX.tail_s) in effects
    state, effects = run(state, ConnectionUp(EPOCH + 1, resumed=False))
    assert of_type(SetUplink, effects) == []
    _, effects = run(state, RINGS)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND)]


def test_half_duplex_hears_again_after_a_hushed_prompt_when_the_room_is_quiet() -> None:
    state, effects = run(telling(listening()), ReplySilenced())
    assert of_type(SetUplink, effects) == []
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.SPEAKING
    _, effects = run(state, RINGS)
    assert effects[-2:] == [SetUplink(UplinkGate.SEND), ShowStatus(KioskStatus.LISTENING)]


def test_who_comes_soon_after_a_hushed_prompt_waits_for_the_same_quiet() -> None:
    state, effects = run(telling(asleep()), ReplySilenced(), TalkBegan(), policy=HELD)
    assert of_type(SetUplink, effects) == []
    _, effects = run(state, RINGS, policy=HELD)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.HOLD)]


def test_a_reply_in_place_of_a_prompt_has_a_quiet_of_its_own() -> None:
    state, _ = run(telling(listening()), ReplySilenced(), ReplyBegan(EPOCH, REPLY + 1))
    assert Timer.TAIL not in levels(state, HALF_DUPLEX).timers
    _, effects = run(state, Pressed())
    assert SetTimer(Timer.TAIL, HALF_DUPLEX.tail_s) in effects


def test_full_duplex_hears_who_calls_into_a_prompt_at_once() -> None:
    state, effects = run(telling(asleep()), Pressed(), policy=FULL_DUPLEX)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.HOLD)]
    assert Timer.TAIL not in levels(state, FULL_DUPLEX).timers


# Prompts: what cannot be kept, which is no visitor's trouble

FULL = StorageFailed("No space left on device")
NO_SPACE = troubles.Trouble(Code.STORAGE, "No space left on device")


@pytest.mark.parametrize(
    "ending", [Pressed(), SleepRequested(), TimerFired(Timer.LONGEST), TimerFired(Timer.IDLE)]
)
def test_a_visitor_is_told_of_the_disk_when_the_conversation_is_over_after_its_chime(ending: Event) -> None:
    state, effects = run(listening(woken_by_person=True), FULL, ending)
    told = [effect for effect in effects if isinstance(effect, Chime | Prompt)]
    assert told == [Chime(Cue.END), Prompt(Code.STORAGE)]
    assert (state.prompt, state.turn.awake) == (Code.STORAGE, False)


@pytest.mark.parametrize("builder", [asleep, *AWAKE])
def test_a_visitor_who_is_served_is_not_told_of_the_disk(builder: Builder) -> None:
    assert of_type(Prompt, run(builder(woken_by_person=True), FULL)[1]) == []


@pytest.mark.parametrize(
    "call", [Pressed(), *(Woken(cause) for cause in WakeCause), TalkBegan(), TextSubmitted()]
)
def test_who_comes_to_be_served_is_not_told_of_the_disk(call: Event) -> None:
    state, effects = run(asleep(), FULL, call, ConnectionUp(EPOCH + 1, resumed=False))
    assert (state.turn.awake, of_type(Prompt, effects)) == (True, [])


def test_each_conversation_is_told_of_the_disk_once() -> None:
    state, effects = run(
        listening(woken_by_person=True), FULL, Pressed(), PromptOver(), FULL, StorageFailed(), FULL
    )
    state, more = run(state, Pressed(), ConnectionUp(EPOCH + 1, resumed=False), Pressed())
    assert of_type(Prompt, effects) == [Prompt(Code.STORAGE)]
    assert of_type(Prompt, more) == [Prompt(Code.STORAGE)]


def test_an_empty_room_is_not_told_of_the_disk() -> None:
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
def test_an_end_that_has_a_reason_of_its_own_tells_that(event: Event, told: list[Prompt]) -> None:
    _, effects = run(listening(woken_by_person=True), FULL, event)
    assert of_type(Prompt, effects) == told


def test_in_an_outage_it_is_not_the_disk_that_a_visitor_is_told_of() -> None:
    state, effects = run(listening(dialing(tries=3, code=Code.WAY), woken_by_person=True), FULL)
    assert levels(state, HALF_DUPLEX).show == ShowStatus(KioskStatus.OFFLINE, Code.WAY, more=(NO_SPACE,))
    assert of_type(Prompt, effects) == []


def test_an_always_on_kiosk_sleeps_until_it_has_told() -> None:
    state, _ = run(listening(woken_by_person=True), FULL, Pressed(), policy=ALWAYS_ON)
    assert levels(state, ALWAYS_ON).timers == {}
    state, effects = run(state, PromptOver(), policy=ALWAYS_ON)
    assert SetTimer(Timer.AGAIN, ALWAYS_ON.again_s) in effects


@pytest.mark.parametrize("press", [Pressed(), Woken(WakeCause.VOICE), TextSubmitted()])
def test_the_next_visitor_does_not_wait_for_what_the_last_one_is_told(press: Event) -> None:
    over, _ = run(listening(woken_by_person=True), FULL, Pressed())
    state, effects = run(over, press)
    assert state.turn.awake
    assert of_type(StopPrompt, effects) == [StopPrompt()]


# Chimes


@pytest.mark.parametrize(
    "call", [Pressed(), *(Woken(cause) for cause in WakeCause), TalkBegan(), SnapshotRequested()]
)
def test_who_calls_is_answered_by_a_chime(call: Event) -> None:
    assert of_type(Chime, run(asleep(), call)[1]) == [Chime(Cue.WAKE)]


@pytest.mark.parametrize("event", [Started(), TimerFired(Timer.AGAIN), TextSubmitted()])
def test_no_chime_answers_a_kiosk_or_a_program(event: Event) -> None:
    state, effects = run(asleep(), event, policy=ALWAYS_ON)
    assert state.turn.awake
    assert of_type(Chime, effects) == []


def test_a_restored_conversation_chimes_for_nobody() -> None:
    assert of_type(Chime, run(State(), Restored(7, HANDLE), Started())[1]) == []


@pytest.mark.parametrize(
    "ending", [Pressed(), SleepRequested(), TimerFired(Timer.LONGEST), TimerFired(Timer.IDLE)]
)
def test_the_end_of_a_conversation_chimes(ending: Event) -> None:
    assert of_type(Chime, run(listening(woken_by_person=True), ending)[1]) == [Chime(Cue.END)]


@pytest.mark.parametrize(("spoke", "chimes"), [(False, []), (True, [Chime(Cue.END)])])
def test_an_always_on_kiosk_chimes_only_for_who_was_there(spoke: bool, chimes: list[Chime]) -> None:
    assert of_type(Chime, run(listening(spoke=spoke), TimerFired(Timer.IDLE), policy=ALWAYS_ON)[1]) == chimes


def test_a_conversation_that_muting_ends_says_mute_and_nothing_else() -> None:
    assert of_type(Chime, run(listening(woken_by_person=True), MuteRequested())[1]) == [Chime(Cue.MUTE)]


# The lamp: codes, names, overlays, and what goes before what


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
def test_what_is_wrong_is_shown_with_its_code_and_its_name(
    events: tuple[Event, ...], show: ShowStatus
) -> None:
    assert levels(run(asleep(), *events)[0], HALF_DUPLEX).show == show


@pytest.mark.parametrize("remedy", [Remedy.RESUME, Remedy.RESUME_LATER, Remedy.QUOTA, Remedy.CLOCK])
def test_an_outage_is_shown_with_its_code(remedy: Remedy) -> None:
    state, _ = run(listening(waiting()), RETRY, lost(remedy, EPOCH + 1))
    assert levels(state, HALF_DUPLEX).show == ShowStatus(KioskStatus.OFFLINE, CODES[remedy])


def test_every_way_to_lose_the_service_has_a_code() -> None:
    assert set(CODES) == set(Remedy)


def test_the_code_goes_when_the_service_is_reached() -> None:
    state, _ = run(listening(waiting(code=Code.WAY)), RETRY, ConnectionUp(EPOCH + 1, resumed=True))
    assert (state.link.code, levels(state, HALF_DUPLEX).show) == (None, ShowStatus(KioskStatus.LISTENING))


def test_of_several_faults_the_one_that_must_be_mended_first_is_shown() -> None:
    """Each line undoes the fault that went before all the others."""
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
def test_what_a_long_hold_arms_lies_on_top_of_any_state(
    builder: Builder, what: str, overlay: Overlay
) -> None:
    shown = levels(builder(), HALF_DUPLEX).show
    state, effects = run(builder(), Armed(what))
    assert effects == [replace(shown, overlay=overlay)]
    assert run(state, Armed()) == (builder(), [shown])


def test_muting_disarms() -> None:
    state, _ = run(asleep(), Armed("mute"), MuteRequested())
    assert levels(state, HALF_DUPLEX).show == ShowStatus(KioskStatus.MUTED)


# A tool that waits for a press


@pytest.mark.parametrize("builder", [asleep, *AWAKE])
@pytest.mark.parametrize(
    "press",
    [(Pressed(),), (Woken(WakeCause.BUTTON),), (TalkBegan(), TalkEnded())],
    ids=["toggle", "wake", "hold"],
)
def test_a_press_allows_what_a_tool_asks_for_and_does_nothing_else(
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
def test_whatever_is_no_press_to_say_yes_allows_nothing_and_does_what_it_does(
    builder: Builder, event: Event
) -> None:
    state, effects = run(builder(), ConfirmationRequested(wanted=True), event)
    assert of_type(Confirm, effects) == []
    assert (state.turn, state.confirming) == (run(builder(), event)[0].turn, True)


def test_a_press_means_nothing_else_for_as_long_as_the_tool_waits() -> None:
    state, effects = run(thinking(), ConfirmationRequested(wanted=True), Pressed(), Pressed())
    assert effects[1:] == [Confirm(), Confirm()]
    assert (state.turn, state.confirming) == (thinking().turn, True)


def test_a_tool_that_asks_no_more_leaves_the_press_its_meaning() -> None:
    state, effects = run(
        listening(), ConfirmationRequested(wanted=True), ConfirmationRequested(wanted=False), Pressed()
    )
    assert of_type(Confirm, effects) == []
    assert not state.turn.awake


def test_asking_is_shown_before_what_a_hold_arms() -> None:
    state, _ = run(listening(), Armed("mute"), ConfirmationRequested(wanted=True))
    assert levels(state, HALF_DUPLEX).show.overlay is Overlay.ASKING


ASKED = ConfirmationRequested(wanted=True, name="open_door", aloud=True)


def test_a_question_is_said_to_a_visitor_who_listens() -> None:
    state, effects = run(thinking(), ASKED)
    assert of_type(AskConfirmation, effects) == [AskConfirmation()]
    assert state.prompt == QUESTION


def test_a_question_is_not_said_over_a_visitor_who_speaks_nor_to_an_empty_room() -> None:
    for begin in (listening(voice=True), asleep()):
        state, effects = run(begin, ASKED)
        assert of_type(AskConfirmation, effects) == []
        assert state.prompt is None


def test_a_reply_that_begins_does_not_end_the_question_and_a_press_does() -> None:
    state, effects = run(thinking(), ASKED, ReplyBegan(EPOCH, REPLY))
    assert of_type(StopPrompt, effects) == []
    state, effects = run(thinking(), ASKED, ConfirmationRequested(wanted=False))
    assert of_type(StopPrompt, effects) == [StopPrompt()]
    assert state.prompt is None


def test_the_microphone_is_shut_while_the_question_is_said_where_it_would_hear_it() -> None:
    state, _ = run(listening(), ASKED, policy=HALF_DUPLEX)
    assert levels(state, HALF_DUPLEX).uplink is UplinkGate.SHUT
    state, _ = run(state, PromptOver(), policy=HALF_DUPLEX)
    assert levels(state, HALF_DUPLEX).uplink is not UplinkGate.SHUT
