"""Settings -> the optional parts of the package that they need: `python -m kioskd.settings.extras FILE` prints them.

For the installer: a file that cannot be read needs none, and `kioskd check` says more of it.
"""

import sys
from pathlib import Path

from kioskd.settings.load import SettingsError, load
from kioskd.settings.model import Settings


def extras(settings: Settings) -> list[str]:
    """Return the names of the extras, as pyproject.toml has them."""
    kinds = {tool.kind for tool in settings.tools}
    wanted = {
        "echo": settings.microphone.echo == "cancel",
        "input": any(button.source.startswith("evdev:") for button in settings.controls.all_buttons),
        "mcp": "mcp" in kinds,
        "mqtt": "mqtt" in kinds,
        "wakeword": "wakeword" in settings.conversation.wake,
        "watch": True,
    }
    return [name for name, needed in wanted.items() if needed]


def main(path: Path) -> str:
    """Return what the installer reads: names, and commas between them."""
    try:
        return ",".join(extras(load(path)))
    except SettingsError:
        return ",".join(extras(Settings()))


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])) + "\n")
