import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from kioskd.errors import ConfigError
from kioskd.secret_files import KeyMissingError, KeyUnusableError
from kioskd.settings.credentials import ServiceKeys, check_account, device_key, service_key
from kioskd.settings.service import ServiceSettings

KEY = "a-key-of-the-service"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(KEY + "\n", encoding="ascii")
    file.chmod(0o600)
    return file


def secret(settings: ServiceSettings, environ: dict[str, str]) -> str:
    key = service_key(settings, environ)
    assert key is not None
    return key.get_secret_value()


def test_the_key_comes_from_the_first_place_that_has_one(tmp_path: Path, key_file: Path) -> None:
    (tmp_path / "gemini-api-key").write_text("of-systemd", encoding="ascii")
    environ = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "GEMINI_API_KEY": "of-gemini",
        "GOOGLE_API_KEY": "of-google",
    }
    with_file, without = ServiceSettings(key_file=key_file), ServiceSettings()
    assert secret(with_file, environ) == KEY
    assert secret(without, environ) == "of-systemd"
    environ["CREDENTIALS_DIRECTORY"] = str(tmp_path / "empty")
    assert secret(without, environ) == "of-gemini"
    del environ["GEMINI_API_KEY"]
    assert secret(without, environ) == "of-google"
    del environ["GOOGLE_API_KEY"]
    with pytest.raises(KeyMissingError, match=r"gemini-api-key.*GEMINI_API_KEY.*service\.key_file"):
        service_key(without, environ)


def test_a_key_file_in_the_settings_is_the_only_place_of_a_key(tmp_path: Path) -> None:
    settings = ServiceSettings(key_file=tmp_path / "nowhere")
    with pytest.raises(KeyUnusableError, match=r"service\.key_file: the file is not there"):
        service_key(settings, {"GEMINI_API_KEY": KEY})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_file_open_to_others_is_rejected_with_the_remedy(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(KeyUnusableError, match=rf"mode {mode:o}\); run chmod 600"):
        service_key(ServiceSettings(key_file=key_file), {})


def test_a_key_file_that_is_no_regular_file_is_rejected_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (pipe, tmp_path):
        with pytest.raises(KeyUnusableError, match="no regular file"):
            service_key(ServiceSettings(key_file=path), {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"SECRET-one\nSECRET-two\n", "line breaks"),
        (b"SECRET one", "blanks"),
        (b"SECRET\tone", "blanks"),
        (b"SECRET\x00", "odd characters"),
        (b"\xef\xbb\xbfSECRET", "odd characters"),
        ("SECRETé".encode(), "odd characters"),
        (b"SECRET" * 1000, "longer than"),
    ],
)
def test_invalid_keys_are_rejected_and_never_repeated(key_file: Path, content: bytes, words: str) -> None:
    key_file.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        service_key(ServiceSettings(key_file=key_file), {})
    assert "SECRET" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


MISTAKES = [
    ("'SECRET'", "is in quotation marks"),
    ('"SECRET"', "is in quotation marks"),
    ("\u201cSECRET\u201d", "is in quotation marks"),
    ("SECRET'", "is in quotation marks"),
    ("GEMINI_API_KEY=SECRET", "begins with NAME="),
    ("gemini-api-key = SECRET", "begins with NAME="),
    ('GOOGLE_API_KEY="SECRET"', "begins with NAME="),
    ("export GEMINI_API_KEY=SECRET", "begins with export"),
    ("setx GEMINI_API_KEY SECRET", "blanks"),
    ("set GEMINI_API_KEY=SECRET", "begins with set"),
    ("key: SECRET", "begins with NAME:"),
    ("Bearer SECRET", "begins with Bearer"),
    ("Authorization: Bearer SECRET", "begins with the name of a header"),
    ("x-goog-api-key:SECRET", "begins with the name of a header"),
    ("https://example.com/v1?key=SECRET", "is an address"),
    ('{"key": "SECRET"}', "is JSON or a list"),
    ("<SECRET>", "is in angle brackets"),
    ("SECRET\nSECRET", "holds several lines"),
    ("SECRET SECRET", "holds blanks"),
    ("\u200bSECRET", "odd characters"),
]
"""Texts that people store in place of the key alone, with the words for the mistake."""


@pytest.mark.parametrize(("text", "words"), MISTAKES)
def test_text_around_the_key_is_named_as_the_mistake(key_file: Path, text: str, words: str) -> None:
    key_file.write_text(text, encoding="utf-8")
    for settings, environ in (
        (ServiceSettings(key_file=key_file), {}),
        (ServiceSettings(), {"GEMINI_API_KEY": text}),
    ):
        with pytest.raises(KeyUnusableError, match=words) as caught:
            service_key(settings, environ)
        assert "the key" in caught.value.what.rpartition("; ")[2]
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("text", ["  a-key \r\n", "a-key==", "AQ.Ab-1_2"])
def test_blanks_around_a_key_are_ignored(key_file: Path, text: str) -> None:
    key_file.write_text(text, encoding="utf-8")
    found = secret(ServiceSettings(key_file=key_file), {})
    assert found == text.strip()


def test_an_empty_variable_is_a_fault_and_not_skipped() -> None:
    with pytest.raises(KeyUnusableError, match="GEMINI_API_KEY: is empty"):
        service_key(ServiceSettings(), {"GEMINI_API_KEY": "", "GOOGLE_API_KEY": KEY})


def test_the_key_does_not_show_itself() -> None:
    assert KEY not in repr(service_key(ServiceSettings(), {"GEMINI_API_KEY": KEY}))


@pytest.mark.parametrize(
    "settings",
    [
        ServiceSettings(provider="vertex", project="p"),
        ServiceSettings(token_url="https://tokens.example"),
    ],
    ids=["vertex", "tokens"],
)
def test_vertex_and_tokens_need_no_key(settings: ServiceSettings) -> None:
    assert service_key(settings, {}) is None
    assert service_key(settings, {"GEMINI_API_KEY": KEY}) is None


def test_a_new_key_replaces_the_stored_key(tmp_path: Path) -> None:
    (tmp_path / "gemini-api-key").write_text("of-systemd", encoding="ascii")
    keys = ServiceKeys({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    opener = keys.opener(ServiceSettings())
    assert opener is not None
    assert opener().get_secret_value() == "of-systemd"
    keys.take(ServiceSettings(), SecretStr(f"{KEY}\n"))
    reloaded = keys.opener(ServiceSettings(endpoint="https://gateway.example"))
    assert reloaded is not None
    assert opener().get_secret_value() == reloaded().get_secret_value() == KEY
    assert KEY not in repr((keys, opener, opener(), vars(keys)))


def test_a_new_key_does_not_replace_a_key_file(key_file: Path) -> None:
    keys = ServiceKeys({"GEMINI_API_KEY": "of-gemini"})
    keys.take(ServiceSettings(), SecretStr("handed-over"))
    opener = keys.opener(ServiceSettings(key_file=key_file))
    assert opener is not None
    assert opener().get_secret_value() == KEY
    assert keys.opener(ServiceSettings(token_url="https://tokens.example")) is None


@pytest.mark.parametrize(
    ("settings", "handed", "words"),
    [
        (
            ServiceSettings(provider="vertex", project="p"),
            "SECRET",
            "is not used with service.provider: vertex",
        ),
        (ServiceSettings(token_url="https://tokens.example"), "SECRET", "is not used with service.token_url"),
        (ServiceSettings(key_file=Path("/etc/kioskd/key")), "SECRET", "is not used with service.key_file"),
        (ServiceSettings(), " \n", "is empty"),
        (ServiceSettings(), "SECRET two words", "holds blanks"),
        (ServiceSettings(), "SECRET" * 1000, "longer than 4096"),
    ],
)
def test_a_rejected_key_leaves_the_old_one_and_is_not_repeated(
    settings: ServiceSettings, handed: str, words: str
) -> None:
    keys = ServiceKeys({"GEMINI_API_KEY": KEY})
    with pytest.raises(KeyUnusableError, match=words) as caught:
        keys.take(settings, SecretStr(handed))
    assert "SECRET" not in str(caught.value)
    opener = keys.opener(ServiceSettings())
    assert opener is not None
    assert opener().get_secret_value() == KEY


def account(tmp_path: Path, content: str, mode: int = 0o600) -> ServiceSettings:
    file = tmp_path / "account.json"
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    return ServiceSettings(provider="vertex", project="p", credentials_file=file)


def test_an_account_file_is_optional(tmp_path: Path) -> None:
    check_account(ServiceSettings(provider="vertex", project="p"))
    check_account(account(tmp_path, '{"type": "service_account", "private_key": "SECRET"}'))


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("SECRET", 0o600, "holds no service account"),
        ("[" * 100_000, 0o600, "holds no service account"),
        ('{"private_key": "SECRET"}', 0o600, "holds no service account"),
        ('{"type": "service_account", "private_key": "SECRET"}', 0o644, r"mode 644\); run chmod 600"),
        ('{"type": "authorized_user", "refresh_token": "SECRET"}', 0o600, "holds no service account"),
    ],
)
def test_an_invalid_account_is_rejected_and_never_repeated(
    tmp_path: Path, content: str, mode: int, words: str
) -> None:
    with pytest.raises(KeyUnusableError, match=words) as caught:
        check_account(account(tmp_path, content, mode))
    assert caught.value.where == "service.credentials_file"
    assert "SECRET" not in str(caught.value)


def test_the_devices_key_is_a_private_file_or_a_credential(tmp_path: Path, key_file: Path) -> None:
    where, environ = "service.token_key_file", {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    with pytest.raises(
        KeyMissingError, match=r"service\.token_key_file: .*LoadCredentialEncrypted=device-key"
    ):
        device_key(where, None, environ)
    (tmp_path / "device-key").touch()
    assert device_key(where, None, environ) == tmp_path / "device-key"
    assert device_key(where, key_file, environ) == key_file
    key_file.chmod(0o640)
    with pytest.raises(KeyUnusableError, match=r"service\.token_key_file: other users can access it"):
        device_key(where, key_file, environ)
