"""What more than one folder of tests needs."""

import os
from collections.abc import Iterator

import pytest
from tests.support import sound_server as virtual


@pytest.fixture(scope="session")
def sound_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[virtual.SoundServer]:
    """A virtual microphone and speaker that ALSA finds as its default devices."""
    if lacking := virtual.missing():
        pytest.skip(lacking)
    with (
        virtual.SoundServer(tmp_path_factory.mktemp("sound")) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in server.environ.items():
            patch.setitem(os.environ, name, value)
        yield server
