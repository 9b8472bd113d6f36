"""The tools of a kiosk: what the service is told of them, who carries calls out, and the kiosk that they act on."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from kioskd import live_models, ports
from kioskd.core.events import Event
from kioskd.flow.camera.no_camera import NoPictureService
from kioskd.flow.controls.buttons import ButtonEvents
from kioskd.flow.controls.volume import Volume
from kioskd.flow.runtime.engine import Observer
from kioskd.flow.runtime.workers import Worker
from kioskd.flow.tools.confirmation import Confirmation
from kioskd.flow.tools.conversation_notes import ConversationNotes
from kioskd.flow.tools.tool_calls import CallOutcome, CallTerms
from kioskd.flow.tools.tool_runner import ToolRunner
from kioskd.settings.model import Settings
from kioskd.settings.sandbox import secret_files
from kioskd.tools.build import assemble
from kioskd.tools.call_counts import CallsToday
from kioskd.tools.guard import Guard
from kioskd.tools.tool_kind import BuildContext, KioskControls
from kioskd.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from kioskd.adapters.gemini import ToolTrial
    from kioskd.adapters.gemini.functions import FunctionRules
    from kioskd.flow.camera.picture_service import PictureService

SEARCH_NAME: Final = "google_search"
"""What the service's own search is called where it is left out."""

LOOK_S: Final = 9.0
"""How long the camera may take to be looked through: a little less than a tool's usual deadline, to say why."""


class ToolSet:
    """What the model may have done. The service is told of it before there is a kiosk to do it on."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        clock: ports.Clock,
        *,
        rehearsed: bool = False,
    ) -> None:
        """`rehearsed`: a tool whose secret is not here is left out."""
        self.clock = clock
        self._model = settings.service.model
        self._tools, self._environ, self._rehearsed = settings.tools, environ, rehearsed
        self._hidden = secret_files(settings)
        self._box: Toolbox | None = None
        self._trial: ToolTrial | None = None

    @property
    def trial(self) -> "ToolTrial":
        """What is known of tools that the service refuses; it outlives the connections."""
        if self._trial is None:
            from kioskd.adapters.gemini import ToolTrial  # noqa: PLC0415 - loaded by who dials

            self._trial = ToolTrial(self._place)
        return self._trial

    @property
    def functions(self) -> "FunctionRules":
        """How the model that the settings name calls functions."""
        from kioskd.adapters.gemini.functions import FunctionRules  # noqa: PLC0415 - loaded by who dials

        return FunctionRules(live_models.profile(self._model).functions)

    def use_settings(self, settings: Settings) -> None:
        """Go by the model of new settings."""
        self._model = settings.service.model

    @property
    def left_out(self) -> list[dict[str, str]]:
        """The tools that the service refuses: name, place and why."""
        if self._trial is None:
            return []
        return [{"name": one.name, "place": one.place, "why": one.why} for one in self._trial.left_out]

    def _place(self, name: str) -> str:
        if name == SEARCH_NAME:
            return "conversation.search"
        offer = None if self._box is None else self._box.offer(name)
        return "" if offer is None else offer.tool.place

    def offered(self) -> Sequence[ports.Tool]:
        """Return what the model may call now; see `app.live`."""
        return () if self._box is None else self._box.declarations()

    def build(
        self, host: KioskControls, confirmation: Confirmation, day: CallsToday, *, camera: bool
    ) -> Toolbox:
        """Make the tools, to act on `host`; their calls are counted in `day`.

        Raises:
            ConfigError: a secret or an entry point is not there.
        """
        context = BuildContext(self._environ, host, self.clock, self._hidden, camera=camera)
        made = assemble(self._tools, context, rehearsed=self._rehearsed)
        self._box = Toolbox(made, clock=self.clock, confirm=confirmation.ask, day=day)
        return self._box


class ToolHost:
    """The tools of a kiosk that runs: who carries calls out, and the kiosk as far as tools may touch it.

    A `ToolExecutor` for `ToolRunner`, and a `KioskControls` for the kiosk's own tools.
    """

    def __init__(
        self,
        tools: ToolSet,
        post: Callable[[Event], None],
        day: CallsToday,
        *,
        tell: Callable[[str | bytes], bool],
        volume: Volume,
        pictures: "PictureService | NoPictureService",
        buttons: ButtonEvents,
        prompts: ports.Prompts,
    ) -> None:
        """Make the tools.

        Args:
            tools: What the owner has set.
            post: Takes events for the core.
            day: Counts calls.
            tell: Says a text to the model, or shows it a picture; returns False if it cannot.
            volume: Is set by a tool.
            pictures: Are looked at by a tool.
            buttons: Confirm a call.
            prompts: Ask for a confirmation aloud.

        Raises:
            ConfigError: a secret or an entry point is not there.
        """
        self._tools = tools
        self._pictures = pictures
        self._looked = 0
        """The last turn of the visitor's in which the model was given a picture."""
        self.notes = ConversationNotes()
        """What was noted in this conversation."""
        self.confirmation = Confirmation(post, tools.clock, buttons=buttons, voice=prompts.question)
        self._box = tools.build(self, self.confirmation, day, camera=pictures.status != "none")
        self.runner = ToolRunner(self, post, tools.clock, tell=tell)
        self.end_conversation = self.runner.end_conversation
        """Fall asleep when the reply that is being spoken has been heard."""
        self.set_volume = volume.set_volume
        """Play as loudly as asked, as far as the owner allows it."""

    @property
    def observers(self) -> Sequence[Observer]:
        """What is told of each step of the core."""
        return self.confirmation.observe, self.runner.observe, self.notes.observe

    @property
    def workers(self) -> Mapping[str, Worker]:
        """The tasks that run from the start to the end; they start before the link."""
        return {"tool calls": self.runner.run, "tools": self._box.run}

    def left_out(self) -> Sequence[Mapping[str, str]]:
        """Return the tools that the service refuses: name, place and why."""
        return self._tools.left_out

    def use_settings(self, settings: Settings) -> None:
        """Go by new settings."""
        self._tools.use_settings(settings)

    def terms(self, name: str) -> CallTerms:
        """Return how a tool is dealt with; see `ToolExecutor`. One that is unknown is dealt with as the model does."""
        offer = self._box.offer(name)
        if offer is None:
            return CallTerms(blocking=self._tools.functions.blocks(None))
        blocking = self._tools.functions.blocks(offer.declaration)
        return CallTerms(blocking, offer.tool.guard.scheduling or "when_idle", offer.declaration.repeatable)

    async def call(
        self, call: ports.ToolCall, *, turn: int, conversation: int, begun: Callable[[], None]
    ) -> CallOutcome:
        """Carry out one call; see `ToolExecutor`."""
        offer = self._box.offer(call.name)
        declaration, guard = (None, Guard()) if offer is None else (offer.declaration, offer.tool.guard)
        arguments = self._tools.functions.arguments(declaration, call.arguments)
        result = await self._box.call(call.name, arguments, turn=turn, conversation=conversation, begun=begun)
        return CallOutcome(result.as_json(guard.result_bytes), result.picture)

    async def look(self) -> bytes | None:
        """Return a fresh JPEG, once in a turn of the visitor's; see `KioskControls`."""
        turn = self.runner.turn
        if self._looked == turn:
            return None
        jpeg = await self._pictures.fresh(LOOK_S)
        if self._looked >= turn:
            return None  # another call of this turn was quicker, or of a later one
        self._looked = turn
        return jpeg
