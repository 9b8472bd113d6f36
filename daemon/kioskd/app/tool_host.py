"""The tools of a kiosk: their declarations for the service, their calls, and their access to the kiosk."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from kioskd import live_models, ports
from kioskd.core.events import Event
from kioskd.core.policy import DEFAULT_PROFILE
from kioskd.flow.camera.no_camera import NoPictureService
from kioskd.flow.controls.buttons import ButtonEvents
from kioskd.flow.controls.visitor_time import VisitorTime
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
"""The name of the service's own search in the list of rejected tools."""

LOOK_S: Final = 9.0
"""The most seconds that a tool waits for a picture: a little less than its usual deadline, to report why."""


def useless_tools(settings: Settings, *, camera: bool) -> frozenset[str]:
    """Return the names of the kiosk's own tools that a kiosk with these settings has no use for."""
    extensions = settings.conversation.extensions
    useful = {
        "look": camera,
        "more_time": bool(extensions and extensions.most),
        "choose_profile": bool(settings.assistant.profiles),
    }
    return frozenset(name for name, is_useful in useful.items() if not is_useful)


def profile_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of all profiles; none if the settings have no profile."""
    profiles = settings.assistant.profiles
    return (DEFAULT_PROFILE, *profiles) if profiles else ()


class ToolSet:
    """The tools that the model is allowed to call. They can be declared before the kiosk exists."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        clock: ports.Clock,
        *,
        rehearsed: bool = False,
    ) -> None:
        """`rehearsed`: leave out a tool whose secret is missing."""
        self.clock = clock
        self._model = settings.service.model
        self._tools, self._environ, self._rehearsed = settings.tools, environ, rehearsed
        self._settings = settings
        self._hidden = secret_files(settings)
        self._box: Toolbox | None = None
        self._trial: ToolTrial | None = None

    @property
    def trial(self) -> "ToolTrial":
        """The findings about tools that the service rejects. They outlive connections."""
        if self._trial is None:
            from kioskd.adapters.gemini import ToolTrial  # noqa: PLC0415 - loaded by who dials

            self._trial = ToolTrial(self._place)
        return self._trial

    @property
    def functions(self) -> "FunctionRules":
        """The rules for function calls of the model in the settings."""
        from kioskd.adapters.gemini.functions import FunctionRules  # noqa: PLC0415 - loaded by who dials

        return FunctionRules(live_models.profile(self._model).functions)

    def use_settings(self, settings: Settings) -> None:
        self._model = settings.service.model

    @property
    def left_out(self) -> list[dict[str, str]]:
        """The tools that the service rejects, each with name, place and cause."""
        if self._trial is None:
            return []
        return [{"name": one.name, "place": one.place, "why": one.why} for one in self._trial.left_out]

    def _place(self, name: str) -> str:
        if name == SEARCH_NAME:
            return "conversation.search"
        offer = None if self._box is None else self._box.offer(name)
        return "" if offer is None else offer.tool.place

    def offered(self) -> Sequence[ports.Tool]:
        """Return the tools that the model can call now; see `app.live`."""
        return () if self._box is None else self._box.declarations()

    def build(
        self, host: KioskControls, confirmation: Confirmation, day: CallsToday, *, camera: bool
    ) -> Toolbox:
        """Make the tools. They act on `host`, and `day` counts their calls.

        Raises:
            ConfigError: a secret or an entry point is missing.
        """
        useless, profiles = useless_tools(self._settings, camera=camera), profile_names(self._settings)
        context = BuildContext(self._environ, host, self.clock, self._hidden, useless, profiles)
        made = assemble(self._tools, context, rehearsed=self._rehearsed)
        self._box = Toolbox(made, clock=self.clock, confirm=confirmation.ask, day=day)
        return self._box


class ToolHost:
    """The tools of a running kiosk.

    It is a `ToolExecutor` for `ToolRunner`, and the `KioskControls` of the kiosk's own tools.
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
        time: VisitorTime,
    ) -> None:
        """Make the tools.

        Args:
            tools: The tools of the settings.
            post: Takes events for the core.
            day: Counts calls.
            tell: Sends a text or a picture to the model; returns False if it cannot.
            volume: The volume, for the tool that sets it.
            pictures: The camera, for the tool that looks.
            buttons: The buttons that confirm a call.
            prompts: The voice that asks for confirmation.
            time: The visitor's time and profile.

        Raises:
            ConfigError: a secret or an entry point is missing.
        """
        self._tools = tools
        self._pictures = pictures
        self.time = time
        """The visitor's time and profile."""
        self.more_time, self.choose_profile = time.more_time, time.choose
        """Puts off the end of the conversation, and changes the visitor's profile. See `KioskControls`."""
        self._looked = 0
        """The visitor's last turn in which a tool gave the model a picture."""
        self.notes = ConversationNotes()
        """Notes of the tools in this conversation."""
        self.confirmation = Confirmation(post, tools.clock, buttons=buttons, voice=prompts.question)
        self._box = tools.build(self, self.confirmation, day, camera=pictures.status != "none")
        self.runner = ToolRunner(self, post, tools.clock, tell=tell)
        self.end_conversation = self.runner.end_conversation
        """Ends the conversation when the present reply has been heard."""
        self.set_volume = volume.set_volume
        """Sets the volume within speaker.volume_floor and volume_ceiling, and returns it."""

    @property
    def observers(self) -> Sequence[Observer]:
        return self.time.observe, self.confirmation.observe, self.runner.observe, self.notes.observe

    @property
    def workers(self) -> Mapping[str, Worker]:
        """The tasks that run from start to end. They start before the link."""
        return {"tool calls": self.runner.run, "tools": self._box.run}

    def left_out(self) -> Sequence[Mapping[str, str]]:
        """Return the tools that the service rejects, each with name, place and cause."""
        return self._tools.left_out

    def conditions(self) -> Sequence[str]:
        """Return the conditions of servers and documents, in words; see `ToolSource.condition`."""
        return self._box.conditions

    def use_settings(self, settings: Settings) -> None:
        self._tools.use_settings(settings)

    def terms(self, name: str) -> CallTerms:
        """Return the rules for a tool; see `ToolExecutor`. An unknown tool gets the model's default."""
        offer = self._box.offer(name)
        if offer is None:
            return CallTerms(blocking=self._tools.functions.blocks(None))
        blocking = self._tools.functions.blocks(offer.declaration)
        return CallTerms(blocking, offer.tool.guard.scheduling or "when_idle", offer.declaration.repeatable)

    async def call(
        self, call: ports.ToolCall, *, turn: int, conversation: int, begun: Callable[[], None]
    ) -> CallOutcome:
        """Run one call; see `ToolExecutor`."""
        offer = self._box.offer(call.name)
        declaration, guard = (None, Guard()) if offer is None else (offer.declaration, offer.tool.guard)
        arguments = self._tools.functions.arguments(declaration, call.arguments)
        result = await self._box.call(call.name, arguments, turn=turn, conversation=conversation, begun=begun)
        return CallOutcome(result.as_json(guard.result_bytes), result.picture)

    async def look(self) -> bytes | None:
        """Return a new JPEG; None if this turn of the visitor had one. See `KioskControls`."""
        turn = self.runner.turn
        if self._looked == turn:
            return None
        jpeg = await self._pictures.fresh(LOOK_S)
        if self._looked >= turn:
            return None  # another call was faster
        self._looked = turn
        return jpeg
