"""What is counted, what is kept, and what is written down: limits, records and the journal, put together."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from kioskd import logs, messages, ports
from kioskd.app.meaning import budget
from kioskd.app.parts import Parts
from kioskd.core.effects import Overlay, Show, Shown
from kioskd.core.events import Event
from kioskd.flow.crew import Work
from kioskd.flow.engine import Observer
from kioskd.flow.journal import Journal
from kioskd.flow.keeping import Keeping
from kioskd.flow.limits import Limits
from kioskd.flow.scribe import Scribe
from kioskd.settings.model import Settings

log = logging.getLogger(__name__)


class Books:
    """The kiosk's bookkeeping."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        post: Callable[[Event], None],
        tell: Callable[[str], bool],
        keeping: Keeping,
    ) -> None:
        """`tell` says a text to the model as soon as it can. Reads the day's figures: blocks."""
        self.limits = Limits(
            budget(settings),
            parts.clock,
            post,
            parts.wall,
            tell=tell,
            notice=settings.limits.notice,
            keeping=keeping,
            ledger=parts.ledger,
            time=parts.time,
        )
        self._shelves = {"transcripts": parts.words, "recordings": parts.sounds}
        self.kept = " and ".join(what for what, shelf in self._shelves.items() if shelf is not None)
        """What of a conversation is kept, in words; empty if nothing is."""
        self._scribe = (
            Scribe(parts.clock, parts.wall, words=parts.words, sounds=parts.sounds) if self.kept else None
        )
        self._settings = settings

    @property
    def observers(self) -> Sequence[Observer]:
        """Who is to be told of each step, in this order."""
        scribe = (self._scribe.observe,) if self._scribe is not None else ()
        return Journal(logs.surround).observe, self.limits.observe, *scribe

    def overheard(self, live: ports.Live) -> ports.Live:
        """Return `live`, overheard where the owner wants conversations kept."""
        return self._scribe.listen(live) if self._scribe is not None else live

    def lamp(self, effect: Show) -> Show:
        """Return what lamps show: while what is said is kept, listening looks a little different."""
        if self.kept and effect.shown is Shown.LISTENING and effect.overlay is Overlay.NONE:
            return replace(effect, overlay=Overlay.RECORDING)
        return effect

    def workers(self) -> dict[str, Work]:
        """Who works from the start to the end."""
        workers: dict[str, Work] = {"limits": self._count}
        if self._scribe is not None:
            workers["records"] = self._keep
        return workers

    def adopt(self, settings: Settings) -> None:
        """Go by new settings; what is kept, and where, is looked at once, at the start."""
        self.limits.adopt(budget(settings), settings.limits.notice)

    async def _count(self) -> None:
        try:
            await self.limits.run()
        finally:
            logs.surround({})

    async def _keep(self) -> None:
        """Say what is kept, and at the end wait (shortly) for the disk."""
        privacy = self._settings.privacy
        for what, record in (("transcripts", privacy.transcripts), ("recordings", privacy.recordings)):
            if record is not None:
                log.info(
                    "%s are kept: folder=%s days=%d most=%dMB",
                    what,
                    record.folder,
                    record.keep_days,
                    record.most_mb,
                    extra={"message_id": messages.RECORDS_KEPT},
                )
        try:
            await asyncio.Event().wait()
        finally:
            if self._scribe is not None:
                self._scribe.finish()
            for shelf in self._shelves.values():
                if shelf is not None:
                    await asyncio.to_thread(shelf.close)
