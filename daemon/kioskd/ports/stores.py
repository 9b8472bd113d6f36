"""Interfaces of the state that outlives the process, and of the kiosk's own spoken prompts."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from kioskd.errors import Code


class ResumptionStore(Protocol):
    """Store that lets a conversation outlive a killed process."""

    def recover(self) -> tuple[int, SecretStr, str] | None:
        """Return number, handle and profile of the conversation that another process left; delete them."""

    def keep(self, conversation: int, handle: SecretStr, profile: str) -> None:
        """Store this conversation in place of the last one."""

    def forget(self) -> None:
        """Delete the stored conversation."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Choices that people have made by hand, and that hold after a restart."""

    volume: int | None = None
    """Percent; None: no person has changed it."""
    muted: bool = False


class PreferenceStore(Protocol):
    """Store in which preferences outlive the process and a restart of the machine."""

    def load(self) -> Preferences:
        """Return the preferences saved last; the defaults if there are none, or none readable."""

    def save(self, preferences: Preferences) -> None:
        """Store `preferences` in place of the last ones. Blocks.

        Raises:
            OSError: the file cannot be written; the old preferences stay.
        """


class Prompts(Protocol):
    """The kiosk's own spoken prompts, by code, for times when the service cannot speak."""

    async def prepare(self) -> None:
        """Make all prompts ready, which takes seconds the first time. Failures are logged, and not raised."""

    async def run(self) -> None:
        """Do `prepare`, then follow the visitors' languages, if there are several."""

    def heard(self, language: str) -> None:
        """Speak the next prompts in this language, a BCP-47 tag, if the settings allow it."""

    def forget(self) -> None:
        """Return to the first language of the settings, as the conversation is over."""

    def get(self, code: Code) -> bytes | None:
        """Return a prompt as 24 kHz PCM; None: there is none (yet)."""

    async def question(self, name: str, words: str) -> bytes | None:
        """Return a spoken question that asks for a press, as 24 kHz PCM; None: it cannot be spoken, which is
        logged.

        `name`: the asking tool's name; `words`: the owner's words for it, or "". Safe to cancel.
        """
