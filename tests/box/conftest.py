"""A machine for the tests of a file, which run in their order. Most tests leave a kiosk that serves."""

from collections.abc import Iterator

import pytest
from tests.box.installed import Installed, serve
from tests.box.site import Site, Typed, bare, missing


@pytest.fixture(scope="session")
def installed() -> Installed:
    """Return the stored disk of a machine on which kioskd was installed as the README says."""
    if lacking := missing():
        pytest.skip(lacking)
    return Installed.found()


@pytest.fixture
def files_before(installed: Installed) -> set[str]:
    """Return the files of the machine before the installation, without the owner's files for kioskd."""
    return installed.files_before


@pytest.fixture
def typed(installed: Installed) -> Typed:
    """Return the output of each line of the README's chapter about installing, typed by the owner."""
    return installed.typed


@pytest.fixture(scope="module")
def it(installed: Installed) -> Iterator[Site]:
    """Return a machine where kioskd serves, during a conversation."""
    with bare(layer=installed.layer) as here:
        serve(here)
        yield here
