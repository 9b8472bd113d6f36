"""The kernel's files for lights, in a folder of the test."""

import errno
import os
from pathlib import Path


def make_led(root: Path, name: str, *, full: int = 255, trigger: str = "none [mmc0] heartbeat") -> Path:
    """Create the files of a kernel LED, and return its folder."""
    led = root / name
    led.mkdir(parents=True)
    (led / "brightness").write_text("0\n")
    (led / "max_brightness").write_text(f"{full}\n")
    (led / "trigger").write_text(f"{trigger}\n")
    return led


class PwmChip:
    """PWM chip with the kernel's rules; `write` replaces `write_attribute`."""

    def __init__(self, root: Path, name: str = "pwmchip0", device: str = "fe20c000.pwm", channels: int = 2):
        self.path = root / name
        self.written: list[tuple[str, str]] = []
        """File and text of each write, in order."""
        self.refusal: tuple[str, OSError] | None = None
        """A file, and the kernel's error for writes to it; None for no error."""
        self._channels = channels
        self.path.mkdir(parents=True)
        behind = root.parent / "platform" / device
        behind.mkdir(parents=True)
        (self.path / "device").symlink_to(behind)

    def channel(self, number: int) -> Path:
        return self.path / f"pwm{number}"

    def lit(self, number: int) -> bool:
        """Return whether there are pulses."""
        files = self.channel(number)
        return files.is_dir() and self._read(files, "enable") == 1 and self._read(files, "duty_cycle") > 0

    def export(self, number: int) -> None:
        """Create the channel's files, as they are after a start."""
        if number >= self._channels:
            raise OSError(errno.ENODEV, "No such device", str(self.path / "export"))
        files = self.channel(number)
        if files.is_dir():
            raise OSError(errno.EBUSY, "Device or resource busy", str(self.path / "export"))
        files.mkdir()
        for name in ("period", "duty_cycle", "enable"):
            (files / name).write_text("0\n")

    def write(self, path: Path, text: str) -> None:
        self.written.append((path.name, text))
        if self.refusal is not None and self.refusal[0] == path.name:
            raise self.refusal[1]
        if path.name == "export":
            self.export(int(text))
        elif path.name == "unexport":
            files = self.channel(int(text))
            for each in files.iterdir():
                each.unlink()
            files.rmdir()
        else:
            self._write_number(path, int(text))

    def _write_number(self, path: Path, number: int) -> None:
        files = path.parent
        wanted = {
            "period": self._read(files, "period"),
            "duty_cycle": self._read(files, "duty_cycle"),
            path.name: number,
        }
        if not wanted["period"] or wanted["duty_cycle"] > wanted["period"]:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
        path.write_text(f"{number}\n")

    @staticmethod
    def _read(files: Path, name: str) -> int:
        return int((files / name).read_text())
