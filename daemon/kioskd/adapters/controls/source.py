"""What each kind of button source and lamp source declares about itself."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from kioskd.adapters.source import Source

if TYPE_CHECKING:
    from kioskd import ports


class LampOptions(Protocol):
    """What the settings say of a lamp beside its source."""

    @property
    def active(self) -> Literal["low", "high"]:
        """The line's level when the lamp is lit, or the button is pressed."""


class ButtonOptions(LampOptions, Protocol):
    """What the settings say of a button beside its source."""

    @property
    def pull(self) -> Literal["up", "down", "none"] | None:
        """The line's resistor; None where the adapter chooses it."""

    @property
    def debounce_ms(self) -> int:
        """Milliseconds for which the level must hold."""


class ButtonSource(Source, ABC):
    """One source of a button, taken apart."""

    refusal: ClassVar[str]
    """What the settings say of a text with this prefix and another form."""
    called: ClassVar[str]
    """What it is, in words."""
    is_line: ClassVar[bool] = False
    """Whether it is a GPIO line, with a resistor, a level and bouncing contacts."""

    @abstractmethod
    def build(self, options: ButtonOptions, shared: dict[str, Any]) -> "ports.Button":
        """Return the button, not opened yet.

        `shared` is one for all buttons of a kiosk. A kind keeps in it, under its prefix, what its buttons share.
        ConfigError: a library that it needs is missing, or knows no such button.
        """


class LampSource(Source, ABC):
    """One source of a lamp, taken apart."""

    is_line: ClassVar[bool] = False
    """Whether it is made of GPIO lines, which are on or off."""
    dims: ClassVar[bool] = False
    """Whether it has levels of brightness."""

    @abstractmethod
    def build(self, options: LampOptions) -> "ports.Lamp":
        """Return the lamp, not opened yet. ConfigError: a library that it needs is missing."""
