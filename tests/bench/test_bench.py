"""The bench runs, and measures every figure. People judge the values."""

import json

import pytest
from tests.bench import figures, run
from tests.bench.client import KINDS, Kind
from tests.bench.figures import FIGURES, Figure, Result
from tests.bench.sound import CLICK_EVERY_MS
from tests.support.sound_server import SoundServer

TINY = run.Plan(rounds=1, clicks=4, replies=3, interrupts=3, cpu_s=1.0, settle_s=0.5, fall_asleep_s=0.5)


def result(figure: Figure, kioskd: float, floor_20: float, floor_10: float | None = None) -> Result:
    medians: dict[Kind, float] = {
        "kioskd": kioskd,
        "floor 20": floor_20,
        "floor 10": floor_20 if floor_10 is None else floor_10,
    }
    return Result(figure, medians, kioskd, kioskd, 1)


def test_every_figure_is_measured_of_kioskd_and_of_both_floors(sound_server: SoundServer) -> None:
    outcome = run.measure(TINY, sound_server)
    shown = figures.table(outcome.results)
    assert list(outcome.results) == [figure.key for figure in FIGURES]
    for figure in FIGURES:
        found = outcome.results[figure.key]
        assert set(found.medians) == set(KINDS)
        assert all(value > 0 for value in found.medians.values())
        assert f"| {figure.title}, {figure.unit} " in shown
    # Looser than any goal: only a sound that is confused with another one is this late.
    assert outcome.results["mic_to_wire_ms"].kioskd < CLICK_EVERY_MS
    assert outcome.results["wire_to_speaker_ms"].kioskd < 300
    assert outcome.results["interrupt_ms"].kioskd < 300
    assert set(outcome.jitter_ms) == {"microphone", "speaker"}
    assert set(outcome.cold_read_mb) == set(KINDS)
    json.dumps([found.as_json() for found in outcome.results.values()])


def test_a_goal_over_the_floor_of_10_ms_is_compared_with_the_difference() -> None:
    figure = Figure("mic", "microphone to wire", "ms", 2, "over the floor of 10 ms")
    assert result(figure, 16.0, 30.0, 15.0).met
    assert not result(figure, 18.0, 30.0, 15.0).met


def test_a_goal_in_floors_of_20_ms_is_compared_with_the_ratio() -> None:
    figure = Figure("cpu", "CPU a minute", "s", 1.3, "times the floor of 20 ms")
    assert result(figure, 2.6, 2.0, 9.0).met
    assert not result(figure, 2.7, 2.0, 9.0).met


def test_a_goal_of_kioskd_is_compared_with_kioskd_alone() -> None:
    figure = Figure("start", "start", "ms", 500)
    assert result(figure, 499.0, 10.0).met
    assert not result(figure, 501.0, 600.0).met


def test_a_figure_without_a_goal_is_neither_met_nor_missed() -> None:
    figure = Figure("cold", "start", "ms", None)
    assert result(figure, 499.0, 10.0).met is None
    assert figures.table({"cold": result(figure, 499.0, 100.0)}).splitlines()[-1].endswith("| -    |  |")


def test_the_table_says_which_goal_is_missed() -> None:
    figure = Figure("start", "start", "ms", 2.5, "times the floor of 20 ms")
    head, _line, row = figures.table({"start": result(figure, 600.0, 100.0, 50.0)}).splitlines()
    assert [cell.strip() for cell in head.split("|")][1:3] == ["figure", "kioskd"]
    assert [cell.strip() for cell in row.split("|")][1:-1] == [
        *("start, ms", "600", "600 to 600", "100", "50.0", "6.00x", "2.5x", "missed"),
    ]


def test_sessions_are_summed_up_by_their_median() -> None:
    samples = {kind: {figure.key: [3.0, 1.0, 50.0] for figure in FIGURES} for kind in KINDS}
    summed = figures.results(samples)["start_ms"]
    assert (summed.kioskd, summed.least, summed.most, summed.sessions) == (3.0, 1.0, 50.0, 3)


def test_late_and_early_trials_do_not_move_a_session(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.middle_ms("reply", [0.001, 0.020, 0.022, 0.900]) == pytest.approx(21.0)
    assert capsys.readouterr().err == ""


def test_a_trial_without_a_sound_is_left_out_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.middle_ms("reply", [0.020, None, 0.022]) == pytest.approx(21.0)
    assert "reply: 1 of 3 trials left out" in capsys.readouterr().err


def test_a_session_of_lost_trials_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="only 1 of 3 trials"):
        run.middle_ms("reply", [0.020, None, None])


def test_the_chapter_gets_the_table_between_its_marks_and_nowhere_else() -> None:
    before = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n"
    assert run.into_chapter(before, "new") == "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n"


def test_each_block_of_the_chapter_has_marks_of_its_own() -> None:
    before = "<!-- bench -->\nold\n<!-- /bench -->\n<!-- endurance -->\nold\n<!-- /endurance -->\n"
    after = run.into_chapter(before, "new", "endurance")
    assert after == "<!-- bench -->\nold\n<!-- /bench -->\n<!-- endurance -->\nnew\n<!-- /endurance -->\n"


@pytest.mark.parametrize("name", ["bench", "instructions", "endurance"])
def test_the_manual_has_a_place_for_each_table(name: str) -> None:
    assert "new" in run.into_chapter(run.CHAPTER.read_text(), "new", name)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--instructions", "--endurance"], "not allowed with argument"),
        (["--slowness", "20"], "only with --instructions"),
        (["--slowness", "0", "--instructions"], "at least 1"),
        (["--rounds", "2", "--endurance"], "not with --quick"),
        (["--rounds", "0"], "at least 1"),
    ],
)
def test_options_that_would_have_no_effect_are_refused(
    words: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(words)
    assert fault in capsys.readouterr().err


def test_a_chapter_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="bench"):
        run.into_chapter("nothing here\n", "new")
