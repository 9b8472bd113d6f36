"""The echo that the sweep finds, in simulated rooms where it is known."""

from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from tests.room.acoustics import Acoustics, Air, responses
from tests.room.sounds import NOISES, Samples, from_pcm, levelled, noise, to_pcm

from kioskd.doctor.echo_sweep import EARLY_S, LONGEST_S, SECONDS, EchoMeasurement, find_echo, is_spoilt, sweep
from kioskd.media import pcm
from kioskd.media.playout import gain

LEAD_S: Final = 0.5
ROOM: Final = Acoustics(coupling_db=-10.0, delay_s=0.06, noise_db=-65.0)


def played(volume: float = 1.0) -> bytes:
    """Return the sound that the speaker gets."""
    lead = pcm.byte_count(LEAD_S, pcm.DOWNLINK_HZ)
    return bytes(lead) + sweep(gain=volume) + bytes(pcm.byte_count(LONGEST_S + 0.5, pcm.DOWNLINK_HZ))


def heard(room: Acoustics, given: bytes, *, microphone: float = 1.0) -> bytes:
    """Return the sound that the microphone captures."""
    block = pcm.UPLINK_HZ // 50
    response, _ = responses(room)
    air = Air(room, response, block)
    step = pcm.byte_count(0.02, pcm.DOWNLINK_HZ)
    echo = np.concatenate(
        [air.carry(from_pcm(given[start : start + step])) for start in range(0, len(given), step)]
    )
    chance = np.random.default_rng(room.seed)
    hiss = levelled(noise(room.noise, len(echo) / pcm.UPLINK_HZ + 0.1, chance), room.noise_db)
    return to_pcm((echo + hiss[: len(echo)]) * microphone)


def measured(room: Acoustics, volume: float = 1.0) -> EchoMeasurement:
    echo = find_echo(heard(room, played(volume)), LEAD_S, volume)
    assert echo is not None
    return echo


@pytest.mark.parametrize("coupling_db", [0.0, -6.0, -10.0, -20.0, -35.0])
def test_the_level_is_measured_to_two_decibels(coupling_db: float) -> None:
    assert measured(replace(ROOM, coupling_db=coupling_db)).return_db == pytest.approx(coupling_db, abs=2.0)


@pytest.mark.parametrize("delay_s", [0.02, 0.06, 0.2, 0.45, 0.9])
def test_the_delay_is_measured_to_three_milliseconds(delay_s: float) -> None:
    assert measured(replace(ROOM, delay_s=delay_s)).delay_s == pytest.approx(delay_s, abs=0.003)


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("drift", [-50e-6, 50e-6])
@pytest.mark.parametrize("ringing_s", [0.2, 0.7])
def test_noise_ringing_and_drifting_clocks_do_not_change_the_measured_echo(
    kind: str, drift: float, ringing_s: float
) -> None:
    echo = measured(replace(ROOM, noise=kind, noise_db=-40.0, drift=drift, ringing_s=ringing_s))
    assert echo.delay_s == pytest.approx(ROOM.delay_s, abs=0.005)
    assert echo.return_db == pytest.approx(ROOM.coupling_db, abs=2.5)


def test_the_measured_echo_does_not_depend_on_the_volume() -> None:
    assert measured(ROOM, gain(40)).return_db == pytest.approx(ROOM.coupling_db, abs=2.0)


@pytest.mark.parametrize("kind", [*NOISES, "white", "clicks"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_alone_is_no_echo(kind: str, seed: int) -> None:
    seconds = LEAD_S + SECONDS + LONGEST_S + 0.5
    alone: Samples = levelled(noise(kind, seconds, np.random.default_rng(seed)), -35.0)
    assert find_echo(to_pcm(alone), LEAD_S) is None


@pytest.mark.parametrize("seed", range(8))
def test_a_door_that_slams_in_a_silent_room_is_no_echo(seed: int) -> None:
    chance = np.random.default_rng(seed)
    slam = np.zeros(round((LEAD_S + SECONDS + LONGEST_S) * pcm.UPLINK_HZ))
    begin, length = chance.integers(0, len(slam) // 2), chance.integers(50, len(slam) // 2)
    slam[begin : begin + length] = chance.normal(0, 0.05, length)
    assert find_echo(to_pcm(slam), LEAD_S) is None


def test_silence_is_no_echo_and_needs_no_second_sweep() -> None:
    silence = bytes(pcm.byte_count(4.0, pcm.UPLINK_HZ))
    assert find_echo(silence, LEAD_S) is None
    assert not is_spoilt(silence, LEAD_S)


@pytest.mark.parametrize("lost", [0.0, 1.8])
def test_a_single_sweep_is_no_echo_and_needs_a_second_try(lost: float) -> None:
    sound = bytearray(heard(ROOM, played()))
    begin = pcm.byte_count(LEAD_S + lost, pcm.UPLINK_HZ)
    sound[begin : begin + pcm.byte_count(1.7, pcm.UPLINK_HZ)] = bytes(pcm.byte_count(1.7, pcm.UPLINK_HZ))
    assert find_echo(bytes(sound), LEAD_S) is None
    assert is_spoilt(bytes(sound), LEAD_S)


def test_an_echo_that_overdrives_the_microphone_is_reported_as_clipped() -> None:
    given = played()
    loud = find_echo(heard(replace(ROOM, coupling_db=0.0), given, microphone=8.0), LEAD_S)
    assert loud is not None
    assert loud.clipped
    assert not measured(ROOM).clipped


def test_a_pause_of_a_busy_machine_between_both_sweeps_is_measured() -> None:
    sound = heard(ROOM, played())
    middle = len(sound) // 4 * 2
    late = find_echo(sound[:middle] + bytes(pcm.byte_count(0.03, pcm.UPLINK_HZ)) + sound[middle:], LEAD_S)
    assert late is not None
    assert late.jitter_s == pytest.approx(0.03, abs=0.003)
    assert late.delay_s == pytest.approx(ROOM.delay_s + 0.03, abs=0.003)


def test_slightly_wrong_start_times_do_not_change_the_result() -> None:
    early = find_echo(heard(replace(ROOM, delay_s=0.02), played()), LEAD_S + EARLY_S / 2)
    assert early is not None
    assert early.delay_s == pytest.approx(0.02 - EARLY_S / 2, abs=0.003)


def test_the_sweep_is_heard_at_half_of_full_scale_and_does_not_click() -> None:
    samples = from_pcm(sweep())
    assert len(samples) == round(SECONDS * pcm.DOWNLINK_HZ)
    assert 0.49 < np.max(np.abs(samples)) <= 0.5
    assert np.max(np.abs(samples[:50])) < 0.02
    assert np.max(np.abs(samples[-50:])) < 0.02
