"""One machine for all tests of an installed kiosk. They run in the order of their files; each leaves a kiosk that serves."""

from collections.abc import Iterator

import pytest
from tests.box.site import FILES, Site, missing, site


@pytest.fixture(scope="package")
def fresh() -> Iterator[Site]:
    """A machine without kioskd."""
    if lacking := missing():
        pytest.skip(lacking)
    with site() as it:
        yield it


@pytest.fixture(scope="package")
def files_before(fresh: Site) -> set[str]:
    """What was on the machine before kioskd came, but for what its owner had put there for it."""
    return {path for path in fresh.box.sh(FILES).splitlines() if "kioskd" not in path}


@pytest.fixture(scope="package")
def it(fresh: Site, files_before: set[str]) -> Site:
    """A machine where kioskd serves, in mid-conversation."""
    assert files_before
    with fresh.service.sees("reply_sent"):
        fresh.install()
    return fresh
