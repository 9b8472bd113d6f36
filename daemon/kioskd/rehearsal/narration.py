"""The rehearsal as it happens, in lines for the person who watches."""

from collections.abc import Callable

from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.simulator.script import Reply

LONGEST_WORDS = 70

IMPERATIVES = {"presses": "press", "holds": "hold", "lets": "let", "says": "say", "interrupts": "interrupt"}


class Narration:
    """Turns notes into lines, and tells those that people care about."""

    def __init__(self, start: float, replies: tuple[Reply, ...], tell: Callable[[str], None]) -> None:
        """`start`: when the clock's seconds begin to count; `replies`: what the service has to say, for its words."""
        self._start = start
        self._replies = replies
        self._tell = tell
        self._spoken = replies[0]

    def note(self, note: LoggedEvent) -> None:
        """Tell of a note, if it is worth a line."""
        self._follow_script(note)
        if (note.by, note.what) == ("visitor", "is asked"):
            self._tell(f"\n  >>> {note.data['words']}\n")
            return
        words = self._words(note)
        if words:
            self._tell(f"{note.t - self._start:6.1f} s  {note.by:8}  {words}")

    def _follow_script(self, note: LoggedEvent) -> None:
        """Know which of the scripted replies is under way."""
        if note.by == "service" and note.what == "reply_began":
            reply = self._replies[int(str(note.data["place"]))]
            meanwhile = reply.meanwhile if note.data["meanwhile"] else None
            self._spoken = meanwhile or reply

    def _words(self, note: LoggedEvent) -> str:
        match note.by:
            case "visitor":
                return _deed(note)
            case "service":
                return _by_service(note)
        data, words = note.data, ""
        match note.by, note.what:
            case "kiosk", "shows" if data["state"] != "speaking":
                words = f"{data['state']} (code {data['code']})" if "code" in data else str(data["state"])
            case "kiosk", "reply began":
                words = f"speaking: {self._reply()}"
            case "kiosk", "reply silenced":
                words = "falls silent"
            case "daemon", "Prompt":
                words = f"tells the visitor what is wrong: {data['code']}"
            case "daemon", "Up":
                words = f"connected (epoch {data['epoch']}{', session resumed' if data['resumed'] else ''})"
            case "daemon", "Lost":
                words = f"is without a connection: {str(data['remedy']).replace('_', ' ')}"
            case "daemon", "DeviceGone":
                words = f"has lost the {data['device']}"
        return words

    def _reply(self) -> str:
        reply = self._spoken
        words = reply.text or (reply.wav.name if reply.wav else "")
        return f"“{words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + '…'}”"


def _deed(note: LoggedEvent) -> str:
    """Say what the visitor does, or is to do."""
    data, words = note.data, note.what
    match note.what:
        case "presses the button" | "holds the button" | "lets the button go":
            words = words if data["button"] == 1 else words.replace("the button", f"button {data['button']}")
        case "says" | "interrupts with":
            words = f"{words} “{data['words']}” ({data['seconds']:.1f} s)"
        case "commands":
            words = f"commands: kioskd {data['command']}"
        case _:
            return ""
    if data.get("please"):
        for does, do in IMPERATIVES.items():
            words = words.replace(does, do)
        words = f"please: {words}"
    return words


def _by_service(note: LoggedEvent) -> str:
    """Say what the service's stand-in does."""
    data, words = note.data, ""
    match note.what:
        case "tool_call":
            words = f"calls {data['name']}"
        case "tool_call_cancelled":
            words = "takes a call back"
        case "token_minted":
            words = "mints a token"
        case "picture":
            words = f"gets a picture ({int(str(data['bytes'])) / 1000:.0f} kB)"
        case "fault":
            words = f"fault, as scripted: {data['do']}"
        case "go_away":
            words = f"will close the connection in {data['left_s']:g} s"
    return words
