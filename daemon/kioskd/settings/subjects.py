"""Settings of subjects: the things that visitors stand before, by the lines that readers type."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import OwnerText, PathOnDisk, at, at_each, said, shown

MOST_LINE_CHARS: Final = 200
"""Characters of the longest line that a reader may type, and of the longest key."""
MOST_SUBJECTS: Final = 500
MOST_PICTURES: Final = 32
"""Pictures of all subjects together. The kiosk prepares and keeps all of them when it starts."""


class SubjectSettings(Section):
    """A subject: what the model gets to know when a visitor stands before it."""

    about: Annotated[OwnerText, StringConstraints(max_length=8_000)] = Field(
        examples=["The clock of 1720: an eight-day movement by an unknown maker."]
    )
    """Text for the model about the subject. The model gets it without a request to answer. It gets it again
    when a new session goes on with the conversation."""
    pictures: Annotated[tuple[PathOnDisk, ...], Field(max_length=4, examples=[["clock.jpg"]])] = ()
    """Pictures of the subject (JPEG, PNG, WebP), which the model gets after the text. All subjects together
    can have 32 pictures, because the kiosk prepares all of them when it starts."""
    greeting: Annotated[OwnerText, StringConstraints(max_length=2_000)] | None = Field(
        default=None, examples=["Say in one sentence what the visitor sees."]
    )
    """Instruction to the model for what it says when the subject is chosen. When the subject wakes the kiosk,
    it replaces `assistant.greeting`. During a conversation the model says it after the reply. If not set, the
    model says nothing about a subject that is chosen during a conversation."""


def _fault_of(key: str) -> str | None:
    if not 0 < len(key) <= MOST_LINE_CHARS or not key.isprintable() or key != key.strip():
        return (
            f"{shown(key)} is not a key; write 1 to {MOST_LINE_CHARS} characters, without blanks at the ends"
        )
    if not key.strip("*"):
        return f"{shown(key)} fits every line, also hostile ones; add the part that all lines share"
    return None


def _checked(subjects: dict[str, SubjectSettings]) -> dict[str, SubjectSettings]:
    if faults := [((key,), what) for key in subjects if (what := _fault_of(key)) is not None]:
        raise at_each(faults)
    if len(subjects) > MOST_SUBJECTS:
        raise said(f"has {len(subjects)} subjects; write {MOST_SUBJECTS} at most, or use patterns with *")
    pictures = 0
    for key, subject in subjects.items():
        pictures += len(subject.pictures)
        if pictures > MOST_PICTURES:
            raise at(
                (key, "pictures"), f"has picture number {pictures}; all subjects have {MOST_PICTURES} at most"
            )
    return subjects


SubjectsSetting = Annotated[dict[str, SubjectSettings], AfterValidator(_checked)]
"""All subjects by their keys."""
