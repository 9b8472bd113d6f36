"""Settings of limits on the bill, and of stored conversations."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import OwnerText, PathOnDisk, QuietHours, Range, said, shown

NOTICE = (
    "(This comes from the kiosk, not from the visitor.) The conversation has to end soon. Tell the visitor "
    "so in one short sentence, in the language that you speak with them, and say goodbye."
)


def span(hours: str) -> tuple[int, int]:
    """Return the begin and end of `HH:MM-HH:MM` in minutes of the day."""
    first, last = (int(clock[:2]) * 60 + int(clock[3:]) for clock in hours.split("-"))
    return first, last


class LimitsSettings(Section):
    """Limits on the bill, and opening hours. `conversation.longest_s` is another limit."""

    minutes_per_day: Annotated[int, Range(0, 1440, "a day has 1440 minutes")] = 0
    """Minutes of conversation a day, by the local date. 0 is no limit. Only minutes with a connection count.
    The count is kept over restarts. If it is lost (a damaged file), the day counts as spent. After the clock
    was set forward, its date counts only while a time server keeps it right."""
    tokens_per_day: Annotated[int, Range(0, 10**12, "it is a count")] = 0
    """Tokens a day, in and out, as the service counts them. 0 is no limit. With each turn, the service counts
    the whole conversation so far. The count is kept as that of `minutes_per_day`."""
    tokens_per_conversation: Annotated[int, Range(0, 10**12, "it is a count")] = 0
    """Tokens of one conversation, in and out. 0 is no limit."""
    quiet_hours: Annotated[tuple[QuietHours, ...], Field(max_length=20, examples=[["22:00-07:00"]])] = ()
    """Spans of local time, as HH:MM-HH:MM, in which the kiosk is closed. Then nothing wakes it, and a
    conversation ends."""
    warn_s: Annotated[int, Range(0, 600, "an earlier notice would not be taken seriously")] = 60
    """Seconds before the end of a conversation at which the visitor is warned: by the model, by a chime, and
    on the lamp. It is for ends by minutes, by quiet hours and by `conversation.longest_s`. It is at most a
    quarter of the limit. 0 switches that off."""
    warn_percent: Annotated[int, Range(1, 100, "it is a percentage")] = 95
    """Percent of a limit of tokens at which the visitor is warned. 100 switches that off."""
    notice: Annotated[OwnerText, StringConstraints(max_length=2_000)] = NOTICE
    """Instruction to the model for that warning, if no extension is left (see `conversation.extensions`).
    Without a quiet moment, or without a connection, the kiosk speaks a prompt at the end instead. It says why
    the kiosk is closed."""


class RecordSettings(Section):
    """A place for stored conversations, and the limits of that store. None of these settings has a
    default."""

    folder: PathOnDisk
    """Folder for these files alone. kioskd creates a folder below /var/lib/kioskd. You create any other
    folder: `sudo install -d -m 700 -o kioskd -g kioskd FOLDER`. It also needs the line ReadWritePaths=-FOLDER
    under [Service] in `sudo systemctl edit kioskd`."""
    keep_days: Annotated[int, Range(1, 3650, "each file is deleted some day")]
    """Days after which a file is deleted."""
    most_mb: Annotated[int, Range(1, 1_000_000, "each disk is full some day")]
    """Megabytes of all files. If they take more, kioskd deletes the oldest. An hour of sound is about 300."""


def _off_or_all(value: Any) -> Any:
    if value == "off":
        return None
    if value is not None and not isinstance(value, dict | RecordSettings):
        raise said(
            f"{shown(value)} does not say where to store, for how long, and how much; "
            "write off, or write folder:, keep_days: and most_mb: below it"
        )
    return value


RecordOption = Annotated[
    RecordSettings | None,
    BeforeValidator(_off_or_all, json_schema_input_type=RecordSettings | Literal["off"]),
]


class PrivacySettings(Section):
    """Stored conversations. kioskd stores nothing, unless you write here where, for how long and how much."""

    transcripts: RecordOption = Field(
        default=None,
        examples=[{"folder": "/var/lib/kioskd/transcripts", "keep_days": 7, "most_mb": 100}],
    )
    """The words of each conversation, as the service understood them. If not set, or off, they are not
    stored."""
    recordings: RecordOption = Field(
        default=None,
        examples=[{"folder": "/var/lib/kioskd/recordings", "keep_days": 7, "most_mb": 1000}],
    )
    """The sound of each conversation, as the kiosk sent and received it. If not set, or off, it is not
    stored. It needs a folder other than that of `transcripts`. In many places the law demands that visitors
    are told, or asked."""

    @field_validator("recordings")
    @classmethod
    def _has_a_folder_of_its_own(
        cls, recordings: RecordSettings | None, info: ValidationInfo
    ) -> RecordSettings | None:
        transcripts: RecordSettings | None = info.data.get("transcripts")
        if recordings and transcripts and recordings.folder.absolute() == transcripts.folder.absolute():
            raise said(
                "is also the folder of transcripts: each would delete the other's files; write another"
            )
        return recordings
