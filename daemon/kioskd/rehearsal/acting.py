"""Performs the visitor's script: presses, speaks, waits.

By itself where the microphone is the script's own; with real devices it asks the person who stands there.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from kioskd.errors import KioskError
from kioskd.rehearsal.notes import Note
from kioskd.rehearsal.scenario import SPOKEN_BEFORE_INTERRUPTION_S, Step, Wait
from kioskd.rehearsal.speech import Speech
from kioskd.rehearsal.stage import Stage
from kioskd.rehearsal.visitor import Utterance, VisitorMicrophone

STARTING_AT_MOST_S: Final = 20.0
"""How long the daemon may take to serve: opening real devices takes seconds on a small computer."""

SPEAKING_AT_MOST_S: Final = 20.0
"""How long an interruption waits for something to interrupt."""

PEOPLE_TAKE_S: Final = 45.0
"""How much longer everything may take with a person who first has to read what to do."""

STATES: Final = frozenset({"asleep", "waking", "listening", "thinking", "speaking", "offline", "fault"})


class OffScriptError(KioskError):
    """What the script waited for did not come."""


class Actor:
    """The scripted visitor."""

    def __init__(self, stage: Stage, speeches: Mapping[Path, Speech]) -> None:
        """Enter `stage`; `speeches`: what the script says, by its path."""
        self.utterances: list[tuple[str, Utterance]] = []
        """What was said: `say` or `interrupt`, and where it is in the track."""
        self._notebook = stage.notebook
        self._clock = stage.clock
        self._witness = stage.witness
        self._heard = stage.speaker.heard
        self._microphone = stage.microphone if isinstance(stage.microphone, VisitorMicrophone) else None
        self._press = None if stage.button is None else stage.button.press
        self._speeches = speeches
        self._patience_s = PEOPLE_TAKE_S if self._microphone is None else 0.0
        self._seen = 0
        """How many notes are of no more interest to a `wait`."""

    async def perform(self, steps: tuple[Step, ...]) -> None:
        """Do all steps, in order.

        Raises:
            OffScriptError: something that was waited for did not come in time.
        """
        await self._until(
            lambda: self._witness.shown != "starting", STARTING_AT_MOST_S, "the daemon to be ready"
        )
        for number, step in enumerate(steps, 1):
            try:
                await self._do(step)
            except OffScriptError as error:
                raise OffScriptError(f"step {number} of visitor: {error}") from None

    async def _do(self, step: Step) -> None:
        if step.wait is not None:
            await self._wait(step.wait)
        elif step.pause_s is not None:
            self._notebook.add("visitor", "pauses", seconds=step.pause_s)
            await self._clock.sleep(step.pause_s)
        elif step.say is not None:
            self._seen = len(self._notebook.notes)
            await self._say("say", self._speeches[step.say])
        elif step.interrupt is not None:
            self._seen = len(self._notebook.notes)
            await self._interrupt(self._speeches[step.interrupt])
        else:
            self._seen = len(self._notebook.notes)
            self._notebook.add("visitor", "presses the button", please=self._press is None)
            if self._press is not None:
                self._press()

    async def _interrupt(self, speech: Speech) -> None:
        def deep_in_speech() -> bool:
            since = self._heard.sounding_since
            return since is not None and self._clock.now() - since >= SPOKEN_BEFORE_INTERRUPTION_S

        await self._until(deep_in_speech, SPEAKING_AT_MOST_S, "the kiosk to speak")
        await self._say("interrupt", speech)

    async def _say(self, how: str, speech: Speech) -> None:
        seconds = speech.duration_s
        what = "says" if how == "say" else "interrupts with"
        self._notebook.add(
            "visitor", what, words=speech.name, seconds=seconds, please=self._microphone is None
        )
        if self._microphone is None:
            return
        self.utterances.append((how, self._microphone.say(speech.sound)))
        await self._clock.sleep(seconds)

    async def _wait(self, wait: Wait) -> None:
        """Return when the state is shown, or was since the last deed; or the thing has happened since."""

        def met() -> bool:
            if wait.for_ in STATES and self._witness.shown == wait.for_:
                return True
            for index in range(self._seen, len(self._notebook.notes)):
                if _matches(self._notebook.notes[index], wait.for_):
                    self._seen = index + 1
                    return True
            return False

        await self._until(met, wait.at_most_s, wait.for_.replace("_", " "))
        self._notebook.add("visitor", "has waited", condition=wait.for_)

    async def _until(self, holds: Callable[[], bool], at_most_s: float, what: str) -> None:
        at_most_s += self._patience_s
        try:
            async with asyncio.timeout(at_most_s):
                await self._notebook.until(holds)
        except TimeoutError:
            raise OffScriptError(
                f"waited {at_most_s:g} s for {what}, in vain: the kiosk shows {self._witness.shown}; "
                "see timeline.png, or give the step a longer at_most_s"
            ) from None


def _matches(note: Note, condition: str) -> bool:
    match condition:
        case "greeting_heard":
            return note.what == "reply heard" and note.data["greeting"] is True
        case "connected":
            return note.by == "daemon" and note.what == "Up"
        case "resumed":
            return note.by == "daemon" and note.what == "Up" and note.data["resumed"] is True
        case "link_lost":
            return note.by == "daemon" and note.what == "Lost"
        case state if state in STATES:
            return note.what == "shows" and note.data["state"] == state
    return note.by == "kiosk" and note.what == condition.replace("_", " ")
