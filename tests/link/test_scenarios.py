"""Every rehearsal in config/rehearsals meets its expectations, with the whole daemon over TLS."""

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import pytest
from tests.support.rehearsals import rehearsed_in

from kioskd.rehearsal.scenario import load_scenario
from kioskd.rehearsal.summary import Summary

SCENARIOS: Final = sorted((Path(__file__).parents[2] / "config" / "rehearsals").glob("*.yaml"))
AT_ONCE: Final = 7
"""Rehearsals that run at the same time. They mostly wait."""
LONGEST_S: Final = 150

PACED: Final = ("uplink_gap_ms", "reply_gap_ms")
"""Figures that are only valid on a machine that does nothing else."""

Rehearsals = dict[Path, Future[Summary]]


def marks(path: Path) -> list[pytest.MarkDecorator]:
    """Return the pytest marks of a rehearsal's test."""
    paced = any(number in path.read_text() for number in PACED)
    return [pytest.mark.measured] if paced else []


@pytest.fixture(scope="module")
def rehearsals(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rehearsals]:
    """Start all rehearsals that are asked for, the longest first."""
    names = {item.name for item in request.session.items if item.path == request.path}
    wanted = [path for path in SCENARIOS if any(f"[{path.stem}]" in name for name in names)]
    wanted.sort(key=lambda path: -load_scenario(path).longest_s)
    folder = tmp_path_factory.mktemp("rehearsals")
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        yield {path: pool.submit(rehearsed_in, folder / path.stem, path) for path in wanted}
        pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(LONGEST_S + 200)
@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem, marks=marks(path)) for path in SCENARIOS])
def test_the_rehearsal_meets_its_expectations(path: Path, rehearsals: Rehearsals) -> None:
    summary = rehearsals[path].result(LONGEST_S)
    assert summary.expectations
    assert [expectation.text for expectation in summary.expectations if not expectation.met] == []
