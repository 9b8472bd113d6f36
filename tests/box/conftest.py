"""A machine for the tests of a file, which run in their order; most leave a kiosk that serves."""

from collections.abc import Iterator

import pytest
from tests.box.site import FILES, INSTALL_S, WISHES, Site, Typed, bare, missing, readme


@pytest.fixture(scope="module")
def fresh() -> Iterator[Site]:
    """A machine without kioskd."""
    if lacking := missing():
        pytest.skip(lacking)
    with bare() as it:
        yield it


@pytest.fixture(scope="module")
def files_before(fresh: Site) -> set[str]:
    """What was on the machine before kioskd came, but for what its owner had put there for it."""
    return {path for path in fresh.box.sh(FILES).splitlines() if "kioskd" not in path}


@pytest.fixture(scope="module")
def typed(fresh: Site, files_before: set[str]) -> Typed:
    """What the owner saw, who typed line by line what the README says of installing. The kiosk serves now."""
    assert files_before
    fresh.box.write(WISHES, fresh.settings())
    answers = {"Service key: ": fresh.key, " [y/n] ": "y"}
    with fresh.service.sees("reply_sent"):
        seen = {line: fresh.types(line, answers, within_s=INSTALL_S) for line in readme("Installing on a Pi")}
    fresh.serves()  # it has been heard, too
    return seen


@pytest.fixture(scope="module")
def it(fresh: Site, typed: Typed) -> Site:
    """A machine where kioskd serves, in mid-conversation."""
    assert typed
    return fresh
