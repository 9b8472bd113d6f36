"""Secrets are cut out of the service's words before people see them."""

import pytest

from kioskd.adapters.gemini.reasons import plain


@pytest.mark.parametrize(
    "secret",
    [
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "AQ.Ab8RN6KdJ2mX9vQ4tY7wZ1aB3cD5eF",
        "auth_tokens/abc",
        "CihIc2Fta2V5LWhhbmRsZS0xMjM0NTY3ODkwYWJjZGVmZ2hpag==",
    ],
)
def test_texts_that_look_like_secrets_are_cut_out(secret: str) -> None:
    text = plain(f"session {secret} not found")
    assert secret[3:] not in text
    assert text.startswith("session ")
    assert text.endswith(" not found")


@pytest.mark.parametrize(
    "words",
    [
        "models/gemini-2.5-flash-native-audio-preview-12-2025 is not found for API version v1beta",
        "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent are blocked.",
        "see https://ai.google.dev/gemini-api/docs/rate-limits",
    ],
)
def test_helpful_words_are_kept(words: str) -> None:
    assert plain(words) == words


def test_a_reason_becomes_one_short_line() -> None:
    assert plain("a\r\nb\tc\x1b[31m d") == "a b c [31m d"
    assert len(plain("word " * 100)) == 120
