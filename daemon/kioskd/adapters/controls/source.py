"""The base classes of all kinds of button, reader and lamp sources."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from kioskd.adapters.controls.typed_lines import KeyboardLayout
from kioskd.adapters.source import Source

if TYPE_CHECKING:
    from kioskd import ports


class LampOptions(Protocol):
    """Settings of a lamp, other than its source."""

    @property
    def active(self) -> Literal["low", "high"]:
        """The line's level while the lamp is lit, or the button is pressed."""


class ButtonOptions(LampOptions, Protocol):
    """Settings of a button, other than its source."""

    @property
    def pull(self) -> Literal["up", "down", "none"] | None:
        """The line's resistor; None if the adapter chooses it."""

    @property
    def debounce_ms(self) -> int:
        """Milliseconds that a new level must last."""


class ButtonSource(Source, ABC):
    """Parsed source of a button."""

    refusal: ClassVar[str]
    """End of the error message for a text with this prefix and a wrong form; it begins with the text."""
    called: ClassVar[str]
    """Name of this kind of source in messages."""
    is_line: ClassVar[bool] = False
    """Whether the source is a GPIO line, which has a resistor, a level and bouncing contacts."""

    @abstractmethod
    def build(self, options: ButtonOptions, shared: dict[str, Any]) -> "ports.Button":
        """Return the button, not opened yet.

        `shared`: one dictionary for all buttons of a kiosk. Each kind stores there, under its prefix, an
        object that its buttons share. ConfigError: a library that the button needs is missing, or does not
        know the key.
        """


class ReaderOptions(Protocol):
    """Settings of a reader, other than its source."""

    @property
    def layout(self) -> KeyboardLayout:
        """The keyboard that the reader types like."""


class ReaderSource(Source, ABC):
    """Parsed source of a reader, which types lines."""

    @abstractmethod
    def build(self, options: ReaderOptions, shared: dict[str, Any]) -> "ports.LineReader":
        """Return the reader, not opened yet; see `ButtonSource.build`."""


class LampSource(Source, ABC):
    """Parsed source of a lamp."""

    is_line: ClassVar[bool] = False
    """Whether the lamp is on GPIO lines, which are on or off only."""
    dims: ClassVar[bool] = False
    """Whether the lamp can be dimmed."""

    @abstractmethod
    def build(self, options: LampOptions) -> "ports.Lamp":
        """Return the lamp, not opened yet. ConfigError: a library that the lamp needs is missing."""
