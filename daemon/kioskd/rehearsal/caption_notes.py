"""The captions of a rehearsal: their lengths, in the log of events. The log has no words."""

from collections.abc import Mapping
from typing import Any, NoReturn

from kioskd.ports import FollowCaptions
from kioskd.rehearsal.event_log import EventLog


class NotedCaptions:
    """A `ports.CaptionScreen` that notes each line when it is final."""

    def __init__(self, event_log: EventLog) -> None:
        self._event_log = event_log
        self._final: set[int] = set()

    async def show(self, follow: FollowCaptions) -> NoReturn:
        """See `ports.CaptionScreen`."""
        await follow(self._note)

    async def _note(self, message: Mapping[str, Any]) -> None:
        self._final = {number for number in self._final if number >= message["first"]}
        for line in message["lines"]:
            if line["final"] and line["number"] not in self._final:
                self._final.add(line["number"])
                what = "caption cut" if line["cut"] else "caption"
                self._event_log.add("kiosk", what, who=line["who"], words=len(line["text"].split()))
