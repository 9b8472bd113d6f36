"""The extras of the package that the settings need: `python -m kioskd.settings.extras FILE` prints them.

The installer calls it. A library that only Debian has, for example picamera2, is printed on a line of its
own. For a file with faults the extras of the default settings are printed. `kioskd check` names the faults.
"""

import sys
from pathlib import Path

from kioskd.settings.load import SettingsError, load
from kioskd.settings.model import Settings
from kioskd.tools import registry


def extras(settings: Settings) -> list[str]:
    """Return the names of the extras as in pyproject.toml, sorted."""
    wanted = {
        "echo": settings.microphone.cancels,
        "voice": settings.conversation.needs_speech_model is not None,
        "wakeword": "wakeword" in settings.conversation.wake,
        "watch": True,
        "mqtt": settings.fleet_broker is not None,
    }
    of_sources = {library.extra for library in settings.libraries if library.extra}
    chosen = {name for name, needed in wanted.items() if needed}
    return sorted(chosen | of_sources | registry.extras(settings.tools))


def main(path: Path) -> str:
    """Return the text for the installer: a line of extras with commas between them, then a line for each
    library."""
    try:
        settings = load(path)
    except SettingsError:
        settings = Settings()
    apart = [library.module for library in settings.libraries if library.debian]
    return "\n".join([",".join(extras(settings)), *apart])


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])) + "\n")
