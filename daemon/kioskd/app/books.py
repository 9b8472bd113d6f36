"""What is counted, what is kept, and what is written down: limits, records and the journal, put together."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from kioskd import journal_ids, logs, ports
from kioskd.app.devices import Parts
from kioskd.app.policy import budget
from kioskd.core.effects import KioskStatus, Overlay, ShowStatus
from kioskd.core.events import Event
from kioskd.flow.reporting.journal import Journal
from kioskd.flow.runtime.engine import Observer
from kioskd.flow.runtime.workers import Worker
from kioskd.flow.storage.budget import BudgetEnforcer
from kioskd.flow.storage.conversation_recorder import ConversationRecorder
from kioskd.flow.storage.disk_writer import DiskWriter
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
        keeping: DiskWriter,
    ) -> None:
        """`tell` says a text to the model as soon as it can. Reads the day's figures: blocks."""
        self.limits = BudgetEnforcer(
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
        self.kept = " and ".join(
            what for what, record_store in self._shelves.items() if record_store is not None
        )
        """What of a conversation is kept, in words; empty if nothing is."""
        self._recorder = (
            ConversationRecorder(parts.clock, parts.wall, words=parts.words, sounds=parts.sounds)
            if self.kept
            else None
        )
        self._settings = settings

    @property
    def observers(self) -> Sequence[Observer]:
        """Who is to be told of each step, in this order."""
        recorder = (self._recorder.observe,) if self._recorder is not None else ()
        return Journal(logs.surround).observe, self.limits.observe, *recorder

    def overheard(self, live: ports.Live) -> ports.Live:
        """Return `live`, overheard where the owner wants conversations kept."""
        return self._recorder.listen(live) if self._recorder is not None else live

    def lamp(self, effect: ShowStatus) -> ShowStatus:
        """Return what lamps show: while what is said is kept, listening looks a little different."""
        if self.kept and effect.shown is KioskStatus.LISTENING and effect.overlay is Overlay.NONE:
            return replace(effect, overlay=Overlay.RECORDING)
        return effect

    def workers(self) -> dict[str, Worker]:
        """Who works from the start to the end."""
        workers: dict[str, Worker] = {"limits": self._count}
        if self._recorder is not None:
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
                    extra={"message_id": journal_ids.RECORDS_KEPT},
                )
        try:
            await asyncio.Event().wait()
        finally:
            if self._recorder is not None:
                self._recorder.finish()
            for record_store in self._shelves.values():
                if record_store is not None:
                    await asyncio.to_thread(record_store.close)
