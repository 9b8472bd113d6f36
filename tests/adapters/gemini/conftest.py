"""Fixtures that the tests of the Gemini adapter share."""

import pytest

REDIRECTING = {
    "GOOGLE_API_KEY": "AIzaSyZ-of-the-environment",
    "GEMINI_API_KEY": "AIzaSyZ-of-the-environment",
    "GOOGLE_GENAI_USE_ENTERPRISE": "false",
    "GOOGLE_GENAI_USE_VERTEXAI": "false",
    "GOOGLE_GENAI_API_VERSION": "v9",
    "GOOGLE_CLOUD_PROJECT": "project-of-the-environment",
    "GOOGLE_CLOUD_LOCATION": "location-of-the-environment",
    "GOOGLE_GEMINI_BASE_URL": "https://127.0.0.1:9/",
    "GOOGLE_VERTEX_BASE_URL": "https://127.0.0.1:9/",
}


@pytest.fixture
def redirecting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REDIRECTING.items():
        monkeypatch.setenv(name, value)
