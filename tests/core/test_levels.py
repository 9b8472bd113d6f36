"""The levels of each state: the gate, the shown status, the timers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.core import (
    ALWAYS_ON,
    AWAKE,
    BARGING_IN,
    CONNECTED,
    EPOCH,
    EVERY_POLICY,
    EVERY_STATE,
    FULL_DUPLEX,
    HALF_DUPLEX,
    HANDLE,
    HELD,
    REACHED_FOR,
    REPLY,
    asleep,
    dialing,
    down,
    draining,
    listening,
    lost,
    of_type,
    probing,
    refused,
    reverberating,
    run,
    speaking,
    thinking,
    up,
    waiting,
)

from kioskd.core.effects import (
    Dial,
    KeepHandle,
    KioskStatus,
    SetCamera,
    SetTimer,
    SetUplink,
    ShowStatus,
    UplinkGate,
)
from kioskd.core.events import (
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    Pressed,
    ReplyInterrupted,
    ReplyPlayed,
    Restored,
    Started,
    Timer,
    TimerFired,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.levels import LONG_S
from kioskd.core.link_state import Link, LinkTrouble
from kioskd.core.machine import State, levels
from kioskd.core.policy import CameraMode, Policy
from kioskd.errors import Code, Remedy

Builder = Callable[..., State]
LinkBuilder = Callable[..., Link]

# Levels: the uplink


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_a_kiosk_asleep_keeps_only_the_preroll(policy: Policy) -> None:
    assert levels(asleep(), policy).uplink is UplinkGate.PREROLL


@pytest.mark.parametrize("builder", [listening, thinking])
@pytest.mark.parametrize("link", CONNECTED)
def test_speech_is_sent(builder: Builder, link: LinkBuilder) -> None:
    assert levels(builder(link()), HALF_DUPLEX).uplink is UplinkGate.SEND


@pytest.mark.parametrize("builder", [listening, thinking])
@pytest.mark.parametrize("link", [dialing, waiting])
def test_speech_without_a_connection_is_held(builder: Builder, link: LinkBuilder) -> None:
    assert levels(builder(link()), HALF_DUPLEX).uplink is UplinkGate.HOLD


@pytest.mark.parametrize("builder", [speaking, reverberating])
@pytest.mark.parametrize("link", REACHED_FOR)
def test_half_duplex_shuts_the_uplink_while_the_kiosk_can_be_heard(
    builder: Builder, link: LinkBuilder
) -> None:
    assert levels(builder(link()), HALF_DUPLEX).uplink is UplinkGate.SHUT


def test_half_duplex_keeps_the_uplink_shut_after_a_silenced_reply_until_the_room_is_quiet() -> None:
    for silencing in (Pressed(), ReplyInterrupted(EPOCH, REPLY)):
        state, effects = run(speaking(), silencing)
        assert of_type(SetUplink, effects) == []
        assert of_type(SetUplink, run(state, TimerFired(Timer.TAIL))[1]) == [SetUplink(UplinkGate.SEND)]


@pytest.mark.parametrize(("link", "uplink"), [(up, UplinkGate.SEND), (waiting, UplinkGate.HOLD)])
def test_full_duplex_never_shuts_the_uplink(link: LinkBuilder, uplink: UplinkGate) -> None:
    assert levels(speaking(link()), FULL_DUPLEX).uplink is uplink


def test_half_duplex_opens_the_uplink_only_after_the_tail() -> None:
    state, effects = run(speaking(), ReplyPlayed(REPLY))
    assert effects == [SetTimer(Timer.TAIL, HALF_DUPLEX.tail_s)]
    _, effects = run(state, TimerFired(Timer.TAIL))
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND)]


@pytest.mark.parametrize("policy", [BARGING_IN, HELD])
@pytest.mark.parametrize("link", REACHED_FOR)
def test_the_uplink_pauses_between_utterances_if_only_speech_is_sent(
    policy: Policy, link: LinkBuilder
) -> None:
    assert levels(listening(link()), policy).uplink is UplinkGate.PAUSED
    uplink = levels(listening(link(), voice=True), policy).uplink
    assert uplink is (UplinkGate.SEND if link in CONNECTED else UplinkGate.HOLD)


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_a_muted_kiosk_asleep_does_not_pause_the_uplink(policy: Policy) -> None:
    assert levels(replace(asleep(), muted=True), policy).uplink is UplinkGate.PREROLL


# Levels: the camera


@pytest.mark.parametrize("builder", AWAKE)
@pytest.mark.parametrize("voice", [False, True])
@pytest.mark.parametrize(
    ("camera", "when"),
    [(CameraMode.NEVER, "never"), (CameraMode.CONVERSATION, "always"), (CameraMode.SPEECH, "speech")],
)
def test_the_camera_runs_in_the_owners_camera_mode(
    builder: Builder, voice: bool, camera: CameraMode, when: str
) -> None:
    wanted = {"never": False, "always": True, "speech": voice}[when]
    assert levels(builder(voice=voice), Policy(half_duplex=False, camera=camera)).camera is wanted


@pytest.mark.parametrize("camera", CameraMode)
def test_the_camera_never_runs_asleep(camera: CameraMode) -> None:
    assert levels(asleep(), Policy(camera=camera)).camera is False


def test_the_camera_is_ordered_once_to_start_and_once_to_stop() -> None:
    policy = Policy(camera=CameraMode.CONVERSATION)
    _, effects = run(asleep(), Pressed(), VoiceBegan(), VoiceEnded(), Pressed(), policy=policy)
    assert of_type(SetCamera, effects) == [SetCamera(open=True), SetCamera(open=False)]


# Levels: the speaker


@pytest.mark.parametrize("builder", [listening, thinking, speaking, reverberating])
def test_the_speaker_is_ready_in_a_conversation(builder: Builder) -> None:
    assert levels(builder(), Policy()).speaker is True


def test_the_speaker_may_pause_asleep() -> None:
    assert levels(asleep(), Policy()).speaker is False


# Levels: the shown status


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (State(), KioskStatus.STARTING),
        (asleep(), KioskStatus.ASLEEP),
        (listening(), KioskStatus.LISTENING),
        (listening(draining()), KioskStatus.LISTENING),
        (listening(voice=True), KioskStatus.LISTENING),
        (thinking(), KioskStatus.THINKING),
        (speaking(), KioskStatus.SPEAKING),
        (reverberating(), KioskStatus.SPEAKING),
        (listening(dialing()), KioskStatus.WAKING),
        (thinking(dialing()), KioskStatus.WAKING),
        (listening(dialing(tries=1)), KioskStatus.WAKING),
        (listening(waiting(tries=1)), KioskStatus.WAKING),
        (listening(dialing(tries=2)), KioskStatus.OFFLINE),
        (refused(), KioskStatus.FAULT),
        (probing(), KioskStatus.FAULT),
        (State(asleep().turn, down(trouble=LinkTrouble.UNREACHED), started=True), KioskStatus.ASLEEP),
        (State(asleep().turn, probing().link), KioskStatus.FAULT),
        (listening(dialing(trouble=LinkTrouble.REFUSED)), KioskStatus.WAKING),
        (thinking(waiting(tries=2)), KioskStatus.OFFLINE),
    ],
)
def test_each_state_has_its_shown_status(state: State, shown: KioskStatus) -> None:
    assert levels(state, HALF_DUPLEX).shown is shown


@pytest.mark.parametrize(
    "link",
    [
        dialing(reached_service=True),
        dialing(reached_service=True, tries=1),
        waiting(reached_service=True, tries=1),
    ],
)
def test_a_rollover_or_a_single_loss_is_not_shown(link: Link) -> None:
    assert levels(listening(link), HALF_DUPLEX).shown is KioskStatus.LISTENING
    assert levels(thinking(link), HALF_DUPLEX).shown is KioskStatus.THINKING


def test_a_restored_conversation_is_not_shown_as_waking() -> None:
    state, _ = run(State(), Restored(7, HANDLE), Started())
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.LISTENING


@pytest.mark.parametrize("remedy", [Remedy.QUOTA, Remedy.CLOCK])
def test_a_long_wait_shows_offline_even_after_one_loss(remedy: Remedy) -> None:
    assert levels(run(listening(), lost(remedy))[0], HALF_DUPLEX).shown is KioskStatus.OFFLINE


def test_a_service_reached_and_lost_again_shows_offline() -> None:
    assert levels(listening(waiting(reached_service=True, tries=2)), HALF_DUPLEX).shown is KioskStatus.OFFLINE


@pytest.mark.parametrize("builder", [speaking, reverberating])
def test_a_reply_that_still_sounds_is_shown_before_an_outage(builder: Builder) -> None:
    assert levels(builder(waiting(tries=9)), HALF_DUPLEX).shown is KioskStatus.SPEAKING


@pytest.mark.parametrize("state", EVERY_STATE)
@pytest.mark.parametrize("device", [Device.MICROPHONE, Device.SPEAKER])
def test_a_missing_microphone_or_speaker_is_a_fault_in_every_state(state: State, device: Device) -> None:
    state = replace(state, muted=False, missing={device: ("the one",)})
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.FAULT


@pytest.mark.parametrize("trouble", [{"missing": {Device.MICROPHONE: ("the one",)}}, {"deaf": True}])
def test_a_muted_kiosk_needs_no_microphone(trouble: dict[str, Any]) -> None:
    assert levels(replace(asleep(), muted=True, **trouble), HALF_DUPLEX).shown is KioskStatus.MUTED


def test_a_fault_lasts_until_the_last_missing_device_is_back() -> None:
    state, _ = run(asleep(), DeviceGone(Device.MICROPHONE), DeviceGone(Device.SPEAKER))
    state, effects = run(state, DeviceCame(Device.SPEAKER))
    assert effects == [ShowStatus(KioskStatus.FAULT, Code.MICROPHONE)]
    assert run(state, DeviceCame(Device.MICROPHONE)) == (asleep(), [ShowStatus(KioskStatus.ASLEEP)])


def test_a_device_gone_twice_comes_back_once() -> None:
    gone = DeviceGone(Device.MICROPHONE)
    assert run(asleep(), gone, gone, DeviceCame(Device.MICROPHONE))[0] == asleep()


def test_a_refusal_is_shown_before_the_start() -> None:
    assert levels(State(link=down(trouble=LinkTrouble.REFUSED)), HALF_DUPLEX).shown is KioskStatus.FAULT


def test_the_start_is_shown() -> None:
    assert run(State(), Started()) == (State(started=True), [ShowStatus(KioskStatus.ASLEEP)])


# Levels: the resumption


@pytest.mark.parametrize("builder", AWAKE)
@pytest.mark.parametrize("link", REACHED_FOR)
def test_the_handle_is_stored_in_every_phase_of_the_link(builder: Builder, link: LinkBuilder) -> None:
    state = builder(link(handle=HANDLE), conversation=7)
    assert levels(state, HALF_DUPLEX).resumption == KeepHandle(7, HANDLE)
    assert levels(builder(link()), HALF_DUPLEX).resumption is None


@pytest.mark.parametrize("state", [State(), asleep(), refused(), probing()])
def test_a_kiosk_asleep_stores_no_handle(state: State) -> None:
    assert levels(state, HALF_DUPLEX).resumption is None


# Levels: the timers


T = Timer


@pytest.mark.parametrize(
    ("state", "timers"),
    [
        (State(), set()),
        (asleep(), set()),
        (listening(), {T.IDLE, T.LONGEST, T.AGE}),
        (listening(voice=True), {T.LONGEST, T.AGE}),
        (thinking(), {T.THINK, T.LONGEST, T.AGE}),
        (speaking(), {T.LONGEST, T.AGE}),
        (speaking(overtime=True), {T.GRACE, T.AGE}),
        (reverberating(), {T.TAIL, T.LONGEST, T.AGE}),
        (listening(dialing()), {T.IDLE, T.LONGEST}),
        (listening(dialing(tries=1)), {T.IDLE, T.LONGEST, T.LATE}),
        (listening(dialing(tries=1, late=True)), {T.IDLE, T.LONGEST}),
        (listening(up(tries=1)), {T.IDLE, T.LONGEST, T.AGE, T.STEADY}),
        (listening(up(rollovers_in_a_row=1)), {T.IDLE, T.LONGEST, T.AGE, T.STEADY}),
        (listening(dialing(tries=1, rollovers_in_a_row=1)), {T.IDLE, T.LONGEST, T.LATE}),
        (thinking(draining()), {T.THINK, T.LONGEST, T.ROLLOVER}),
        (thinking(draining(tries=1)), {T.THINK, T.LONGEST, T.ROLLOVER, T.STEADY}),
        (listening(waiting()), {T.IDLE, T.LONGEST, T.RETRY, T.LATE}),
        (refused(), {T.PROBE}),
        (probing(), set()),
    ],
)
def test_each_state_has_its_timers(state: State, timers: set[Timer]) -> None:
    assert set(levels(state, HALF_DUPLEX).timers) == timers


def test_each_timer_has_the_seconds_of_the_policy_or_the_state() -> None:
    policy = Policy(
        always_on=True,
        idle_s=1,
        longest_s=2,
        think_s=3,
        tail_s=4,
        grace_s=5,
        again_s=6,
        refused_s=7,
        steady_s=8,
        age_s=9,
        unreached_s=12,
    )
    states = (
        asleep(), listening(up(tries=1)), thinking(draining(rollover_s=10.0)),
        speaking(waiting(retry_s=11.0), overtime=True), reverberating(),
    )  # fmt: skip
    seconds: dict[Timer, float] = {}
    for state in states:
        seconds |= levels(state, policy).timers
    assert seconds == {
        T.IDLE: 1, T.LONGEST: 2, T.THINK: 3, T.TAIL: 4, T.GRACE: 5, T.AGAIN: 6, T.STEADY: 8, T.AGE: 9,
        T.ROLLOVER: 10, T.RETRY: 11, T.LATE: LONG_S,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("trouble", "after_s"),
    [(LinkTrouble.NONE, 1.0), (LinkTrouble.UNREACHED, 2.0), (LinkTrouble.REFUSED, 3.0)],
)
def test_an_always_on_kiosk_wakes_again_and_later_after_trouble(trouble: LinkTrouble, after_s: float) -> None:
    policy = Policy(always_on=True, again_s=1.0, unreached_s=2.0, refused_s=3.0)
    for link in (down(trouble=trouble), dialing(trouble=trouble)):
        assert levels(replace(asleep(), link=link), policy).timers == {T.AGAIN: after_s}


def test_an_always_on_kiosk_that_did_not_reach_the_service_does_not_wake_at_once() -> None:
    events = (Started(), lost(epoch=1), lost(epoch=2), TimerFired(T.IDLE))
    state, _ = run(State(), *events, policy=ALWAYS_ON)
    assert levels(state, ALWAYS_ON).timers == {T.AGAIN: ALWAYS_ON.unreached_s}


@pytest.mark.parametrize("trouble", [LinkTrouble.NONE, LinkTrouble.UNREACHED])
def test_a_kiosk_asleep_without_a_refusal_has_no_timers(trouble: LinkTrouble) -> None:
    assert levels(replace(asleep(), link=down(trouble=trouble)), HALF_DUPLEX).timers == {}


def test_a_refused_kiosk_asleep_probes_one_dial_at_a_time() -> None:
    policy = Policy(refused_s=77.0)
    assert levels(refused(), policy).timers == {T.PROBE: 77.0}
    assert levels(probing(), policy).timers == {}


def test_a_refused_kiosk_probes_even_before_its_start() -> None:
    unstarted = replace(refused(), started=False)
    assert levels(unstarted, ALWAYS_ON).timers == {T.PROBE: ALWAYS_ON.refused_s}


def test_an_always_on_kiosk_does_not_wake_before_it_is_started() -> None:
    assert levels(State(), ALWAYS_ON).timers == {}


def test_an_always_on_kiosk_keeps_trying_after_repeated_refusals() -> None:
    state, _ = run(State(), Started(), policy=ALWAYS_ON)
    for epoch in (1, 2, 3):
        state, _ = run(state, lost(Remedy.SETTINGS, epoch), policy=ALWAYS_ON)
        assert levels(state, ALWAYS_ON).timers == {T.AGAIN: ALWAYS_ON.refused_s}
        state, effects = run(state, TimerFired(T.AGAIN), policy=ALWAYS_ON)
        assert of_type(Dial, effects) == [Dial(epoch + 1, None)]


@pytest.mark.parametrize(
    "escape",
    [(Pressed(),), (ReplyInterrupted(EPOCH, REPLY),), (VoiceBegan(), ReplyInterrupted(EPOCH, REPLY))],
)
def test_an_interrupted_last_reply_does_not_undo_the_overtime(escape: tuple[Event, ...]) -> None:
    state, _ = run(speaking(), TimerFired(T.LONGEST), *escape, policy=FULL_DUPLEX)
    assert not state.turn.awake or {T.LONGEST, T.GRACE} & set(levels(state, FULL_DUPLEX).timers)
