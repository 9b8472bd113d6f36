"""Secrets and junk in the file, by mistake or on purpose."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.support.settings_files import faults_of

from kioskd.settings.load import SettingsError, load
from kioskd.settings.model import Settings
from kioskd.yamlconf.document import Fault

GOOGLE_KEY = "AIza" + "SyD3adB33fD3adB33fD3adB33fD3adB33f0"


@pytest.mark.parametrize(
    "name", ["key", "api_key", "apikey", "API-KEY", "token", "GEMINI_API_KEY", "password"]
)
def test_a_setting_named_like_a_secret_is_rejected_and_never_repeated(file: Path, name: str) -> None:
    (fault,) = faults_of(file, f"service:\n  {name}: hunter2\n")
    assert fault[:3] == (2, 3, f"service.{name}")
    assert "sudo kioskd key" in fault[3]
    assert "hunter2" not in fault[3]


@pytest.mark.parametrize(
    "text",
    [
        f"service: {{model: {GOOGLE_KEY}}}",
        f"service: {{modl: {GOOGLE_KEY}}}",
        f"service: {{key_file: {GOOGLE_KEY}}}",
        f"assistant: {{voice: '{GOOGLE_KEY}'}}",
        f"conversation: {{wake: [button, {GOOGLE_KEY}]}}",
        f"{GOOGLE_KEY}: x",
        f"service: {{{GOOGLE_KEY}: x}}",
        f"service: {{? [{GOOGLE_KEY}] : x}}",
        f"tools: [{{header: {GOOGLE_KEY}}}]",
        f"service: {{endpoint: 'https://{GOOGLE_KEY}@gateway.example'}}",
        f"service: {{model: &{GOOGLE_KEY} x}}",
        f"service: {{model: !{GOOGLE_KEY} x}}",
        f"service: {{model: !{GOOGLE_KEY}!y x}}",
        f"service: *{GOOGLE_KEY}",
        f"{GOOGLE_KEY}",
        f"service:\n  model: x\n {GOOGLE_KEY}\n",
        "service: {model: AQ.Ab8RN6Lk0f2mBq0Zx}",
    ],
)
def test_a_text_that_looks_like_a_key_is_rejected_anywhere_and_never_repeated(file: Path, text: str) -> None:
    faults = faults_of(file, text)
    assert faults
    for *_, key, what in faults:
        assert GOOGLE_KEY[:10] not in key + what
        assert "AQ.Ab8" not in key + what


def test_a_long_text_is_counted_and_not_repeated(file: Path) -> None:
    secret = "correct-horse-battery-staple-and-then-some"
    faults = faults_of(file, f"assistant: {{voice: {secret}}}\n{secret}: 3\nspeaker: {{volume: {secret}}}\n")
    assert len(faults) == 3
    assert all(secret not in key + what for *_, key, what in faults)
    assert "a text of 42 characters" in faults[0][3]


def test_pydantics_own_text_is_not_chained_to_the_error(file: Path) -> None:
    file.write_text("speaker: {volume: hunter2}", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


names = st.sampled_from(
    [
        "service",
        "conversation",
        "wake",
        "idle_s",
        "longest_s",
        "model",
        "controls",
        "button",
        "source",
        "key",
        "<<",
        "voice",
    ]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(
        ["button", "off", "gpio:gpiochip0/1", "!!str", "*x", "&x", "https://[", "=", "\\udc00", "2020-01-01"]
    ),
    st.text(max_size=20),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(names, values, max_size=4).map(repr)
junk = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="abk:-[]{}\"'!&*|>#%@\\ \n\t~0.,?", max_size=80),
    documents,
    st.builds("{}: {}\n{}: {}".format, names, st.text(max_size=30), names, values.map(repr)),
)


def faults_or_none(file: Path) -> tuple[Fault, ...]:
    """Return the faults of the file; none for valid settings. Any other exception fails the test."""
    try:
        settings = load(file)
    except SettingsError as err:
        return err.faults or (Fault("an error without a fault", 0, 0, "", "\n\n"),)
    assert isinstance(settings, Settings)
    return ()


@hypothesis_settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=junk)
def test_junk_is_settings_or_faults_and_never_anything_else(tmp_path: Path, text: str) -> None:
    file = tmp_path / "junk.yaml"
    file.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    for fault in faults_or_none(file):
        assert str(fault).encode()
        assert len(str(fault).splitlines()) == 1


@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=60))
def test_bytes_are_settings_or_faults_and_never_anything_else(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "junk.yaml"
    file.write_bytes(data)
    for fault in faults_or_none(file):
        assert str(fault).encode()
