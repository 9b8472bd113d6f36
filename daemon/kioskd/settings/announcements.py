"""Settings of the owner's announcements."""

from typing import Annotated, Final, Literal, get_args

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from kioskd.settings.limits import span
from kioskd.tools.argv import runnable
from kioskd.tools.kinds.value_types import ProgramArguments
from kioskd.tools.program_settings import ProgramSettings
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import (
    ClockTime,
    Language,
    OwnerText,
    PathOnDisk,
    QuietHours,
    Range,
    at_each,
    said,
)

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = get_args(Day)

LONGEST: Final = 500
"""Most characters of an announcement, as of a prompt."""


class VoiceSettings(ProgramSettings):
    """A program that reads announcements aloud. Its sandbox is that of a tool's program."""

    writes: Annotated[tuple[PathOnDisk, ...], Field(max_length=40)] = ()
    """Files, folders and devices that the program may change."""

    argv: Annotated[
        ProgramArguments,
        Field(examples=[["/usr/local/bin/piper", "--model", "/etc/kioskd/voice.onnx", "--output_file", "-"]]),
    ]
    """Program and its arguments, without a shell. The program may read the files that `argv` names."""

    @field_validator("argv")
    @classmethod
    def _argv_runs(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return runnable(value, info)


class ScheduledAnnouncement(Section):
    """An announcement at a time of the day. It needs `say` or `file`, or both."""

    at: Annotated[ClockTime, Field(examples=["17:45"])]
    """Local time, as HH:MM in quotes. A time in the hour that spring skips comes an hour later. A time in the
    hour that autumn repeats comes once."""
    days: Annotated[tuple[Day, ...], Field(max_length=7, examples=[["mon", "tue", "wed", "thu", "fri"]])] = (
        DAYS
    )
    """Days of the week on which it comes: mon, tue, wed, thu, fri, sat, sun."""
    say: Annotated[OwnerText, StringConstraints(max_length=LONGEST)] | None = Field(
        default=None, examples=["We close in a quarter of an hour."]
    )
    """Words to speak, exactly so. With `file`, they are its words for those who cannot hear them."""
    file: Annotated[PathOnDisk | None, Field(validate_default=True)] = Field(
        default=None, examples=["closing.wav"]
    )
    """Recording to play in place of a voice: a WAV of at most 60 s."""
    language: Language | None = Field(default=None, examples=["en-GB"])
    """Language of `say`. If not set, it is `assistant.language`."""

    @field_validator("days")
    @classmethod
    def _some_day(cls, value: tuple[Day, ...]) -> tuple[Day, ...]:
        if not value:
            raise said("is an empty list, so it would never come; name days, or leave days out for every day")
        return value

    @field_validator("file")
    @classmethod
    def _says_something(cls, value: object, info: ValidationInfo) -> object:
        if value is None and "say" in info.data and info.data["say"] is None:
            raise said("is missing, and so is say; write say: with the words, or file: with a recording")
        return value


class AnnouncementsSettings(Section):
    """Announcements: the kiosk speaks your own words, exactly as they are. The model does not hear them.
    `kioskd say` speaks at once or at a time, and `schedule` speaks each day."""

    voice: VoiceSettings | None = None
    """Program that reads announcements aloud, in place of espeak-ng. It gets the text on stdin, as UTF-8, and
    prints a WAV of at most 60 s within 30 s. Its variable KIOSKD_LANGUAGE is the text's language, such as
    en-GB. If the program fails, espeak-ng speaks, and the journal says why."""
    volume: Annotated[int, Range(1, 100, "it is a percentage, and 0 would not be heard")] = 70
    """Volume of announcements in percent of full scale. Visitors cannot change it."""
    quiet_hours: Annotated[tuple[QuietHours, ...], Field(max_length=20, examples=[["21:00-08:00"]])] = ()
    """Spans of local time, as HH:MM-HH:MM, without announcements. Only `kioskd say --now` speaks then. They
    are independent of `limits.quiet_hours`, which close the kiosk for visitors."""
    schedule: Annotated[
        tuple[ScheduledAnnouncement, ...],
        Field(
            max_length=100,
            examples=[[{"at": "17:45", "days": ["sat", "sun"], "say": "We close in a quarter of an hour."}]],
        ),
    ] = ()
    """Announcements that come at a time of the day. Each entry has `at`, the local time as HH:MM in quotes.
    It has `say`, the words, or `file`, a WAV of at most 60 s, or both. `days` is a list of mon, tue, wed,
    thu, fri, sat and sun; without it, the announcement comes every day. `language` is that of the words;
    without it, `assistant.language` counts. An announcement comes at most a minute late, so a kiosk that was
    off then is silent. It waits for a pause of a conversation for at most 15 minutes. While no time server
    has set the machine's clock, no announcement comes."""

    @field_validator("schedule")
    @classmethod
    def _not_in_quiet_hours(
        cls, value: tuple[ScheduledAnnouncement, ...], info: ValidationInfo
    ) -> tuple[ScheduledAnnouncement, ...]:
        faults = [
            ((number, "at"), f"{each.at} lies in quiet_hours ({hours}), so it would never come; change one")
            for number, each in enumerate(value)
            for hours in info.data.get("quiet_hours", ())
            if within(each.at, hours)
        ]
        if faults:
            raise at_each(faults)
        return value


def within(clock: str, hours: str) -> bool:
    """Return whether the time HH:MM lies in the span HH:MM-HH:MM, which may pass midnight."""
    first, last = span(hours)
    minute = int(clock[:2]) * 60 + int(clock[3:])
    return first <= minute < last if first < last else minute >= first or minute < last
