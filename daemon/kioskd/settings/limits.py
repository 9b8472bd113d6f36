"""Bounds on the bill, and what is kept of a conversation."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import OwnerText, PathOnDisk, QuietHours, Range, said, shown

NOTICE = (
    "(This comes from the kiosk, not from the visitor.) The conversation has to end soon. Tell the visitor "
    "so in one short sentence, in the language that you speak with them, and say goodbye."
)


def span(hours: str) -> tuple[int, int]:
    """Return `HH:MM-HH:MM` in minutes of the day."""
    first, last = (int(clock[:2]) * 60 + int(clock[3:]) for clock in hours.split("-"))
    return first, last


class LimitsSettings(Section):
    """Bounds on the bill; see also `conversation.longest_s`."""

    minutes_per_day: Annotated[int, Range(0, 1440, "a day has 1440 minutes")] = 0
    """Minutes of conversation a day, by the local date; 0 is no limit. Only minutes with a connection count. Kept over
    restarts; when the count is lost (a damaged file), the day counts as spent."""
    tokens_per_day: Annotated[int, Range(0, 10**12, "it is a count")] = 0
    """Tokens a day, in and out, as the service counts them; 0 is no limit. The service counts the whole conversation so
    far with each turn."""
    tokens_per_conversation: Annotated[int, Range(0, 10**12, "it is a count")] = 0
    """Tokens of one conversation, in and out; 0 is no limit."""
    quiet_hours: Annotated[tuple[QuietHours, ...], Field(max_length=20)] = ()
    """Spans of local time, HH:MM-HH:MM, in which the kiosk is closed: nothing wakes it, and a conversation ends."""
    warn_s: Annotated[int, Range(0, 600, "it is a notice, not a warning of old")] = 60
    """Seconds before an end by minutes, hours or `conversation.longest_s` at which the visitor is told, at most a quarter
    of the limit; 0: never."""
    warn_percent: Annotated[int, Range(1, 100, "it is a percentage")] = 95
    """Percent of the tokens at which the visitor is told; 100: never."""
    notice: Annotated[OwnerText, StringConstraints(max_length=2_000)] = NOTICE
    """What the model is asked to do then. When it cannot (no quiet moment, no connection), the kiosk's own prompt says at
    the end why it is closed."""


class RecordSettings(Section):
    """Where something is kept, how long, and how much of it. None of these has a default: it is the owner's word."""

    folder: PathOnDisk
    """Folder of its own, which belongs to kioskd alone. Below /var/lib/kioskd it is made; another has to be there (`sudo
    install -d -m 700 -o kioskd -g kioskd FOLDER`), and needs ReadWritePaths=-FOLDER by `systemctl edit kioskd`."""
    keep_days: Annotated[int, Range(1, 3650, "what is kept has to go some day")]
    """Days after which a file is deleted."""
    most_mb: Annotated[int, Range(1, 1_000_000, "a disk has an end")]
    """Megabytes of all files; the oldest are deleted when there is more. An hour of sound is about 300."""


def _off_or_all(value: Any) -> Any:
    if value == "off":
        return None
    if value is not None and not isinstance(value, dict | RecordSettings):
        raise said(
            f"{shown(value)} is not enough: what is kept needs a place, a time and a bound; "
            "use off, or write folder:, keep_days: and most_mb: below it"
        )
    return value


RecordOption = Annotated[
    RecordSettings | None,
    BeforeValidator(_off_or_all, json_schema_input_type=RecordSettings | Literal["off"]),
]


class PrivacySettings(Section):
    """What is kept. Nothing, unless the owner asks."""

    transcripts: RecordOption = None
    """The words of each conversation, as the service has understood them: off, or folder, keep_days and most_mb."""
    recordings: RecordOption = None
    """The sound of each conversation, as it was sent and as it came: off, or folder, keep_days and most_mb. In many places
    the law wants visitors to be told, or asked."""

    @field_validator("recordings")
    @classmethod
    def _has_a_folder_of_its_own(
        cls, recordings: RecordSettings | None, info: ValidationInfo
    ) -> RecordSettings | None:
        transcripts: RecordSettings | None = info.data.get("transcripts")
        if recordings and transcripts and recordings.folder.absolute() == transcripts.folder.absolute():
            raise said("has the folder of transcripts: each would delete the other's files; name another")
        return recordings
