"""The check of the service by a session of silence."""

from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor.finding import Verdict
from kioskd.simulator import ScriptedFault, ServiceScript, Simulator


async def test_a_tool_that_the_service_refuses_is_named_with_its_place(kiosk: Kiosk) -> None:
    kiosk.settings["tools"] = [
        {"kind": "http", "name": name, "description": "D", "url": "http://127.0.0.1/x"}
        for name in ("tell_time", "open_door")
    ]
    async with Simulator(ServiceScript(refused_functions=("open_*",), key=kiosk.service.key)) as refusing:
        ca_file = kiosk.file("/etc/kioskd/ca.pem", refusing.ca_file.read_text())
        kiosk.settings["service"] |= {"endpoint": refusing.endpoint, "ca_file": str(ca_file)}
        session = finding_of(await kiosk.examined(), "session")
    assert session.verdict is Verdict.NOTE
    assert "as the service rejects them: open_door, set at tools.1 (http open_door)" in session.said
    assert "tell_time" not in session.said


async def test_a_session_reports_how_many_frames_the_service_received(kiosk: Kiosk) -> None:
    session = finding_of(await kiosk.examined(), "session")
    assert session.verdict is Verdict.OK
    assert "of 100 frames of silence" in session.said
    assert kiosk.environ["GEMINI_API_KEY"] not in session.said


async def test_a_used_up_quota_has_a_remedy_for_a_person(kiosk: Kiosk) -> None:
    kiosk.service.add_fault(ScriptedFault(on="connect", do="refuse", status=429))
    session = finding_of(await kiosk.examined(), "session")
    assert (session.fault, "Google AI Studio" in str(session.remedy)) == ("quota", True)
