"""Builds the captions and their screens. Without the settings for them, nothing of captions is loaded."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kioskd import ports
from kioskd.errors import Code
from kioskd.flow.runtime.workers import Worker
from kioskd.settings.captions import CaptionsSettings
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.flow.captions.captions import Captions, ReplySound


def captions(
    settings: Settings,
    clock: ports.Clock,
    sound: "ReplySound",
    newest_reply: Callable[[], int],
    *,
    ends_in_s: Callable[[], float | None] = lambda: None,
) -> "Captions | None":
    """Return the captions; None if the settings ask for none. Reads files: blocks."""
    if not settings.captions.on:
        return None
    from kioskd.flow.captions.captions import Captions  # noqa: PLC0415 - off by default

    language = settings.assistant.first_language
    return Captions(
        clock,
        sound,
        language=language,
        newest_reply=newest_reply,
        words=_words(language, settings),
        ends_in_s=ends_in_s,
    )


def screens(settings: CaptionsSettings, clock: ports.Clock) -> Sequence[ports.CaptionScreen]:
    """Return the screens of the settings, without opening them."""
    made: list[ports.CaptionScreen] = []
    if settings.port:
        from kioskd.adapters.captions.page_server import CaptionPage  # noqa: PLC0415 - off by default

        made.append(CaptionPage(settings.port, clock))
    if settings.terminal is not None:
        from kioskd.adapters.captions.terminal import CaptionTerminal  # noqa: PLC0415 - off by default

        made.append(CaptionTerminal(settings.terminal, clock))
    return made


def workers(made: "Captions | None", caption_screens: Sequence[ports.CaptionScreen]) -> Mapping[str, Worker]:
    """Return the workers of all screens."""
    if made is None:
        return {}
    return {
        f"captions {number}": partial(screen.show, made.follow)
        for number, screen in enumerate(caption_screens, 1)
    }


def _words(language: str, settings: Settings) -> Callable[[Code], str]:
    """Return a function that returns the sentence of a fault, as the kiosk speaks it."""
    from kioskd.prompts import texts  # noqa: PLC0415 - off by default

    sentences = texts.read(language, settings.speaker.prompts_folder).sentences
    return lambda code: sentences.get(code, "")
