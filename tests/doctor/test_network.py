"""The checks of the network path to the service: its name, its certificate, and a proxy in between."""

import pytest
from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor import network
from kioskd.doctor.finding import Verdict
from kioskd.errors import ConfigError


async def test_an_address_needs_no_name_server(kiosk: Kiosk) -> None:
    found = finding_of(await kiosk.examined(), "name")
    words = "127.0.0.1 is an address, and needs no name server"
    assert (found.verdict, found.said) == (Verdict.SKIPPED, words)


async def test_a_name_is_resolved_and_timed(kiosk: Kiosk) -> None:
    kiosk.settings["service"]["endpoint"] = kiosk.service.endpoint.replace("127.0.0.1", "localhost")
    found = await network.name(kiosk.context())
    assert found.verdict is Verdict.OK
    assert found.said.startswith("localhost has ")
    assert "took_ms" in found.figures


async def test_a_service_behind_a_proxy_is_left_to_the_session(kiosk: Kiosk) -> None:
    kiosk.settings["service"] |= {
        "endpoint": "https://kiosk.invalid",
        "proxy": "http://127.0.0.1:3128",
    }
    name, tls = await network.name(kiosk.context()), await network.tls(kiosk.context())
    assert name.said == "127.0.0.1 is an address, and needs no name server"
    assert (tls.verdict, "through the proxy 127.0.0.1" in tls.said) == (Verdict.SKIPPED, True)


async def test_a_proxy_of_the_environment_that_cannot_be_used_is_one_fault(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "no proxy at all")
    monkeypatch.delenv("no_proxy", raising=False)
    kiosk.settings["service"]["endpoint"] = "https://kiosk.invalid"
    name, tls = await network.name(kiosk.context()), await network.tls(kiosk.context())
    assert name.fault == "proxy-unusable"
    assert tls.verdict is Verdict.SKIPPED


async def test_a_trusted_service_is_reported_with_its_tls_version(kiosk: Kiosk) -> None:
    found = finding_of(await kiosk.examined(), "tls")
    assert (found.verdict, "TLSv1.3, connected in" in found.said) == (Verdict.OK, True)


async def test_authorities_that_cannot_be_read_are_a_fault_of_the_settings(kiosk: Kiosk) -> None:
    context = kiosk.context()
    assert context.settings.service.ca_file is not None
    context.settings.service.ca_file.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"service\.ca_file = .*: cannot be used"):
        await network.tls(context)
