"""The echo canceller in rooms of a few lines: a linear echo, and nothing else of a real room."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import pytest
from tests.room.sounds import (
    DEBIAN,
    Samples,
    Utterance,
    from_pcm,
    kiosk_sentences,
    level_db,
    levelled,
    likeness,
    noise,
    people,
    recording,
    to_pcm,
)

from kioskd.errors import ConfigError
from kioskd.media import pcm
from kioskd.media.cues import CueSound, sound
from kioskd.media.echo import LEARNING_S, EchoCanceller
from kioskd.media.resample import Resampler

FAR_FRAME: Final = pcm.DOWNLINK_HZ * pcm.FRAME_MS // 1000 * pcm.SAMPLE_BYTES
GOAL_DB: Final = 20.0
LEARNT_S: Final = 2.0
BUDGET_US: Final = 1000
"""CPU time for 10 ms of sound. A Pi 4 is at most ten times slower, and has 10 ms for it."""


def canceller(
    *, delay_s: float = 0.06, noise_suppression: bool = False, gain_control: bool = False
) -> EchoCanceller:
    return EchoCanceller(noise_suppression=noise_suppression, gain_control=gain_control, delay_s=delay_s)


def debian_voice() -> Samples:
    found = sorted(DEBIAN.glob("[FRS]*.wav"))
    if not found:
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    return np.concatenate([recording(path, pcm.DOWNLINK_HZ) for path in found])


def visitors() -> tuple[Utterance, ...]:
    if not (found := people()):
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    return found


def espeak_voice() -> Samples:
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng here")
    return np.concatenate(kiosk_sentences())


VOICES: Final[Mapping[str, Callable[[], Samples]]] = {"recordings": debian_voice, "espeak-ng": espeak_voice}


def far_voice(seconds: float = 12.0, voice: str = "recordings") -> Samples:
    """Return the kiosk's voice at 24 kHz, without a pause."""
    said = levelled(VOICES[voice](), -20)
    return np.resize(said, round(seconds * pcm.DOWNLINK_HZ))


def echo_of(far: Samples, *, delay_s: float, coupling_db: float = -10.0, ringing_s: float = 0.2) -> Samples:
    """Return the echo at 16 kHz: a first arrival and a decaying tail."""
    resampler = Resampler(pcm.DOWNLINK_HZ, pcm.UPLINK_HZ)
    heard = from_pcm(resampler.process(to_pcm(far), last=True))
    chance = np.random.default_rng(5)
    count = round(ringing_s * pcm.UPLINK_HZ)
    response = chance.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count)
    response[0] = 3.0
    response *= 10 ** (coupling_db / 20) / np.sqrt(np.sum(np.square(response)))
    size = len(heard) + count
    echo = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(response, size), size)
    late = round(delay_s * pcm.UPLINK_HZ)
    return np.concatenate([np.zeros(late), echo])[: len(heard)]


def through(
    echo_canceller: EchoCanceller,
    microphone: Samples,
    far: Samples,
    *,
    pull_frames: Sequence[int] = (1,),
    voiced: bool = True,
) -> Samples:
    """Return the cleaned sound while the speaker pulls `far` and the microphone captures.

    `pull_frames`: frames of each pull, in turn.
    """
    captured, played = to_pcm(microphone), to_pcm(far)
    out: list[bytes] = []
    pulled, turn = 0, 0
    for number in range(len(captured) // pcm.FRAME_BYTES):
        while pulled <= number:
            count = pull_frames[turn % len(pull_frames)]
            echo_canceller.played(played[pulled * FAR_FRAME : (pulled + count) * FAR_FRAME], voiced=voiced)
            pulled += count
            turn += 1
        out.append(echo_canceller.clean(captured[number * pcm.FRAME_BYTES : (number + 1) * pcm.FRAME_BYTES]))
    return from_pcm(b"".join(out))


def erle_db(microphone: Samples, cleaned: Samples, *, after_s: float = LEARNT_S) -> float:
    """Return the echo return loss enhancement: the median of all half seconds with an echo."""
    half = pcm.UPLINK_HZ // 2
    losses = []
    for start in range(round(after_s * pcm.UPLINK_HZ), len(cleaned) - half, half):
        before = level_db(microphone[start : start + half])
        if before > -50:
            losses.append(before - level_db(cleaned[start : start + half]))
    assert losses
    return float(np.median(losses))


@pytest.mark.parametrize("coupling_db", [0.0, -10.0])
@pytest.mark.parametrize("voice", sorted(VOICES))
def test_the_canceller_removes_a_linear_echo(voice: str, coupling_db: float) -> None:
    far = far_voice(voice=voice)
    microphone = echo_of(far, delay_s=0.06, coupling_db=coupling_db)
    assert erle_db(microphone, through(canceller(), microphone, far)) >= GOAL_DB


@pytest.mark.parametrize("believed_s", [0.02, 0.2])
@pytest.mark.parametrize("delay_s", [0.02, 0.06, 0.2])
def test_the_canceller_corrects_a_wrong_delay(delay_s: float, believed_s: float) -> None:
    far = far_voice()
    microphone = echo_of(far, delay_s=delay_s)
    assert erle_db(microphone, through(canceller(delay_s=believed_s), microphone, far)) >= GOAL_DB


@pytest.mark.parametrize("pull_frames", [(3,), (1, 4, 2, 5)])
def test_the_canceller_tolerates_a_speaker_that_pulls_in_bursts(pull_frames: Sequence[int]) -> None:
    far = far_voice()
    microphone = echo_of(far, delay_s=0.1)
    assert erle_db(microphone, through(canceller(), microphone, far, pull_frames=pull_frames)) >= GOAL_DB


@pytest.mark.parametrize("drift", [50e-6, -50e-6])
def test_the_canceller_follows_two_clocks_that_drift_apart(drift: float) -> None:
    far = far_voice(60)
    microphone = echo_of(far, delay_s=0.06)
    times = np.arange(len(microphone)) * (1 + drift)
    microphone = np.interp(times, np.arange(len(microphone)), microphone)
    assert erle_db(microphone, through(canceller(), microphone, far), after_s=30) >= GOAL_DB


def test_a_playback_clock_that_is_fast_never_overtakes_the_echo() -> None:
    drift, seconds, delay_s = 100e-6, 260, 0.02
    far = far_voice(seconds * (1 + drift) + 1)
    played = to_pcm(far)
    echo = echo_of(far, delay_s=delay_s)
    times = np.arange(seconds * pcm.UPLINK_HZ) * (1 + drift)
    microphone = np.interp(times, np.arange(len(echo)), echo)
    captured = to_pcm(microphone)
    subject = canceller(delay_s=delay_s)
    out: list[bytes] = []
    pulled = 0
    for number in range(len(captured) // pcm.FRAME_BYTES):
        while pulled <= 2 * number * (1 + drift):  # periods of 10 ms by the speaker's clock
            subject.played(played[pulled * FAR_FRAME // 2 : (pulled + 1) * FAR_FRAME // 2])
            pulled += 1
        out.append(subject.clean(captured[number * pcm.FRAME_BYTES : (number + 1) * pcm.FRAME_BYTES]))
    assert erle_db(microphone, from_pcm(b"".join(out)), after_s=seconds - 40) >= GOAL_DB


def test_the_canceller_takes_pieces_of_any_length() -> None:
    far = far_voice()
    microphone = to_pcm(echo_of(far, delay_s=0.1))
    played = to_pcm(far)
    subject = canceller()
    out = []
    given = 0
    for number in range(len(microphone) // pcm.FRAME_BYTES):
        while given < (number + 1) * FAR_FRAME:
            subject.played(played[given : given + 346])
            given += 346
        out.append(subject.clean(microphone[number * pcm.FRAME_BYTES : (number + 1) * pcm.FRAME_BYTES]))
    assert erle_db(from_pcm(microphone), from_pcm(b"".join(out))) >= GOAL_DB


@pytest.mark.parametrize("noise_suppression", [False, True])
def test_a_voice_in_a_silent_room_comes_through(noise_suppression: bool) -> None:
    near = np.concatenate([levelled(one.samples, -26) for one in visitors()])
    cleaned = through(canceller(noise_suppression=noise_suppression), near, np.zeros(len(near) * 3 // 2))
    assert likeness(near[: len(cleaned)], cleaned) > 0.95
    assert level_db(cleaned) > level_db(near) - 3


@pytest.mark.parametrize(("coupling_db", "at_least"), [(0.0, 0.5), (-10.0, 0.7), (-20.0, 0.8)])
def test_a_voice_into_the_reply_survives(coupling_db: float, at_least: float) -> None:
    far = far_voice(16)
    echo = echo_of(far, delay_s=0.06, coupling_db=coupling_db)
    near = np.zeros(len(echo))
    said = np.concatenate([levelled(one.samples, -26) for one in visitors()])[: pcm.UPLINK_HZ * 6]
    began = pcm.UPLINK_HZ * 8
    near[began : began + len(said)] = said
    cleaned = through(canceller(), echo + near, far)
    there = slice(began, began + len(said))
    assert likeness(near[there], cleaned[there]) > at_least
    assert level_db(cleaned[there]) > level_db(near[there]) - 8


def frames_with_a_visitor(subject: EchoCanceller, microphone: Samples, far: Samples) -> list[int]:
    """Return the numbers of the frames in which another person was noticed."""
    captured, played = to_pcm(microphone), to_pcm(far)
    found = []
    for number in range(len(captured) // pcm.FRAME_BYTES):
        subject.played(played[number * FAR_FRAME : (number + 1) * FAR_FRAME])
        subject.clean(captured[number * pcm.FRAME_BYTES : (number + 1) * pcm.FRAME_BYTES])
        if subject.visitor:
            found.append(number)
    return found


@pytest.mark.parametrize("coupling_db", [0.0, -10.0, -20.0])
def test_the_kiosks_own_voice_is_not_taken_for_a_visitor(coupling_db: float) -> None:
    far = far_voice(20)
    microphone = echo_of(far, delay_s=0.06, coupling_db=coupling_db)
    assert frames_with_a_visitor(canceller(noise_suppression=True), microphone, far) == []


def test_a_visitor_is_noticed_soon() -> None:
    far = far_voice(16)
    microphone = echo_of(far, delay_s=0.06)
    said = levelled(visitors()[0].samples, -26)
    began = pcm.UPLINK_HZ * 8
    microphone[began : began + len(said)] += said
    onset = round((began / pcm.UPLINK_HZ + visitors()[0].onset_s) * 1000 / pcm.FRAME_MS)
    first = frames_with_a_visitor(canceller(noise_suppression=True), microphone, far)[0]
    assert 0 <= (first - onset) * pcm.FRAME_MS <= 240


def test_a_visitor_without_a_reply_interrupts_nothing() -> None:
    near = levelled(visitors()[0].samples, -26)
    assert frames_with_a_visitor(canceller(), near, np.zeros(len(near) * 3 // 2)) == []


def test_gain_control_brings_a_quiet_voice_up() -> None:
    near = np.concatenate([levelled(one.samples, -45) for one in visitors()])
    cleaned = through(canceller(gain_control=True), near, np.zeros(len(near) * 3 // 2))
    half = len(cleaned) // 2
    assert level_db(cleaned[half:]) > level_db(near[half : len(cleaned)]) + 6


def test_noise_suppression_takes_a_fan_down() -> None:
    fan = 10 ** (-40 / 20) * noise("fan", 8, np.random.default_rng(1))
    silent = np.zeros(len(fan) * 3 // 2)
    plain = through(canceller(), fan, silent)
    cleaned = through(canceller(noise_suppression=True), fan, silent)
    half = len(cleaned) // 2
    assert level_db(cleaned[half:]) < level_db(plain[half:]) - 6


def test_silence_stays_silence() -> None:
    subject = canceller(noise_suppression=True, gain_control=True)
    for _ in range(200):
        subject.played(bytes(FAR_FRAME))
        assert subject.clean(bytes(pcm.FRAME_BYTES)) == bytes(pcm.FRAME_BYTES)


def test_a_room_stays_unknown_without_a_reply() -> None:
    subject = canceller()
    through(subject, np.zeros(pcm.UPLINK_HZ * 5), np.zeros(pcm.DOWNLINK_HZ * 5))
    assert subject.learning


def test_a_room_is_known_after_some_seconds_of_voice() -> None:
    subject = canceller()
    far = far_voice(LEARNING_S * 2)
    microphone = echo_of(far, delay_s=0.06)
    early = round(LEARNING_S / 2 * pcm.UPLINK_HZ)
    through(subject, microphone[:early], far[: early * 3 // 2])
    assert subject.learning
    through(subject, microphone[early:], far[early * 3 // 2 :])
    assert not subject.learning


def test_the_own_voice_does_not_pass_before_the_room_is_known() -> None:
    subject, far = canceller(), far_voice(LEARNING_S)
    microphone = echo_of(far, delay_s=0.06, coupling_db=0)
    assert level_db(through(subject, microphone, far)) < -85


def test_a_visitor_is_heard_before_the_room_is_known_when_the_kiosk_is_silent() -> None:
    subject = canceller()
    near = levelled(visitors()[0].samples, -26)
    cleaned = through(subject, near, np.zeros(len(near) * 3 // 2))
    assert subject.learning
    assert likeness(near, cleaned) > 0.95


@pytest.mark.parametrize("lag_s", [0.0, 0.1, 0.3])
def test_a_chime_in_an_unknown_room_swallows_no_word(lag_s: float) -> None:
    subject = canceller()
    said = levelled(visitors()[0].samples, -26)
    said = said[round(visitors()[0].onset_s * pcm.UPLINK_HZ) :][: pcm.UPLINK_HZ]
    chime = from_pcm(sound(CueSound.WAKE))
    began = pcm.UPLINK_HZ
    near, far = np.zeros(3 * pcm.UPLINK_HZ), np.zeros(3 * pcm.DOWNLINK_HZ)
    far[pcm.DOWNLINK_HZ : pcm.DOWNLINK_HZ + len(chime)] = chime
    there = slice(began + round(lag_s * pcm.UPLINK_HZ), began + round(lag_s * pcm.UPLINK_HZ) + len(said))
    near[there] = said
    cleaned = through(subject, near + echo_of(far, delay_s=0.06), far, voiced=False)
    assert subject.learning
    assert not subject.visitor
    tenth = pcm.UPLINK_HZ // 10
    levels = [
        (level_db(wanted[start : start + tenth]), level_db(had[start : start + tenth]))
        for wanted, had in [(near[there], cleaned[there])]
        for start in range(0, len(said) - tenth, tenth)
    ]
    assert min(had - wanted for wanted, had in levels if wanted > -45) > -6


def test_a_room_with_reopened_devices_is_unknown() -> None:
    subject, far = canceller(), far_voice(LEARNING_S * 2)
    through(subject, echo_of(far, delay_s=0.06), far)
    subject.relearn()
    assert subject.learning


def known_room(far: Samples) -> EchoCanceller:
    """Return a canceller that has heard the echo of `far`, and then nothing for three seconds."""
    subject = canceller()
    through(subject, echo_of(far, delay_s=0.06), far)
    silent_s = 3
    through(subject, np.zeros(silent_s * pcm.UPLINK_HZ), np.zeros(silent_s * pcm.DOWNLINK_HZ))
    return subject


def voice_until_known(subject: EchoCanceller, far: Samples, microphone: Samples) -> float:
    """Return the seconds of a reply after which the canceller lets a visitor through."""
    frame, far_frame = pcm.FRAME_BYTES // 2, FAR_FRAME // 2
    for number in range(len(far) // far_frame):
        captured = microphone[number * frame : (number + 1) * frame]
        through(subject, captured, far[number * far_frame : (number + 1) * far_frame])
        if number > 0 and not subject.learning:
            return (number + 1) * pcm.FRAME_S
    raise AssertionError("the room stays unknown")


def test_a_known_room_is_confirmed_at_once_after_a_pause() -> None:
    far = far_voice(LEARNING_S * 2)
    subject = known_room(far)
    assert not subject.learning
    assert voice_until_known(subject, far, echo_of(far, delay_s=0.06)) < 0.5


def test_a_known_room_is_confirmed_soon_after_a_device_was_reopened_with_another_delay() -> None:
    far = far_voice(LEARNING_S * 2)
    subject = known_room(far)
    subject.relearn()
    assert voice_until_known(subject, far, echo_of(far, delay_s=0.15)) < 1.5


def test_another_room_is_not_taken_for_the_known_one() -> None:
    far = far_voice(LEARNING_S * 2)
    subject = known_room(far)
    subject.relearn()
    chance = np.random.default_rng(8)
    response = chance.standard_normal(3200) * np.exp(-6.9 * np.arange(3200) / 3200)
    response *= 10 ** (-10 / 20) / np.sqrt(np.sum(np.square(response)))
    heard = from_pcm(Resampler(pcm.DOWNLINK_HZ, pcm.UPLINK_HZ).process(to_pcm(far), last=True))
    microphone = np.convolve(heard, response)[: len(heard)]
    assert voice_until_known(subject, far, microphone) > 1.5


def test_the_canceller_skips_sound_played_while_the_microphone_paused() -> None:
    subject = canceller()
    far = far_voice(40)
    microphone = echo_of(far, delay_s=0.06)
    paused_s = 10.0
    near, played = round(paused_s * pcm.UPLINK_HZ), round(paused_s * pcm.DOWNLINK_HZ)
    through(subject, microphone[:near], far[:played])
    for start in range(played, 2 * played, FAR_FRAME // 2):
        subject.played(to_pcm(far[start : start + FAR_FRAME // 2]))
    cleaned = through(subject, microphone[2 * near :], far[2 * played :])
    assert subject.skipped_bytes == pcm.byte_count(paused_s, pcm.DOWNLINK_HZ)
    assert erle_db(microphone[2 * near :], cleaned, after_s=4) >= GOAL_DB


@pytest.mark.parametrize("size", [0, pcm.FRAME_BYTES // 2, pcm.FRAME_BYTES - 1, pcm.FRAME_BYTES * 2])
def test_a_frame_of_another_size_is_rejected(size: int) -> None:
    with pytest.raises(ValueError, match=f"640 bytes long, not {size}"):
        canceller().clean(bytes(size))


@pytest.mark.parametrize(("given", "kept"), [(-1.0, 0.0), (0.12, 0.12), (3.0, 0.5)])
def test_the_delay_is_limited_to_the_range_of_the_library(given: float, kept: float) -> None:
    subject = canceller()
    subject.delay_s = given
    assert subject.delay_s == kept


def test_the_device_thread_and_the_loop_do_not_disturb_each_other() -> None:
    far, subject = far_voice(6), canceller()
    played = to_pcm(far)
    longest = 0.0
    turn = threading.Semaphore(0)

    def device() -> None:
        nonlocal longest
        for start in range(0, len(played), FAR_FRAME // 2):
            before = time.perf_counter()
            subject.played(played[start : start + FAR_FRAME // 2])
            longest = max(longest, time.perf_counter() - before)
            turn.release()

    thread = threading.Thread(target=device)
    thread.start()
    microphone = to_pcm(echo_of(far, delay_s=0.06))
    for start in range(0, len(microphone) - pcm.FRAME_BYTES, pcm.FRAME_BYTES):
        assert turn.acquire(timeout=10)
        assert len(subject.clean(microphone[start : start + pcm.FRAME_BYTES])) == pcm.FRAME_BYTES
    thread.join(10)
    assert not thread.is_alive()
    assert longest < pcm.PERIOD_MS / 1000


def test_the_canceller_is_cheap_enough_for_a_small_computer() -> None:
    far = far_voice(10)
    microphone = echo_of(far, delay_s=0.06)
    subject = canceller(noise_suppression=True, gain_control=True)
    before = time.process_time()
    through(subject, microphone, far)
    per_block_us = (time.process_time() - before) / (len(microphone) / pcm.UPLINK_HZ * 100) * 1e6
    print(f"echo cancelling: {per_block_us:.0f} us of CPU for 10 ms of sound")  # noqa: T201  # shown by pytest -rA
    assert per_block_us < BUDGET_US


def test_a_missing_library_is_reported_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit.rtc", None)  # makes the import fail
    with pytest.raises(ConfigError, match=r"run scripts/install.sh again"):
        canceller()
