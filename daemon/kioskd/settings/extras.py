"""Settings -> the optional parts of the package that they need: `python -m kioskd.settings.extras FILE` prints them.

A library that Debian has and the package index has not, picamera2 say, stands in a line of its own.
For the installer: a file that cannot be read needs none, and `kioskd check` says more of it.
"""

import sys
from pathlib import Path

from kioskd.settings.load import SettingsError, load
from kioskd.settings.model import Settings
from kioskd.tools import registry


def extras(settings: Settings) -> list[str]:
    """Return the names of the extras, as pyproject.toml has them."""
    wanted = {
        "echo": settings.microphone.cancels,
        "wakeword": "wakeword" in settings.conversation.wake,
        "watch": True,
    }
    of_sources = {library.extra for library in settings.libraries if library.extra}
    chosen = {name for name, needed in wanted.items() if needed}
    return sorted(chosen | of_sources | registry.extras(settings.tools))


def main(path: Path) -> str:
    """Return what the installer reads: names, and commas between them; see above for a second line."""
    try:
        settings = load(path)
    except SettingsError:
        settings = Settings()
    apart = [library.module for library in settings.libraries if library.debian]
    return "\n".join([",".join(extras(settings)), *apart])


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])) + "\n")
