"""Settings of captions: the words of both sides as text."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import PathOnDisk, Range, said


def _terminal(path: Path) -> Path:
    if path.parent != Path("/dev") or not path.name.startswith("tty") or path.name == "tty":
        raise said(f"{path} is no terminal of this machine; write, for example, /dev/tty1")
    return path


class CaptionsSettings(Section):
    """Captions: what both sides say, as text on a screen, in step with the sound. They are in memory only,
    and are cleared when the kiosk falls asleep. Everything is off until you set it."""

    port: Annotated[int, Range(0, 65_535, "it is the number of a port")] = 0
    """Port of the page http://127.0.0.1:PORT/ for a browser on this machine. 0 is off. Another value must be
    1024 or more. Every user and program of this machine can read the page."""
    terminal: Annotated[
        Annotated[PathOnDisk, AfterValidator(_terminal)] | None, Field(examples=["/dev/tty1"])
    ] = None
    """Terminal that shows the captions, for a small screen without a browser. The service also needs the
    file config/examples/captions-terminal.conf; `kioskd help captions` says where."""
    stream: bool = False
    """Whether `kioskd captions` prints captions even if there is neither a page nor a terminal. All members
    of the group kioskd can use that command."""

    @field_validator("port")
    @classmethod
    def _not_a_privileged_one(cls, value: int) -> int:
        if 0 < value < 1024:
            raise said(f"{value} is a port for root only; write 1024 or more, for example 8088")
        return value

    @property
    def on(self) -> bool:
        """Whether there are captions at all."""
        return bool(self.port or self.terminal or self.stream)
