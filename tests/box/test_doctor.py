"""Each fault of a table is planted in a healthy installed kiosk: `kioskd doctor` finds it, and no other.

The table is in `faults_of_machine` and `faults_of_devices`. Independent faults are planted together, in
rounds. Each round undoes its faults before its results are checked. Faults of the kernel's sound card, camera
and lines are in tests/doctor, and the lost network is in test_operating. At the end doctor finds no fault.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

import pytest
import yaml
from tests.box import faults_of_devices, faults_of_machine
from tests.box.planting import PICTURES, QUIET, Bench, Finding, Row
from tests.box.site import HARMLESS, SETTINGS, Site
from tests.support.pictures import jpeg

pytestmark = pytest.mark.timeout(900)

SOUND: Final = frozenset({"microphone", "speaker", "echo"})
"""Checks whose results may be wrong on a busy machine, which tears the sound of the virtual card."""
SERVING: Final = "serving"

ROUNDS: Final = faults_of_machine.TABLE.rounds | faults_of_devices.TABLE.rounds


@pytest.fixture(scope="module")
def shut(it: Site) -> Iterator[Site]:
    """Return the machine with its daemon stopped, and pictures for its camera."""
    it.box.sh(f"systemctl stop kioskd; mkdir {PICTURES}")
    yield it
    it.box.sh(f"rm -r {PICTURES}")
    it.box.write(SETTINGS, it.settings())
    it.box.exec("systemctl", "start", "kioskd")
    it.serves()


@pytest.fixture(scope="module")
def found(shut: Site) -> Callable[[str], list[Finding]]:
    """Return the findings of doctor with the faults of a round, which are undone then.

    It runs once a round.
    """
    return cache(lambda at: examined_with(shut, ROUNDS[at], serving=at == SERVING))


def examined_with(it: Site, rows: list[Row], *, serving: bool = False) -> list[Finding]:
    """Return the findings of doctor with these faults; run it again if a busy machine tore the sound."""
    findings = planted_and_examined(it, rows, serving=serving)
    for _ in range(4):
        if misled(findings, rows):
            findings = planted_and_examined(it, rows, serving=serving)
    return findings


def misled(findings: list[Finding], rows: list[Row]) -> bool:
    """Return whether the findings about the sound are wrong."""
    astray = set(faults(findings)) ^ set(named(rows))
    return any(check in SOUND for check, _ in astray) or (
        not astray and any(row.check in SOUND and row.words not in words(row, findings) for row in rows)
    )


def words(row: Row, findings: list[Finding]) -> str:
    """Return line and remedy of this row's fault."""
    told = row.told(findings)
    return f"{told['said']} -> {told['remedy']}"


def planted_and_examined(it: Site, rows: list[Row], *, serving: bool = False) -> list[Finding]:
    """Plant faults, run doctor, and undo the faults."""
    settings = yaml.safe_load(it.settings())
    settings["camera"] = {"source": f"folder:{PICTURES}"}
    bench = Bench(it, settings)
    bench.look_at(jpeg())
    with contextlib.ExitStack() as planted:
        for row in rows:
            mended = row.plant(bench)
            next(mended)
            planted.callback(next, mended, None)  # whatever comes of the examination
        it.box.write(SETTINGS, json.dumps(settings))
        if serving:
            bench.sh("systemctl start kioskd")
            planted.callback(bench.sh, "systemctl stop kioskd")
            it.shows("(code")
        for script in bench.then:
            bench.sh(script)
        return examined(it)


def examined(it: Site) -> list[Finding]:
    """Run doctor."""
    done = it.box.exec("kioskd", "doctor", "--yes", "--json", check=False, within_s=60.0)
    findings: list[Finding] = json.loads(done.stdout)["findings"]
    assert done.returncode == any(one["fault"] for one in findings), done.stdout
    assert done.stderr == ""
    return findings


def faults(findings: list[Finding]) -> list[tuple[str, str]]:
    """Return check and name of each fault, without harmless ones."""
    return sorted((one["check"], one["fault"]) for one in findings if one["fault"] not in {None, *HARMLESS})


def named(rows: list[Row]) -> list[tuple[str, str]]:
    """Return check and name of the planted faults."""
    return sorted((row.check, row.fault) for row in rows)


@pytest.mark.parametrize(
    ("at", "row"),
    [pytest.param(at, row, id=row.plant.__name__) for at, rows in ROUNDS.items() for row in rows],
)
def test_a_planted_fault_is_found_with_its_remedy_and_no_other(
    found: Callable[[str], list[Finding]], at: str, row: Row
) -> None:
    findings = found(at)
    assert faults(findings) == named(ROUNDS[at]), findings
    told = row.told(findings)
    assert row.words in words(row, findings)
    assert told["remedy"]
    assert "\n" not in told["said"] + told["remedy"]


def test_doctor_finds_no_fault_after_all_are_undone(shut: Site) -> None:
    with shut.sound.air(QUIET):
        findings = examined_with(shut, [])
    assert faults(findings) == []
    looked_at = {one["check"] for one in findings if one["verdict"] != "skipped"}
    assert looked_at >= {
        "settings",
        "files",
        "sandbox",
        "session",
        "microphone",
        "speaker",
        "echo",
        "camera",
        "lamp",
    }
