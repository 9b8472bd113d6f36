"""Settings of the Live service."""

from typing import Any

import pytest
from tests.support.settings import refusal, taken


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("service", {"model": "gemini-live-2.5-flash", "api_version": "v1alpha"}),
        ("service", {"endpoint": "https://127.0.0.1:8443/live"}),
        ("service", {"endpoint": "https://[::1]:8443"}),
        ("service", {"provider": "vertex", "project": "my-project"}),
        ("service", {"provider": "vertex", "project": "123456789012", "location": "eu"}),
        ("service", {"provider": "vertex", "project": "example.com:old", "location": "europe-west4"}),
        ("service", {"token_url": "https://tokens.example/kiosk", "proxy": "http://proxy.example:3128"}),
        ("service", {"renew_s": 5}),
        ("service", {"renew_s": 780}),
        ("service", {"media_resolution": "high"}),
    ],
)
def test_valid_values_are_accepted(section: str, values: dict[str, Any]) -> None:
    assert taken(section, **values).model_dump(exclude_unset=True) == values


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("service", {"endpoint": "http://127.0.0.1"}, "must begin with https://"),
        ("service", {"endpoint": "gateway.example"}, "must begin with https://"),
        ("service", {"endpoint": "https://"}, "is not an address with a host"),
        ("service", {"endpoint": "https://a b"}, "is not an address with a host"),
        ("service", {"endpoint": "https://host:0"}, "is not an address with a host"),
        ("service", {"endpoint": "https://host:port"}, "cannot be read"),
        ("service", {"endpoint": "https://[::1"}, "cannot be read"),
        ("service", {"endpoint": "https://me:pass@host"}, "has more than host, port and path"),
        ("service", {"endpoint": "https://host?key=x"}, "has more than host, port and path"),
        ("service", {"api_version": "v1 beta"}, "for example v1beta"),
        ("service", {"model": "  "}, "is empty"),
        ("service", {"key_file": ""}, "is not a path"),
        ("service", {"provider": "vertex"}, "add project: NAME"),
        ("service", {"project": "p"}, "only provider: vertex uses it"),
        ("service", {"location": "eu"}, "only provider: vertex uses it"),
        ("service", {"credentials_file": "a.json"}, "only provider: vertex uses it"),
        (
            "service",
            {"provider": "vertex", "project": "p", "key_file": "k"},
            "only provider: gemini uses it",
        ),
        (
            "service",
            {"provider": "vertex", "project": "p", "token_url": "https://t.example"},
            "only provider: gemini uses it",
        ),
        (
            "service",
            {"provider": "vertex", "project": "p", "location": "e/../v"},
            "is not a Google Cloud location",
        ),
        ("service", {"token_url": "https://t.example", "key_file": "k"}, "remove one of the two"),
        ("service", {"token_certificate": "c"}, "only token_url uses it"),
        ("service", {"token_proof": "signature"}, "only token_certificate uses it"),
        (
            "service",
            {"token_url": "https://t.example", "token_key_file": "k"},
            "only token_certificate uses it",
        ),
        ("service", {"token_proof": "bearer"}, "should be 'certificate' or 'signature'"),
        ("service", {"proxy": "proxy:3128"}, "for example http://proxy.example:3128"),
        ("service", {"proxy": "https://proxy:3128"}, "for example http://proxy.example:3128"),
        ("service", {"proxy": "http://proxy"}, "for example http://proxy.example:3128"),
        ("service", {"proxy": "http://[::1:3128"}, "for example http://proxy.example:3128"),
        ("service", {"proxy": "http://me:pass@proxy:3128"}, "more than host and port"),
        (
            "service",
            {"renew_s": 4.9},
            "4.9 is below 5 (the service ends connections at ten to fifteen minutes)",
        ),
        ("service", {"renew_s": 781}, "781 is above 780"),
        ("service", {"key_file": "a\nb"}, "is not a path"),
    ],
)
def test_invalid_values_are_rejected_with_the_expected_form(
    section: str, values: dict[str, Any], words: str
) -> None:
    message = refusal(section, **values)
    assert words in message
    assert "pass@" not in message
