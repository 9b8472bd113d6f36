"""The rehearsal as it happens, in lines for the person who watches."""

from collections.abc import Callable

from kioskd.rehearsal.notes import Note
from kioskd.rehearsal.service.script import Reply

LONGEST_WORDS = 70


class Account:
    """Turns notes into lines, and tells those that people care about."""

    def __init__(self, start: float, replies: tuple[Reply, ...], tell: Callable[[str], None]) -> None:
        """`start`: when the clock's seconds begin to count; `replies`: what the service has to say, for its words."""
        self._start = start
        self._replies = replies
        self._tell = tell
        self._turn = -1

    def note(self, note: Note) -> None:
        """Tell of a note, if it is worth a line."""
        self._follow_script(note)
        words = self._words(note)
        if words:
            self._tell(f"{note.t - self._start:6.1f} s  {note.by:8}  {words}")

    def _follow_script(self, note: Note) -> None:
        """Know which of the scripted replies is under way: a silent one takes its turn as well."""
        silent = note.what == "turn_complete" and note.data.get("reply") == "silent"
        if note.by == "service" and (note.what == "reply_began" or silent):
            self._turn += 1

    def _words(self, note: Note) -> str:
        data, words = note.data, ""
        please = "please: " if data.get("please") else ""
        match note.by, note.what:
            case "visitor", "presses the button":
                words = "please: press the button" if please else note.what
            case "visitor", "says" | "interrupts with":
                verb = (
                    note.what.replace("says", "say").replace("interrupts", "interrupt")
                    if please
                    else note.what
                )
                words = f"{please}{verb} “{data['words']}” ({data['seconds']:.1f} s)"
            case "kiosk", "shows" if data["state"] != "speaking":
                words = str(data["state"])
            case "kiosk", "reply began":
                words = f"speaking: {self._reply()}"
            case "kiosk", "reply silenced":
                words = "falls silent"
            case "daemon", "Up":
                words = f"connected (epoch {data['epoch']}{', session resumed' if data['resumed'] else ''})"
            case "daemon", "Lost":
                words = f"is without a connection: {str(data['remedy']).replace('_', ' ')}"
            case "daemon", "DeviceGone":
                words = f"has lost the {data['device']}"
            case "service", "token_minted":
                words = "mints a token"
            case "service", "fault":
                words = f"fault, as scripted: {data['do']}"
            case "service", "go_away":
                words = f"will close the connection in {data['left_s']:g} s"
        return words

    def _reply(self) -> str:
        reply = self._replies[max(0, min(self._turn, len(self._replies) - 1))]
        words = reply.text or (reply.wav.name if reply.wav else "")
        return f"“{words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + '…'}”"
