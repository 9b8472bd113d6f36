"""Buttons: edges become gestures, and gestures become events for the core."""

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

ACTS: Final[dict[button_gesture.ButtonRole, Callable[[float | None, str | None], Event]]] = {
    "toggle": events.Pressed,
    "wake": lambda down_s, profile: events.Woken(events.WakeCause.BUTTON, down_s, profile=profile),
    "end": lambda _down_s, _profile: events.SleepRequested(),
    "mute": lambda _down_s, _profile: events.MuteRequested(),
    "look": lambda _down_s, _profile: events.SnapshotRequested(),
    "hush": lambda _down_s, _profile: events.ReplySilenced(),
}
"""The core's event for each use of a button, made from the time of the press and the button's profile."""


class ButtonEvents:
    """All buttons of a kiosk. With two talk buttons, the visitor's turn ends when both are released."""

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post
        self._talking = 0
        self._buttons: list[ButtonWorker] = []
        self._moved = asyncio.Event()
        self.restart_wanted = asyncio.Event()
        """Set when a person held a button to restart the daemon."""

    def join(self, button: "ButtonWorker") -> None:
        self._buttons.append(button)

    def moved(self) -> None:
        self._moved.set()

    @property
    def undecided(self) -> bool:
        """Whether a press could still become a double press, so that it has no effect yet."""
        return any(button.undecided for button in self._buttons)

    def catch_up(self) -> None:
        """Post the events of all edges until now."""
        for button in self._buttons:
            button.catch_up()

    async def wait_until_released(self, clock: Clock, seconds: float) -> None:
        """Return when no finger has been on any button for `seconds`. A stuck button counts as released."""
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
        """Post a button's event, but not the end of a talk while another button is still held to talk."""
        match event:
            case events.TalkBegan():
                self._talking += 1
            case events.TalkEnded():
                self._talking -= 1
                if self._talking:
                    return
        self._post(event)


class ButtonWorker:
    """Watches one button. The adapter debounces, `core.button_gesture` finds gestures, the core acts."""

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
        """Watch nothing yet.

        Args:
            button: The button.
            rules: The rules of its gestures.
            post: Takes events: that of `ButtonEvents` if the kiosk has more than one button.
            clock: The time.
            name: The journal's name of the button.
            restart: Called when a person has held the button to restart the daemon.
            buttons: All buttons of the kiosk, if it has more than one.
        """
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
        """The clock's time when a finger last released the button."""
        self._due: Cancellable | None = None
        # Another program may hold the button's line. A new process would not change that.
        self._source = name.removeprefix("button ")
        self._supervisor = DeviceSupervisor(
            name, clock, post, device=events.Device.BUTTON, called=self._source, needed=False
        )

    async def run(self) -> None:
        """Post the event of each press until cancelled. Losing the button ends a talk, and is retried."""
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
        return self._gesture.held

    @property
    def undecided(self) -> bool:
        """Whether a press could still become a double press, so that it has no effect yet."""
        return self._gesture.held_back is not None

    def catch_up(self) -> None:
        """Post the events of the edges that wait to be read."""
        self._button.catch_up()

    def _edge(self, edge: Edge) -> None:
        self._supervisor.note_alive()
        now_s = self._clock.now()
        # A time stamp from another clock could be in the future, or before all edges so far.
        self._step(edge.down, now_s if edge.at_s is None else min(edge.at_s, now_s))

    def _tick(self) -> None:
        self._due = None
        # The loop may be late. Edges that the kernel holds are older than the time to judge here.
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
                    self._post(ACTS[does](down_s, self._rules.profile))
                case button_gesture.HoldBegan(down_s):
                    self._post(events.TalkBegan(down_s))
                case button_gesture.HoldEnded():
                    self._post(events.TalkEnded())
                case button_gesture.HoldArmed(what):
                    self._post(events.Armed(what or ""))
                case button_gesture.Commit("mute"):
                    self._post(events.MuteRequested())
                case button_gesture.Commit("restart"):
                    log.warning("a button was held to restart the daemon: name=%s", self._name)
                    self._restart()
                case button_gesture.Stuck():
                    log.warning(
                        "button stuck, ignored until it is released: name=%s held_s=%.0f; "
                        "free it, or mend its wiring",
                        self._name,
                        self._rules.stuck_s,
                    )
                    self._post(events.DeviceGone(events.Device.BUTTON, self._source))
                case button_gesture.Bouncing(edges, within_s):
                    log.warning(
                        "button bounces, ignored until it rests: name=%s edges=%d within_s=%.0f; "
                        "mend its cable, raise debounce_ms (gpio only), or take another button",
                        self._name,
                        edges,
                        within_s,
                    )
                    self._post(events.DeviceGone(events.Device.BUTTON, self._source))
                case button_gesture.ButtonReleased():
                    log.info("button rests and is used again: name=%s", self._name)
                    self._post(events.DeviceCame(events.Device.BUTTON, self._source))
