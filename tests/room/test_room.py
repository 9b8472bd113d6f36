"""The simulated room is exact, as the bench's figures depend on it."""

import dataclasses
import io
import json
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.room.acoustics import CLIPPING, Acoustics, Air, Convolution, responses
from tests.room.conversation import Trial, converse
from tests.room.devices import FRAME_S, FRAME_SAMPLES, Room
from tests.room.figures import GOALS, met, mode, turns, wake, wakeword, wilson
from tests.room.run import MODES, QUICK, noise_trials, trials, turn_trials, wake_trials, word_trials
from tests.room.sounds import (
    EVENTS,
    HELDOUT,
    NOISES,
    level_db,
    levelled,
    likeness,
    noise,
    people,
    recorded_noises,
    to_pcm,
)
from tests.room.turns import PAUSE_S, Turns, TurnTrial, end_turns, judge, with_pause, word_times
from tests.room.wake import WakeTrial, overhear, sleep

from kioskd.media import pcm

if not people():
    pytest.skip("no recordings here (Debian's alsa-utils)", allow_module_level=True)


def tone(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    times = np.arange(round(seconds * pcm.DOWNLINK_HZ)) / pcm.DOWNLINK_HZ
    return 0.1 * np.sin(2 * np.pi * 1000 * times)


def test_a_convolution_in_blocks_is_the_convolution() -> None:
    chance = np.random.default_rng(3)
    samples, response = chance.standard_normal(3200), chance.standard_normal(1000)
    stream = Convolution(response, 320)
    blocks = [stream.process(samples[start : start + 320]) for start in range(0, 3200, 320)]
    assert np.allclose(np.concatenate(blocks), np.convolve(samples, response)[:3200])


@pytest.mark.parametrize("drift", [0.0, 50e-6, -50e-6])
@pytest.mark.parametrize("delay_s", [0.02, 0.2])
def test_the_echo_has_the_delay_of_the_acoustics(delay_s: float, drift: float) -> None:
    air = Air(Acoustics(delay_s=delay_s, drift=drift), np.ones(1), FRAME_SAMPLES)
    pulled = np.zeros(pcm.DOWNLINK_HZ)
    pulled[: pcm.DOWNLINK_HZ // 2] = tone(0.5)
    size = FRAME_SAMPLES * 3 // 2
    heard = np.concatenate([air.carry(pulled[start : start + size]) for start in range(0, len(pulled), size)])
    first = np.flatnonzero(np.abs(heard) > 0.05)[0]
    assert first / pcm.UPLINK_HZ == pytest.approx(delay_s, abs=0.001)


def test_a_loudspeaker_limits_its_peaks() -> None:
    air = Air(Acoustics(delay_s=0.02), np.ones(1), FRAME_SAMPLES)
    loud = 10 * tone(0.2)
    size = FRAME_SAMPLES * 3 // 2
    heard = np.concatenate([air.carry(loud[start : start + size]) for start in range(0, len(loud), size)])
    assert 0.5 < np.abs(heard).max() < CLIPPING


@pytest.mark.parametrize("coupling_db", [0.0, -10.0, -20.0])
def test_the_coupling_is_the_energy_of_the_response(coupling_db: float) -> None:
    loudspeaker, visitor = responses(Acoustics(coupling_db=coupling_db))
    assert 10 * np.log10(np.sum(np.square(loudspeaker))) == pytest.approx(coupling_db)
    assert np.sum(np.square(visitor)) == pytest.approx(1.0)


def test_a_visitor_has_the_given_level_at_the_microphone() -> None:
    room = Room(Acoustics(noise_db=-90))
    said = levelled(people()[0].samples, -26)
    room.say(said)
    heard = []
    while room.visitor_speaks:
        room.step()
        heard.append(room.visitor)
    assert level_db(np.concatenate(heard)) == pytest.approx(level_db(said), abs=4)


@pytest.mark.parametrize("kind", [*NOISES, *EVENTS])
def test_a_noise_has_the_given_level(kind: str) -> None:
    assert level_db(noise(kind, 2, np.random.default_rng(1))) == pytest.approx(0, abs=0.1)


def test_a_sound_is_like_itself_and_unlike_another() -> None:
    one, other = (spoken.samples[: pcm.UPLINK_HZ] for spoken in people()[:2])
    assert likeness(one, one) == pytest.approx(1)
    assert likeness(one, other) < 0.5


async def test_the_devices_do_nothing_while_no_one_uses_them() -> None:
    room = Room(Acoustics(noise_db=-90))
    for _ in range(round(1 / FRAME_S)):
        room.step()
    assert not room.echo.any()


def test_half_duplex_never_hears_itself_and_yields_to_the_button() -> None:
    found = [
        converse(Trial("half_duplex", Acoustics(coupling_db=0.0), 12.0, interrupting))
        for interrupting in (False, True)
    ]
    figures = mode(found)["by_coupling"]["0"]
    assert figures["false_interruptions_per_hour"] == figures["false_turns_per_hour"] == 0
    assert figures["barge_in_noticed"] is figures["barge_in_ms"] is None
    assert figures["button_noticed"] == 1
    assert figures["button_ms"] == pytest.approx(60, abs=1)


def test_a_visitor_who_interrupts_a_kiosk_that_cancels_its_echo_is_heard() -> None:
    found = [
        converse(Trial("cancel", Acoustics(delay_s=0.02, drift=50e-6), 30.0, interrupting))
        for interrupting in (False, True)
    ]
    figures = mode(found)
    assert figures["false_interruptions_per_hour"] == 0
    assert figures["erle_db"] >= 25
    assert figures["barge_ins"] >= 2
    assert figures["barge_in_noticed"] == 1
    assert figures["barge_in_ms"] <= 300


def test_a_sleeping_kiosk_is_woken_by_the_first_word_and_loses_none_of_it() -> None:
    found = wake([sleep(WakeTrial("pink", 10, 4, 0, seed=3))])
    assert found["found_within_200ms"] == 1
    assert found["first_word_whole"] == 1
    assert found["false_per_hour"] == 0


def test_a_voice_that_was_missed_in_a_crowd_is_not_learnt_as_the_room() -> None:
    # Of 120 words in a crowd, 100 were found. A room that is learnt wrongly would miss most of them.
    found = [sleep(WakeTrial("babble", 10, 10, 0, seed)) for seed in (1, 2, 3, 4)]
    assert sum(len(one.took_s) for one in found) >= 30


def test_the_detector_alone_wakes_as_the_whole_kiosk_does() -> None:
    alone = overhear(WakeTrial("pink", 10, 4, 60, seed=3))
    assert (alone.spoken, alone.whole, alone.false) == (4, 4, 0)
    assert max(alone.took_s) <= 0.2
    assert alone.waited_s >= 60


def test_a_wake_word_is_not_heard_in_noise() -> None:
    found = overhear(WakeTrial("fan", 10, 0, 20, seed=3, word="okay_nabu"))
    none = {"false": 0, "false_per_hour": 0.0, "noise_hours": 0.006}
    assert wakeword([found]) == {"by_word": {"okay_nabu": none}, "by_noise": {"fan": none}}


WORDS = [(1.0, 2.0), (2.4, 3.0), (4.0, 5.0)]


@pytest.mark.parametrize(
    ("voices", "counted"),
    [
        pytest.param([(1.1, 3.6), (4.1, 5.6)], (0, 0, 0), id="a long pause is the end of a turn"),
        pytest.param([(1.1, 2.3), (2.5, 5.6)], (1, 0, 0), id="a short pause is none"),
        pytest.param([(1.1, 1.5), (1.7, 5.6)], (1, 0, 0), id="the middle of a word is none"),
        pytest.param([(1.1, 6.7)], (0, 1, 0), id="late"),
        pytest.param([(1.1, np.inf)], (0, 1, 0), id="never ended"),
        pytest.param([], (0, 1, 0), id="never begun"),
        pytest.param([(1.1, 5.6), (6.0, 7.0)], (0, 0, 1), id="a voice after the last word"),
        pytest.param([(0.2, 0.9), (1.1, 5.6)], (0, 0, 0), id="a voice before the first word"),
    ],
)
def test_the_end_of_a_turn_is_judged_by_the_words(
    voices: list[tuple[float, float]], counted: tuple[int, int, int]
) -> None:
    found = Turns(TurnTrial("pink", 10, 1, 1))
    judge(found, voices, WORDS)
    assert (found.cut, found.late_or_never, found.again) == counted


def test_a_visitor_makes_a_pause_that_is_no_end_of_a_turn() -> None:
    one = max(people(), key=lambda spoken: len(spoken.samples))
    long = dataclasses.replace(one, samples=np.concatenate([one.samples] * 2))
    said, words = with_pause(long, np.random.default_rng(1))
    before = word_times(long.samples)
    assert PAUSE_S - 0.3 <= max(after[0] - one[1] for one, after in pairwise(words)) < PAUSE_S
    assert words[-1][1] == pytest.approx(len(said) / pcm.UPLINK_HZ, abs=0.02)
    assert sum(end - begin for begin, end in words) == pytest.approx(
        sum(end - begin for begin, end in before), abs=0.1
    )


def test_turns_in_steady_noise_end_in_time_and_none_is_cut() -> None:
    figures = turns([end_turns(TurnTrial("pink", 10, 4, seed=3))])
    assert (figures["spoken"], figures["late_or_never"], figures["cut"]) == (4, 0, 0)
    assert figures["took_ms"] == pytest.approx(1000 * PAUSE_S, abs=150)
    assert list(figures["by_noise"]) == ["pink 10 dB"]


def test_waking_is_tried_in_each_noise_at_each_level() -> None:
    kinds = {trial.noise for trial in wake_trials(QUICK)}
    assert kinds == set(NOISES)
    assert {trial.noise for trial in noise_trials(QUICK)} == kinds | set(EVENTS)
    assert {trial.snr_db for trial in wake_trials(QUICK)} == {20, 10, 5}
    assert {trial.noise for trial in word_trials(QUICK)} == kinds | set(EVENTS)
    assert {trial.noise for trial in turn_trials(QUICK)} == kinds - {"babble"}


def test_every_mode_is_tried_with_and_without_a_visitor() -> None:
    for name in MODES:
        assert {trial.interrupting for trial in trials(name, QUICK)} == {False, True}


@pytest.mark.parametrize(("value", "reached"), [(0.97, False), (0.98, True), (1.0, True)])
def test_a_goal_is_reached_or_missed(value: float, reached: bool) -> None:
    assert met(GOALS["cancel.barge_in_noticed"], value) is reached


@pytest.mark.parametrize(
    ("count", "of", "interval"),
    [(0, 0, None), (0, 10, "0.000 to 0.278"), (5, 10, "0.237 to 0.763"), (10, 10, "0.722 to 1.000")],
)
def test_wilsons_interval_is_that_of_the_textbook(count: int, of: int, interval: str | None) -> None:
    assert wilson(count, of) == interval


def test_long_pauses_do_not_shorten_the_conversation() -> None:
    room = Acoustics(delay_s=0.02)
    found = converse(Trial("half_duplex", room, 30.0, interrupting=False, pauses_s=(10.0,)))
    assert found.replies >= 2
    assert found.reply_s >= 20


def test_held_out_voices_and_noises_are_used_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = people()[0]
    for name, second in (("labelled", 0.4), ("known", 0.3), ("bare", 0.0), ("noise_hum", 0.0)):
        lead = np.zeros(round(second * pcm.UPLINK_HZ))
        (tmp_path / f"{name}.wav").write_bytes(wav_of(np.concatenate([lead, said.samples])))
    words = [{"b": 0.0, "t": "<sil>"}, {"b": 0.4, "t": "one"}]
    (tmp_path / "labelled.words.json").write_text(json.dumps({"w": words}))
    (tmp_path / "known.json").write_text(json.dumps({"onset_s": 0.3}))
    monkeypatch.setenv(HELDOUT, str(tmp_path))
    held_out, kinds = people.__wrapped__(), recorded_noises.__wrapped__()
    assert [one.name for one in held_out] == ["bare", "known", "labelled"]
    assert all(one.onset_s <= 0.06 for one in held_out)
    assert kinds == ("noise_hum",)


def wav_of(samples: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(pcm.SAMPLE_BYTES)
        wav.setframerate(pcm.UPLINK_HZ)
        wav.writeframes(to_pcm(samples))
    return made.getvalue()
