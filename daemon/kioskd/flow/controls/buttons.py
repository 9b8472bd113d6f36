"""Edges -> gestures -> events."""

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final

from kioskd.core import button_gesture, events
from kioskd.core.events import Event
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.ports import Button, Cancellable, Clock, Edge

log = logging.getLogger(__name__)

ACTS: Final[dict[button_gesture.ButtonRole, Callable[[float | None], Event]]] = {
    "toggle": events.Pressed,
    "wake": lambda down_s: events.Woken(events.WakeCause.BUTTON, down_s),
    "end": lambda _down_s: events.SleepRequested(),
    "mute": lambda _down_s: events.MuteRequested(),
    "look": lambda _down_s: events.SnapshotRequested(),
    "hush": lambda _down_s: events.ReplySilenced(),
}
"""What a press is for, as the core knows it; each is made of when the finger went down."""


class ButtonEvents:
    """All buttons of a kiosk: who talks by holding one has finished when nobody holds any more."""

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post
        self._talking = 0
        self._buttons: list[ButtonWorker] = []
        self._moved = asyncio.Event()
        self.restart_wanted = asyncio.Event()
        """Set when a button was held for a restart of the daemon."""

    def join(self, button: "ButtonWorker") -> None:
        """Have one more button."""
        self._buttons.append(button)

    def moved(self) -> None:
        """Note that a finger came or went."""
        self._moved.set()

    @property
    def undecided(self) -> bool:
        """Whether a press waits for a second one, and has not been acted upon."""
        return any(button.undecided for button in self._buttons)

    def catch_up(self) -> None:
        """Post what every edge means that has happened by now."""
        for button in self._buttons:
            button.catch_up()

    async def wait_until_released(self, clock: Clock, seconds: float) -> None:
        """Return when no finger has been on any button for so long. A stuck button has none."""
        while True:
            self.catch_up()
            self._moved.clear()
            if any(button.held for button in self._buttons):
                await self._moved.wait()
                continue
            left_s = (
                max((button.let_go_s for button in self._buttons), default=-math.inf) + seconds - clock.now()
            )
            if left_s <= 0:
                return
            await clock.sleep(left_s)

    def post(self, event: Event) -> None:
        """Pass on what a button means, but for the end of a talk that another hand goes on with."""
        match event:
            case events.TalkBegan():
                self._talking += 1
            case events.TalkEnded():
                self._talking -= 1
                if self._talking:
                    return
        self._post(event)


class ButtonWorker:
    """Watches one button. Debouncing is the adapter's business, meaning is `core.gesture`'s, consequences the core's."""

    def __init__(
        self,
        button: Button,
        rules: button_gesture.GestureRules,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        name: str,
        restart: Callable[[], None],
        buttons: ButtonEvents | None = None,
    ) -> None:
        """`post`: of the kiosk's `ButtonEvents`, where it has more than one button; `buttons` are those. `name`: the button's own, for the journal. `restart` is called when somebody has held it for that."""
        self._button = button
        self._rules = rules
        self._post = post
        self._clock = clock
        self._name = name
        self._restart = restart
        self._all = buttons
        if buttons is not None:
            buttons.join(self)
        self._gesture = button_gesture.Gesture()
        self.let_go_s = -math.inf
        """When a finger left the button last."""
        self._due: Cancellable | None = None
        # A button may be on a line that something else holds: a new process would not change that.
        self._source = name.removeprefix("button ")
        self._supervisor = DeviceSupervisor(
            name, clock, post, device=events.Device.BUTTON, called=self._source, needed=False
        )

    async def run(self) -> None:
        """Post what each press means until cancelled. A button that is lost is waited for; it ends a talk."""
        await self._supervisor.use(self._watch)

    async def _watch(self) -> None:
        try:
            await self._button.watch(self._edge)
        finally:
            self._stop_timer()
            held = self.held
            self._gesture, outcomes = button_gesture.abandon(self._gesture)
            self._note(held, self._clock.now())
            self._tell(outcomes)

    @property
    def held(self) -> bool:
        """Whether a finger is on the button."""
        return self._gesture.held

    @property
    def undecided(self) -> bool:
        """Whether a press waits for a second one, and has not been acted upon."""
        return self._gesture.held_back is not None

    def catch_up(self) -> None:
        """Post what the edges mean that wait to be read."""
        self._button.catch_up()

    def _edge(self, edge: Edge) -> None:
        self._supervisor.note_alive()
        now_s = self._clock.now()
        # A stamp of another clock than ours would lie in the future, or before all that was heard so far.
        self._step(edge.down, now_s if edge.at_s is None else min(edge.at_s, now_s))

    def _tick(self) -> None:
        self._due = None
        # The loop may have starved: an edge that the kernel has by now came before the time that is to be judged.
        self._button.catch_up()
        self._step(None, self._clock.now())

    def _step(self, edge: bool | None, at_s: float) -> None:
        held = self.held
        self._gesture, outcomes, due_s = button_gesture.step(self._gesture, edge, at_s, self._rules)
        self._note(held, at_s)
        self._stop_timer()
        if due_s is not None:
            self._due = self._clock.call_later(max(0.0, due_s - self._clock.now()), self._tick)
        self._tell(outcomes)

    def _note(self, held_before: bool, at_s: float) -> None:
        if self.held is held_before:
            return
        if held_before:
            self.let_go_s = at_s
        if self._all is not None:
            self._all.moved()

    def _stop_timer(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _tell(self, outcomes: button_gesture.GestureEvents) -> None:
        for outcome in outcomes:
            match outcome:
                case button_gesture.ButtonAct(does, down_s):
                    self._post(ACTS[does](down_s))
                case button_gesture.HoldBegan(down_s):
                    self._post(events.TalkBegan(down_s))
                case button_gesture.HoldEnded():
                    self._post(events.TalkEnded())
                case button_gesture.HoldArmed(what):
                    self._post(events.Armed(what or ""))
                case button_gesture.Commit("mute"):
                    self._post(events.MuteRequested())
                case button_gesture.Commit("restart"):
                    log.warning("restart asked for by button: name=%s", self._name)
                    self._restart()
                case button_gesture.Stuck():
                    log.warning(
                        "button stuck, passed over until it is let go: name=%s held_s=%.0f; free it, or mend its wiring",
                        self._name,
                        self._rules.stuck_s,
                    )
                    self._post(events.DeviceGone(events.Device.BUTTON, self._source))
                case button_gesture.Bouncing(edges, within_s):
                    log.warning(
                        "button bouncing, passed over until it rests: name=%s edges=%d within_s=%.0f; "
                        "mend its cable, raise debounce_ms (gpio only), or take another button",
                        self._name,
                        edges,
                        within_s,
                    )
                    self._post(events.DeviceGone(events.Device.BUTTON, self._source))
                case button_gesture.ButtonReleased():
                    log.info("button rests, and is listened to again: name=%s", self._name)
                    self._post(events.DeviceCame(events.Device.BUTTON, self._source))
