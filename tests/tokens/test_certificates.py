"""Devices prove who they are by certificates, or by requests that the certificates' keys have signed."""

import base64
import datetime as dt
import ssl
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from tests.support.fleet import Authority, Issued

from kioskd.errors import ConfigError
from kioskd.tokens.certificates import LONGEST_JWT, DeviceCertificates, UnknownDeviceError

NOW = time.time()
AUDIENCE = "https://tokens.example/kiosk"


def der(issued: Issued) -> bytes:
    return ssl.PEM_cert_to_DER_cert(issued.certificate.read_text())


def claims(**changes: Any) -> dict[str, Any]:
    found = {"aud": AUDIENCE, "iat": int(NOW), "exp": int(NOW) + 50, "jti": "one"} | changes
    return {name: value for name, value in found.items() if value is not None}


def signed(
    issued: Issued,
    content: dict[str, Any] | None = None,
    *,
    algorithm: str = "ES256",
    shown: Issued | None = None,
) -> str:
    """Return a JWT of a device; `shown` replaces its certificate."""
    key = serialization.load_pem_private_key(issued.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    header = {"x5c": [base64.b64encode(der(shown or issued)).decode()]}
    return jwt.encode(claims() if content is None else content, key, algorithm=algorithm, headers=header)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def known(authority: Authority) -> DeviceCertificates:
    return DeviceCertificates(authority.ca_file, authority.crl_file)


def test_the_common_name_is_the_devices_name(authority: Authority, known: DeviceCertificates) -> None:
    assert known.device(der(authority.issue("kiosk-1"))) == "kiosk-1"


@pytest.mark.parametrize("curve", ["ES256", "EdDSA"])
def test_a_signed_request_proves_the_device(
    authority: Authority, known: DeviceCertificates, curve: str
) -> None:
    key = ed25519.Ed25519PrivateKey.generate() if curve == "EdDSA" else None
    proof = known.signed(signed(authority.issue("kiosk-1", key=key), algorithm=curve), AUDIENCE, NOW)
    assert (proof.device, proof.identifier, proof.expires) == ("kiosk-1", "one", int(NOW) + 50)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "https://elsewhere.example/"}, "InvalidAudienceError"),
        ({"aud": None}, "MissingRequiredClaimError"),
        ({"jti": None}, "MissingRequiredClaimError"),
        ({"jti": ""}, "no usable identifier"),
        ({"jti": "x" * 200}, "no usable identifier"),
        ({"exp": int(NOW) + 3600}, "valid for more than 60 s"),
        ({"iat": int(NOW) + 300, "exp": int(NOW) + 350}, "from the future"),
        ({"iat": int(NOW) - 300, "exp": int(NOW) - 250}, "has expired"),
        ({"exp": "never"}, "JWT"),
        ({"iat": None}, "MissingRequiredClaimError"),
    ],
)
def test_a_request_that_is_not_in_order_proves_nothing(
    authority: Authority, known: DeviceCertificates, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(UnknownDeviceError, match=why):
        known.signed(signed(authority.issue("kiosk-1"), claims(**changes)), AUDIENCE, NOW)


def test_a_request_that_another_key_has_signed_proves_nothing(
    authority: Authority, known: DeviceCertificates
) -> None:
    mine, theirs = authority.issue("kiosk-1"), authority.issue("kiosk-2")
    with pytest.raises(UnknownDeviceError, match="InvalidSignatureError"):
        known.signed(signed(mine, shown=theirs), AUDIENCE, NOW)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_weak_algorithm_proves_nothing(
    authority: Authority, known: DeviceCertificates, algorithm: str
) -> None:
    device = authority.issue("kiosk-1")
    header = {"x5c": [base64.b64encode(der(device)).decode()]}
    secret = "" if algorithm == "none" else "x" * 32
    token = jwt.encode(claims(), secret, algorithm=algorithm, headers=header)
    with pytest.raises(UnknownDeviceError, match="JWT is not valid"):
        known.signed(token, AUDIENCE, NOW)


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * (LONGEST_JWT + 1), "é.é.é"])
def test_a_text_that_is_no_jwt_proves_nothing(known: DeviceCertificates, token: str) -> None:
    with pytest.raises(UnknownDeviceError):
        known.signed(token, AUDIENCE, NOW)


def test_a_certificate_of_another_authority_proves_nothing(
    authority: Authority, known: DeviceCertificates, tmp_path: Path
) -> None:
    forged = Authority(tmp_path, "forged").issue("kiosk-1")
    with pytest.raises(UnknownDeviceError, match="from another authority"):
        known.signed(signed(forged), AUDIENCE, NOW)


def test_a_certificate_that_is_old_or_of_a_server_proves_nothing(
    authority: Authority, known: DeviceCertificates
) -> None:
    old = authority.issue("kiosk-1", ends=-dt.timedelta(hours=1), starts=-dt.timedelta(days=2))
    with pytest.raises(UnknownDeviceError, match="not valid at this time"):
        known.signed(signed(old), AUDIENCE, NOW)
    with pytest.raises(UnknownDeviceError, match="is not for clients"):
        known.signed(signed(authority.issue("tokens.example", hosts=("127.0.0.1",))), AUDIENCE, NOW)


def test_a_revoked_certificate_proves_nothing(authority: Authority, known: DeviceCertificates) -> None:
    device, other = authority.issue("kiosk-1"), authority.issue("kiosk-2")
    authority.revoke(device)
    known.refresh()
    for prove in (lambda: known.device(der(device)), lambda: known.signed(signed(device), AUDIENCE, NOW)):
        with pytest.raises(UnknownDeviceError, match="is revoked"):
            prove()
    assert known.device(der(other)) == "kiosk-2"


def test_a_file_without_certificates_is_one_clear_line(authority: Authority, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for files, words in (
        ((empty, None), "identity.ca_file = .*: holds no certificate; write"),
        ((tmp_path / "absent.pem", None), "identity.ca_file = .*: cannot be read"),
        ((authority.ca_file, empty), "identity.crl_file = .*: holds no list of revoked certificates"),
        ((authority.ca_file, tmp_path / "absent.pem"), "identity.crl_file = .*: cannot be read"),
    ):
        with pytest.raises(ConfigError, match=words):
            DeviceCertificates(*files)
