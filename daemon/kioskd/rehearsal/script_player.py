"""Plays the visitor's script: presses, speaks, waits.

With a scripted microphone it acts itself; with real devices it asks a person to act.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from kioskd import regular_file
from kioskd.adapters.remote.control_wire import ANSWER_BYTES
from kioskd.errors import KioskError
from kioskd.media import pcm
from kioskd.rehearsal.environment import RehearsalEnvironment
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.fake_microphone import FakeMicrophone, SpeechRecording, Utterance
from kioskd.rehearsal.scenario import SPOKEN_BEFORE_INTERRUPTION_S, STATES, Step, Wait

STARTING_AT_MOST_S: Final = 20.0
"""Longest time in seconds for the daemon to be ready: a small computer needs seconds to open real devices."""

SPEAKING_AT_MOST_S: Final = 20.0
"""Longest time in seconds for which an interruption waits until the kiosk speaks."""

LARGEST_PICTURE_BYTES: Final = 64_000_000

ANSWERED_WITHIN_S: Final = 10.0
"""Longest time in seconds for which a command waits for the kiosk's answer."""

PEOPLE_TAKE_S: Final = 45.0
"""Additional seconds for each wait with a person, who first has to read the request."""

BUTTON_NOTES: Final = {
    "press": "presses the button",
    "hold": "holds the button",
    "release": "lets the button go",
}


class OffScriptError(KioskError):
    """A condition that the script waited for did not come true, or a command of the script was refused."""


class ScriptPlayer:
    """The scripted visitor."""

    def __init__(self, environment: RehearsalEnvironment, speeches: Mapping[Path, SpeechRecording]) -> None:
        """Act in `environment`. `speeches` holds the recordings of the script by their paths."""
        self.utterances: list[tuple[str, Utterance]] = []
        """Utterances: `say` or `interrupt`, and the place in the track."""
        self._event_log = environment.event_log
        self._clock = environment.clock
        self._observer = environment.observer
        self._heard = environment.speaker.heard
        self._microphone = (
            environment.microphone if isinstance(environment.microphone, FakeMicrophone) else None
        )
        self._buttons = environment.buttons
        self._reader = environment.reader
        self._control = environment.control
        self._speeches = speeches
        self._longer_s = PEOPLE_TAKE_S if self._microphone is None else 0.0
        self._seen = 0
        """The number of events at the start of the log that a `wait` ignores."""

    async def perform(self, steps: tuple[Step, ...]) -> None:
        """Play all steps in order.

        Raises:
            OffScriptError: a condition did not come true in time, or a command was refused.
        """
        await self._until(
            lambda: self._observer.shown != "starting", STARTING_AT_MOST_S, "the daemon to be ready"
        )
        for number, step in enumerate(steps, 1):
            try:
                await self._do(step)
            except OffScriptError as error:
                raise OffScriptError(f"step {number} of visitor: {error}") from None

    async def _do(self, step: Step) -> None:
        (name,) = step.model_fields_set
        if name not in ("wait", "pause_s"):
            # The kiosk may react to it.
            self._seen = len(self._event_log.notes)
        match name, getattr(step, name):
            case "wait", wait:
                await self._wait(wait)
            case "pause_s", seconds:
                self._event_log.add("visitor", "pauses", seconds=seconds)
                await self._clock.sleep(seconds)
            case "say", path:
                await self._say("say", self._speeches[path])
            case "interrupt", path:
                await self._interrupt(self._speeches[path])
            case "please", words:
                self._event_log.add("visitor", "is asked", words=words)
            case ("press" | "hold" | "release") as gesture, button:
                self._touch(gesture, button)
            case "scan", line:
                self._scan(line)
            case "command", command:
                await self._order({"do": command})
            case "ask", text:
                await self._order({"do": "ask", "text": text})
            case "announce", wish:
                await self._order({"do": "say", "text": wish.text, "now": wish.now})
            case "show", path:
                await self._order({"do": "show"}, await asyncio.to_thread(_picture, path))

    def _touch(self, gesture: Literal["press", "hold", "release"], number: int | str) -> None:
        """Press, hold or release a button, or ask the person to do it."""
        please = self._buttons is None
        self._event_log.add("visitor", BUTTON_NOTES[gesture], button=number, please=please)
        if self._buttons is None:
            return
        button = self._buttons.get(number)
        if button is None:
            known = ", ".join(map(str, self._buttons))
            raise OffScriptError(
                f"there is no button {number}; use one of {known}, or add it to controls.buttons"
            )
        {"press": button.press, "hold": button.hold, "release": button.release}[gesture]()

    def _scan(self, line: str) -> None:
        """Show the reader a code, or ask the person to do it."""
        self._event_log.add("visitor", "scans", please=self._buttons is None)
        if self._buttons is None:
            return
        if self._reader is None:
            raise OffScriptError("there is no reader; add controls.readers and subjects to the settings")
        self._reader.scan(line)

    async def _order(self, request: Mapping[str, object], attachment: bytes = b"") -> None:
        self._event_log.add("visitor", "commands", command=request["do"], bytes=len(attachment))
        await order(self._control, request, attachment)

    async def _interrupt(self, speech: SpeechRecording) -> None:
        def deep_in_speech() -> bool:
            since = self._heard.sounding_since
            return since is not None and self._clock.now() - since >= SPOKEN_BEFORE_INTERRUPTION_S

        await self._until(deep_in_speech, SPEAKING_AT_MOST_S, "the kiosk to speak")
        await self._say("interrupt", speech)

    async def _say(self, how: str, speech: SpeechRecording) -> None:
        seconds = pcm.duration_s(len(speech.sound), pcm.UPLINK_HZ)
        what = "says" if how == "say" else "interrupts with"
        self._event_log.add(
            "visitor", what, words=speech.name, seconds=seconds, please=self._microphone is None
        )
        if self._microphone is None:
            return
        closed, utterance = self._microphone.closed, self._microphone.say(speech.sound)
        if not closed:
            self.utterances.append((how, utterance))
        await self._clock.sleep(seconds)

    async def _wait(self, wait: Wait) -> None:
        """Return when the state is shown, or if the condition came true since the visitor's last act."""

        def met() -> bool:
            if wait.for_ in STATES and self._observer.shown == wait.for_:
                return True
            for index in range(self._seen, len(self._event_log.notes)):
                if _matches(self._event_log.notes[index], wait.for_):
                    self._seen = index + 1
                    return True
            return False

        await self._until(met, wait.at_most_s, wait.for_.replace("_", " "))
        self._event_log.add("visitor", "has waited", condition=wait.for_)

    async def _until(self, holds: Callable[[], bool], at_most_s: float, what: str) -> None:
        at_most_s += self._longer_s
        try:
            async with asyncio.timeout(at_most_s):
                await self._event_log.until(holds)
        except TimeoutError:
            raise OffScriptError(
                f"waited {at_most_s:g} s in vain for {what}: the kiosk shows {self._observer.shown}; "
                "see timeline.png, or give the step a longer at_most_s"
            ) from None


_HAPPENINGS: Final[Mapping[str, tuple[str, str, Mapping[str, object]]]] = {
    "greeting_heard": ("kiosk", "reply heard", {"greeting": True}),
    "connected": ("daemon", "Up", {}),
    "resumed": ("daemon", "Up", {"resumed": True}),
    "link_lost": ("daemon", "Lost", {}),
    "prompt_over": ("daemon", "PromptOver", {}),
    "announcement_began": ("daemon", "Announce", {}),
    "announcement_over": ("daemon", "PromptOver", {}),
    "picture_arrived": ("service", "picture", {}),
    "asking": ("daemon", "ConfirmWanted", {"wanted": True}),
    "warned": ("daemon", "Chime", {"cue": "warn"}),
}
"""The log entry for each condition that is neither a state nor the name of the kiosk's own log entry."""


def _matches(note: LoggedEvent, condition: str) -> bool:
    if condition in STATES:
        return note.what == "shows" and note.data["state"] == condition
    by, what, data = _HAPPENINGS.get(condition, ("kiosk", condition.replace("_", " "), {}))
    return note.by == by and note.what == what and data.items() <= note.data.items()


def _picture(path: Path) -> bytes:
    """Return the content of a picture's file. The kiosk itself refuses a picture that is too large."""
    try:
        return regular_file.content(path, LARGEST_PICTURE_BYTES)
    except OSError as error:
        raise OffScriptError(f"show: {path} cannot be read: {error.strerror}; correct the path") from None


async def order(socket: Path, request: Mapping[str, object], attachment: bytes = b"") -> dict[str, Any]:
    """Send one request to a kiosk's control socket, and return the answer; see
    `adapters.remote.control_wire`.

    Raises:
        OffScriptError: the request was refused, or was not answered within 10 s.
    """
    size = {"bytes": len(attachment)} if attachment else {}
    try:
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(socket, limit=ANSWER_BYTES)
            try:
                writer.write(json.dumps({**request, **size}).encode() + b"\n" + attachment)
                await writer.drain()
                answer: dict[str, Any] = json.loads(await reader.readline())
            finally:
                writer.close()
    except (OSError, ValueError, TimeoutError) as error:
        raise OffScriptError(
            f"{request['do']}: the kiosk does not answer at its control socket: {type(error).__name__}"
        ) from error
    if not answer["ok"]:
        raise OffScriptError(f"{request['do']}: the kiosk refuses: {answer['why']}")
    return answer
