"""Findings, and errors that become findings."""

from kioskd.doctor.finding import Verdict, of_error, ok, skipped
from kioskd.errors import DeviceLost


def test_the_end_of_an_errors_message_is_the_remedy() -> None:
    found = of_error("camera-missing", DeviceLost("camera: gone; busy; plug it in"), "see its cable")
    assert (found.verdict, found.fault) == (Verdict.FAULT, "camera-missing")
    assert (found.said, found.remedy) == ("camera: gone; busy", "plug it in")


def test_an_error_that_names_no_remedy_gets_the_checks_own() -> None:
    found = of_error("camera-missing", DeviceLost("camera: gone"), "see its cable")
    assert (found.said, found.remedy) == ("camera: gone", "see its cable")


def test_only_a_fault_has_a_name() -> None:
    assert ok("well", celsius=40.0).fault is None
    assert skipped("not here", "install it").fault is None
    assert ok("well", celsius=40.0).figures == {"celsius": 40.0}
