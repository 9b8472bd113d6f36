"""Figures of all rooms, compared with the goals, for people and for programs."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from tests.room.acoustics import Acoustics
from tests.room.conversation import Found
from tests.room.turns import Turns
from tests.room.wake import FOUND_LATE_S, FOUND_WITHIN_S, Woken

HEADLINE_DB: Final = -10.0
"""Coupling in dB that the goals are for. The report lists other couplings below it."""
WAKE_SNR_DB: Final = 10.0

GOALS: Final[Mapping[str, str]] = {
    "half_duplex.false_interruptions_per_hour": "= 0",
    "cancel.false_interruptions_per_hour": "= 0",
    "cancel.erle_db": ">= 25",
    "cancel.barge_in_noticed": ">= 0.98",
    "cancel.barge_in_ms": "<= 270",
    "cancel.barge_in_p95_ms": "<= 500",
    "wake.found_within_200ms": ">= 0.95",
    "wake.found_within_600ms": ">= 0.95",
    "wake.false_per_hour": "< 1",
    "turns.late_or_never": "<= 0.1",
    "turns.cut": "<= 0.03",
}

Figures = dict[str, Any]


def mode(found: Sequence[Found]) -> Figures:
    """Return the figures of one echo mode: those at the headline's coupling, and those of each room."""
    headline = [one for one in found if _counts(one.trial.acoustics)]
    couplings = sorted({one.trial.acoustics.coupling_db for one in found}, reverse=True)
    by = "button" if found[0].trial.mode == "half_duplex" else "voice"
    return {
        **_figures(headline, by),
        "by_coupling": {
            f"{coupling:g}": _figures(
                [one for one in found if one.trial.acoustics.coupling_db == coupling], by
            )
            for coupling in couplings
        },
        "by_noise": {
            kind: _figures([one for one in headline if one.trial.acoustics.noise == kind], by)
            for kind in dict.fromkeys(one.trial.acoustics.noise for one in headline)
        },
        "by_delay_ms": {
            f"{delay * 1000:g}": _rounded(
                _median(ms for one in _delayed(headline, delay) for ms in one.barge_in_ms)
            )
            for delay in sorted({one.trial.acoustics.delay_s for one in headline})
        },
    }


def _counts(acoustics: Acoustics) -> bool:
    return acoustics.coupling_db == HEADLINE_DB or acoustics.coupling_db < -30


def _delayed(found: Iterable[Found], delay_s: float) -> list[Found]:
    return [one for one in found if one.trial.acoustics.delay_s == delay_s]


def _figures(found: Sequence[Found], by: str) -> Figures:
    return {**_replies(found), **_barge_ins(found, by)}


def _barge_ins(found: Sequence[Found], by: str) -> Figures:
    """Return the figures that apply. In half duplex no voice can interrupt, and visitors press the button."""
    tried = sum(one.tried for one in found)
    took = [ms for one in found for ms in one.barge_in_ms]
    share, ms = _share(len(took), tried, 3), _rounded(_median(took))
    p95 = _rounded(float(np.percentile(took, 95)) if took else None)
    if by == "button":
        return {
            "barge_in_noticed": None,
            "barge_in_ms": None,
            "buttons_pressed": tried,
            "button_noticed": share,
            "button_ms": ms,
        }
    return {
        "barge_ins": tried,
        "barge_in_noticed": share,
        "barge_in_noticed_95": wilson(len(took), tried),
        "barge_in_ms": ms,
        "barge_in_p95_ms": p95,
        "double_talk_likeness": _rounded(_median(value for one in found for value in one.likeness), 3),
        "double_talk_level_db": _rounded(_median(db for one in found for db in one.kept_db)),
    }


def _replies(found: Sequence[Found]) -> Figures:
    hours = sum(one.reply_s for one in found) / 3600
    alone = sum(one.reply_s for one in found if not one.trial.interrupting) / 3600
    return {
        "false_interruptions_per_hour": _share(sum(one.false_interruptions for one in found), hours, 2),
        "replies_cut_95": wilson(
            sum(one.false_interruptions for one in found), sum(one.replies for one in found)
        ),
        "false_turns_per_hour": _share(sum(one.false_turns for one in found), alone, 2),
        "false_ducks_per_hour": _share(sum(one.false_ducks for one in found), alone, 2),
        "reply_hours": round(hours, 3),
        "erle_db": _rounded(_median(db for one in found for db in one.erle_db)),
    }


def wake(found: Sequence[Woken]) -> Figures:
    """Return the figures of waking by voice: those at the headline's noise, and each noise at each level."""
    headline = [one for one in found if one.trial.snr_db == WAKE_SNR_DB]
    return {
        "found_within_200ms": _within(headline, FOUND_WITHIN_S),
        "found_within_600ms": _within(headline, FOUND_LATE_S),
        "first_word_whole": _whole(headline),
        "found_ms": _rounded(_median(took * 1000 for one in headline for took in one.took_s)),
        "false_per_hour": _false(found),
        "noise_hours": round(sum(one.waited_s for one in found) / 3600, 3),
        "by_noise": {
            f"{kind} {snr:g} dB": {
                "found_within_200ms": _within(group, FOUND_WITHIN_S),
                "found_within_200ms_95": _within_95(group, FOUND_WITHIN_S),
                "found_within_600ms": _within(group, FOUND_LATE_S),
                "found_within_600ms_95": _within_95(group, FOUND_LATE_S),
                "first_word_whole": _whole(group),
                "false_per_hour": _false(group),
            }
            for kind, snr in dict.fromkeys((one.trial.noise, one.trial.snr_db) for one in found)
            for group in [[one for one in found if (one.trial.noise, one.trial.snr_db) == (kind, snr)]]
        },
    }


def wakeword(found: Sequence[Woken]) -> Figures:
    """Return how often each wake word was heard in noise, and in which noise."""
    return {
        "by_word": {
            f"{word}": _idle([one for one in found if one.trial.word == word])
            for word in dict.fromkeys(one.trial.word for one in found)
        },
        "by_noise": {
            kind: _idle([one for one in found if one.trial.noise == kind])
            for kind in dict.fromkeys(one.trial.noise for one in found)
        },
    }


def _idle(found: Sequence[Woken]) -> Figures:
    return {
        "false": sum(one.false for one in found),
        "false_per_hour": _false(found),
        "noise_hours": round(sum(one.waited_s for one in found) / 3600, 3),
    }


def turns(found: Sequence[Turns]) -> Figures:
    """Return the figures of ended turns: those at the headline's noise, and each noise at each level."""
    headline = [one for one in found if one.trial.snr_db == WAKE_SNR_DB]
    cases = dict.fromkeys((one.trial.noise, one.trial.snr_db) for one in found)
    return {
        **_turns(headline),
        "by_noise": {
            f"{kind} {snr:g} dB": _turns(
                [one for one in found if (one.trial.noise, one.trial.snr_db) == (kind, snr)]
            )
            for kind, snr in cases
        },
    }


def _turns(found: Sequence[Turns]) -> Figures:
    spoken = sum(one.spoken for one in found)
    late, cut = sum(one.late_or_never for one in found), sum(one.cut for one in found)
    return {
        "spoken": spoken,
        "late_or_never": _share(late, spoken, 3),
        "late_or_never_95": wilson(late, spoken),
        "cut": _share(cut, spoken, 3),
        "cut_95": wilson(cut, spoken),
        "false_voice_after": _share(sum(one.again for one in found), spoken, 3),
        "took_ms": _rounded(_median(took * 1000 for one in found for took in one.took_s)),
    }


def wilson(count: int, of: int) -> str | None:
    """Return Wilson's interval, which holds the true share with a confidence of 95 %; None for no trials."""
    if not of:
        return None
    share, z = count / of, statistics.NormalDist().inv_cdf(0.975)
    middle = share + z * z / (2 * of)
    width = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = ((middle + sign * width) / (1 + z * z / of) for sign in (-1, 1))
    return f"{max(0.0, low):.3f} to {min(1.0, high):.3f}"


def _within_95(found: Sequence[Woken], seconds: float) -> str | None:
    return wilson(_soon(found, seconds), sum(one.spoken for one in found))


def _within(found: Sequence[Woken], seconds: float) -> float | None:
    return _share(_soon(found, seconds), sum(one.spoken for one in found), 3)


def _soon(found: Sequence[Woken], seconds: float) -> int:
    return sum(took <= seconds for one in found for took in one.took_s)


def _whole(found: Sequence[Woken]) -> float | None:
    return _share(sum(one.whole for one in found), sum(one.spoken for one in found), 3)


def _false(found: Sequence[Woken]) -> float | None:
    return _share(sum(one.false for one in found), sum(one.waited_s for one in found) / 3600, 2)


def _share(count: float, of: float, digits: int) -> float | None:
    return round(count / of, digits) if of else None


def _median(values: Iterable[float]) -> float | None:
    listed = list(values)
    return statistics.median(listed) if listed else None


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


def met(goal: str, value: float) -> bool:
    """Return whether a figure reaches its goal."""
    sign, bound = goal.split()
    limit = float(bound)
    return {"=": value == limit, "<=": value <= limit, "<": value < limit, ">=": value >= limit}[sign]


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return the report for people."""
    out = [f"{'':46}{'figure':>10}   goal"]
    for name, figures in report["modes"].items():
        out += _lines(name, figures)
    out += _lines("wake", report["wake"])
    out += _lines("wakeword", report["wakeword"])
    out += _lines("turns", report["turns"])
    return out


def _lines(name: str, figures: Figures | str) -> list[str]:
    if isinstance(figures, str):
        return [f"{name}: not measured: {figures}"]
    out = []
    for key, value in figures.items():
        if isinstance(value, dict):
            out += [f"{name} {key.removeprefix('by_')} {case}: {_short(one)}" for case, one in value.items()]
            continue
        goal = GOALS.get(f"{name}.{key}", "")
        verdict = "" if not goal or value is None else "  met" if met(goal, value) else "  MISSED"
        out.append(f"{f'{name} {key}':46}{'-' if value is None else value:>10}   {goal}{verdict}")
    return out


def _short(figures: Figures | float | None) -> str:
    if not isinstance(figures, dict):
        return f"barge_in_ms={'-' if figures is None else figures}"
    return " ".join(f"{key}={value}" for key, value in figures.items() if value is not None)
