"""A kiosk without its key: the owner can run the installer again and again."""

import pytest
from tests.box.site import SETTINGS, bare, left_out, missing

pytestmark = pytest.mark.timeout(900)


def test_a_kiosk_without_its_key_is_installed_again_and_serves_with_it() -> None:
    if lacking := left_out() or missing():
        pytest.skip(lacking)
    with bare() as it:
        it.box.write(SETTINGS, it.settings())
        for number in (1, 2, 3):
            said = it.install()
            assert f"-{number} is installed, and not started" in said
            assert "the key: sudo kioskd key" in said
            assert it.box.exec("systemctl", "is-failed", "kioskd", check=False).stdout == "inactive\n"
        it.has_been_prepared()
        with it.service.sees("setup_complete"):
            it.box.exec("systemctl", "restart", "kioskd")
