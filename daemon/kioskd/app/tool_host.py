"""The tools of a kiosk: what the service is told of them, who carries calls out, and the kiosk that they act on."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Final

from kioskd import live_models, ports
from kioskd.core.events import Event
from kioskd.errors import DeviceLost
from kioskd.flow.controls.buttons import ButtonEvents
from kioskd.flow.runtime.engine import Observer
from kioskd.flow.runtime.workers import Worker
from kioskd.flow.tools.confirmation import Confirmation, no_voice
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
    from kioskd.flow.camera.stream import CameraStream

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
        self.model = settings.service.model
        """By which it is known whether the model waits for a tool."""
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
    def left_out(self) -> list[dict[str, str]]:
        """The tools that the service refuses: name, place and why."""
        if self._trial is None:
            return []
        return [{"name": one.name, "place": one.place, "why": one.why} for one in self._trial.left_out]

    def _place(self, name: str) -> str:
        if name == SEARCH_NAME:
            return "conversation.search"
        return "" if self._box is None else self._box.place(name)

    def offered(self) -> Sequence[ports.Tool]:
        """Return what the model may call now; see `app.live`."""
        return () if self._box is None else self._box.declarations()

    def open(
        self, host: KioskControls, confirmation: Confirmation, day: CallsToday, *, camera: bool
    ) -> "Shop":
        """Make the tools, to act on `host`; their calls are counted in `day`.

        Raises:
            ConfigError: a secret or an entry point is not there.
        """
        context = BuildContext(self._environ, host, self.clock, self._hidden, camera=camera)
        made = assemble(self._tools, context, rehearsed=self._rehearsed)
        self._box = Toolbox(made, clock=self.clock, confirm=confirmation.ask, day=day)
        return Shop(self, self._box)


class Shop:
    """The tools as the model's calls need them; a `tool_runner.Toolbox`."""

    def __init__(self, tools: ToolSet, box: Toolbox) -> None:
        self._tools, self._box = tools, box
        self.run = box.run
        """Keeps the tools' connections."""

    def terms(self, name: str) -> CallTerms:
        """Return how a tool is dealt with; one that is not known as this model does it by itself."""
        from kioskd.adapters.gemini.functions import holds_up  # noqa: PLC0415 - loaded by who dials

        functions = live_models.profile(self._tools.model).functions
        guard, declaration = self._box.guard(name), self._box.declaration(name)
        if guard is None or declaration is None:
            return CallTerms(blocking=functions in {"blocking", "blocking_only"})
        return CallTerms(
            holds_up(declaration, functions), guard.scheduling or "when_idle", declaration.repeatable
        )

    async def call(
        self, call: ports.ToolCall, *, turn: int, conversation: int, begun: Callable[[], None]
    ) -> CallOutcome:
        """Carry out one call; see `tool_runner.Toolbox`."""
        from kioskd.adapters.gemini.function_schema import restored  # noqa: PLC0415 - loaded by who dials

        declaration = self._box.declaration(call.name)
        arguments = restored(declaration.parameters, call.arguments) if declaration else call.arguments
        result = await self._box.call(call.name, arguments, turn=turn, conversation=conversation, begun=begun)
        guard = self._box.guard(call.name) or Guard()
        return CallOutcome(result.as_json(guard.result_bytes), result.picture)


class ToolHost:
    """The tools of a kiosk that runs, who runs them, and the kiosk as far as they may touch it; a `KioskControls`."""

    def __init__(
        self,
        tools: ToolSet,
        post: Callable[[Event], None],
        day: CallsToday,
        *,
        tell: Callable[[str | bytes], bool],
        set_volume: Callable[[int], int],
        camera: "CameraStream | None",
        hands: ButtonEvents,
        prompts: ports.Prompts | None,
    ) -> None:
        """`day` counts calls. `tell` says a text to the model, or shows it a picture. `hands` and `prompts`: by which it is asked whether a tool may act.

        Raises:
            ConfigError: a secret or an entry point is not there.
        """
        self._set_volume, self._camera = set_volume, camera
        self._looked = 0
        """The last turn of the visitor's in which the model was given a picture."""
        voice = no_voice if prompts is None else prompts.question
        self._confirmation = Confirmation(post, tools.clock, hands=hands, voice=voice)
        self._shop = tools.open(self, self._confirmation, day, camera=camera is not None)
        self.allow = self._confirmation.allow
        """Performs `Confirm`."""
        self.runner = ToolRunner(self._shop, post, tools.clock, tell=tell)

    @property
    def question(self) -> bytes | None:
        """The question that is open, aloud; see `Confirmation.sound`."""
        return self._confirmation.sound

    @property
    def observers(self) -> Sequence[Observer]:
        """Who is told of each step of the core."""
        return self._confirmation.observe, self.runner.observe

    @property
    def counts(self) -> Mapping[str, int]:
        """What came of calls, ever, by status."""
        return self.runner.counts

    @property
    def workers(self) -> Mapping[str, Worker]:
        """Who works from the start to the end; before the link."""
        return {"tool calls": self.runner.run, "tools": self._shop.run}

    @property
    def notes(self) -> MutableMapping[str, str]:
        """What was noted in this conversation."""
        return self.runner.notes

    def end_conversation(self) -> None:
        """Fall asleep when the reply that is being spoken has been heard."""
        self.runner.end_conversation()

    def set_volume(self, percent: int) -> int:
        """Speak as loudly as asked, as far as the owner lets it."""
        return self._set_volume(percent)

    async def look(self) -> bytes | None:
        """Return a fresh JPEG, once in a turn of the visitor's; see `KioskControls`."""
        if self._camera is None:
            raise DeviceLost("camera: there is none; set camera.source")
        turn = self.runner.turn
        if self._looked == turn:
            return None
        jpeg = await self._camera.fresh(LOOK_S)
        if self._looked >= turn:
            return None  # another call of this turn was quicker, or of a later one
        self._looked = turn
        return jpeg
