"""The Live service as the settings describe it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.fleet import Authority
from tests.support.live_providers import (
    CONSTRAINED,
    KEY,
    VERTEX_PATH,
    bearer,
    google,
    mint,
    setup_of,
    token_server,
)

from kioskd import app
from kioskd.errors import ConfigError
from kioskd.settings.model import Settings


@pytest.mark.parametrize(
    ("service_settings", "path"),
    [
        ({}, "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"),
        (
            {"model": "gemini-3.8-live-extended-thinking"},
            "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent",
        ),
        ({"provider": "vertex", "project": "p"}, VERTEX_PATH),
    ],
)
async def test_the_settings_choose_the_path(service_settings: dict[str, Any], path: str) -> None:
    # A key in place of the credentials that the settings name, as in a rehearsal.
    assert (await setup_of({"service": service_settings}))[1] == path


async def test_settings_with_a_token_url_need_no_key() -> None:
    async with token_server(mint()) as (tokens, url):
        _, path = await setup_of({"service": {"token_url": url}}, key=None)
    assert path == CONSTRAINED.replace("v1alpha", "v1beta")
    assert len(tokens.asked) == 1


async def test_settings_with_an_account_need_no_key_and_dial_the_accounts_location(tmp_path: Path) -> None:
    async with google(bearer(), tmp_path) as (_, vertex):
        account = {
            "provider": "vertex",
            "project": "my-project",
            "credentials_file": vertex.credentials_file,
        }
        setup, path = await setup_of({"service": account}, key=None)
    assert path == VERTEX_PATH
    assert setup["model"].startswith("projects/my-project/locations/global/")


async def test_settings_with_a_certificate_show_it_to_the_token_server(tmp_path: Path) -> None:
    device = Authority(tmp_path).issue("kiosk-1")
    async with token_server(mint()) as (tokens, url):
        identity = {
            "token_url": url,
            "token_proof": "signature",
            "token_certificate": device.certificate,
            "token_key_file": device.key,
        }
        await setup_of({"service": identity}, key=None)
    assert tokens.asked[0].headers["authorization"].startswith("Bearer ")


def test_a_certificate_without_its_key_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    service = {"token_url": "https://tokens.example", "token_certificate": tmp_path / "c.pem"}
    with pytest.raises(ConfigError, match=r"service\.token_key_file: is not set"):
        app.live(Settings.model_validate({"service": service}), None)


def test_an_unknown_model_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    app.live(Settings.model_validate({"service": {"model": "gemini-9-live"}}), SecretStr(KEY))
    assert "treated like gemini-3.8-live: model=gemini-9-live" in caplog.text
    caplog.clear()
    app.live(Settings(), SecretStr(KEY))
    assert caplog.text == ""


async def test_a_profile_adds_its_instructions_and_its_pace() -> None:
    easy = {"instructions": "Use short words.", "voice": "Leda", "pace": "slow"}
    settings = {"assistant": {"instructions": "Be brief.", "profiles": {"easy": easy}}}
    plain, changed = [(await setup_of(settings, profile=name))[0] for name in ("default", "easy")]
    assert "Be brief.\n\nUse short words." in changed["systemInstruction"]["parts"][0]["text"]
    assert "Use short words." not in plain["systemInstruction"]["parts"][0]["text"]
    assert "Leda" in str(changed["generationConfig"]["speechConfig"])
    assert "silence_duration_ms" in str(changed["realtimeInputConfig"])
    assert "silence_duration_ms" not in str(plain["realtimeInputConfig"])
