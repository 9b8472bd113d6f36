"""A machine for the tests of a file, which run in their order; most leave a kiosk that serves."""

from collections.abc import Iterator

import pytest
from tests.box.installed import Installed, serve
from tests.box.site import Site, Typed, bare, missing


@pytest.fixture(scope="session")
def installed() -> Installed:
    """What was kept of a machine on which kioskd was installed as the README says."""
    if lacking := missing():
        pytest.skip(lacking)
    return Installed.found()


@pytest.fixture
def files_before(installed: Installed) -> set[str]:
    """What was on the machine before kioskd came, but for what its owner had put there for it."""
    return installed.files_before


@pytest.fixture
def typed(installed: Installed) -> Typed:
    """What the owner saw, who typed line by line what the README says of installing."""
    return installed.typed


@pytest.fixture(scope="module")
def it(installed: Installed) -> Iterator[Site]:
    """A machine where kioskd serves, in mid-conversation."""
    with bare(layer=installed.layer) as here:
        serve(here)
        yield here
