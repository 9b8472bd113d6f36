"""Settings -> the optional parts of the package that they need: `python -m kioskd.settings.extras FILE` prints them.

And in a line of its own `picamera2`, where they name such a camera: it is Debian's before it is the package index's.
For the installer: a file that cannot be read needs none, and `kioskd check` says more of it.
"""

import sys
from pathlib import Path

from kioskd.settings.load import SettingsError, load
from kioskd.settings.model import Settings
from kioskd.tools import startup as tools


def extras(settings: Settings) -> list[str]:
    """Return the names of the extras, as pyproject.toml has them."""
    wanted = {
        "echo": settings.microphone.echo == "cancel",
        "input": any(button.source.startswith("evdev:") for button in settings.controls.all_buttons),
        "wakeword": "wakeword" in settings.conversation.wake,
        "watch": True,
    }
    return sorted({name for name, needed in wanted.items() if needed} | tools.extras(settings.tools))


def main(path: Path) -> str:
    """Return what the installer reads: names, and commas between them; see above for a second line."""
    try:
        settings = load(path)
    except SettingsError:
        settings = Settings()
    camera = ["picamera2"] if settings.camera.source.startswith("picamera") else []
    return "\n".join([",".join(extras(settings)), *camera])


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])) + "\n")
