"""What outlives the process, and what the kiosk says by itself."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from kioskd.errors import Code


class ResumptionStore(Protocol):
    """What outlives a process that is killed in mid-conversation."""

    def recover(self) -> tuple[int, SecretStr] | None:
        """Return the number and handle of the conversation that another process left, and forget them."""

    def keep(self, conversation: int, handle: SecretStr) -> None:
        """Replace what is kept."""

    def forget(self) -> None:
        """Keep nothing."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What people have set by hand, and what is to hold after a restart, too."""

    volume: int | None = None
    """Percent; None as long as nobody has touched it."""
    muted: bool = False


class PreferenceStore(Protocol):
    """Where preferences outlive the process and the machine's run."""

    def load(self) -> Preferences:
        """Return what was saved last; the defaults where there is nothing, or nothing readable."""

    def save(self, preferences: Preferences) -> None:
        """Replace what is kept. Blocks.

        Raises:
            OSError: it cannot be written; what was kept before stays.
        """


class Prompts(Protocol):
    """What the kiosk has to say for itself when the service cannot: by code."""

    async def prepare(self) -> None:
        """Make ready what is to be said; takes seconds the first time. Trouble with it is said, and not raised."""

    def get(self, code: Code) -> bytes | None:
        """Return a prompt's sound, 24 kHz PCM; None where there is none (yet)."""

    async def question(self, name: str, words: str) -> bytes | None:
        """Return a question for a press aloud, 24 kHz PCM; None where it cannot be said, which is logged.

        `name`: of the tool that asks; `words`: the owner's own for it, or nothing. Cancelling ends it.
        """
