"""Edges -> gestures -> events."""

import logging
from collections.abc import Callable
from typing import Final

from kioskd.core import events, gesture
from kioskd.core.events import Event
from kioskd.flow.attendant import Attendant
from kioskd.ports import Button, Cancellable, Clock, Edge

log = logging.getLogger(__name__)

ACTS: Final[dict[gesture.Does, Callable[[float | None], Event]]] = {
    "toggle": events.Pressed,
    "wake": lambda down_s: events.Woken(events.Cause.BUTTON, down_s),
    "end": lambda _down_s: events.SleepAsked(),
    "mute": lambda _down_s: events.MuteAsked(),
    "look": lambda _down_s: events.LookAsked(),
    "hush": lambda _down_s: events.Hushed(),
}
"""What a press is for, as the core knows it; each is made of when the finger went down."""


class Hands:
    """All buttons of a kiosk: who talks by holding one has finished when nobody holds any more."""

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post
        self._talking = 0

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


class ButtonToMailbox:
    """Watches one button. Debouncing is the adapter's business, meaning is `core.gesture`'s, consequences the core's."""

    def __init__(
        self,
        button: Button,
        rules: gesture.Rules,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        name: str,
        restart: Callable[[], None],
    ) -> None:
        """`post`: of the kiosk's `Hands`, where it has more than one button. `name`: the button's own, for the journal. `restart` is called when somebody has held it for that."""
        self._button = button
        self._rules = rules
        self._post = post
        self._clock = clock
        self._name = name
        self._restart = restart
        self._gesture = gesture.Gesture()
        self._due: Cancellable | None = None
        # A button may be on a line that something else holds: a new process would not change that.
        self._source = name.removeprefix("button ")
        self._attendant = Attendant(
            name, clock, post, device=events.Device.BUTTON, called=self._source, needed=False
        )

    async def run(self) -> None:
        """Post what each press means until cancelled. A button that is lost is waited for; it ends a talk."""
        await self._attendant.use(self._watch)

    async def _watch(self) -> None:
        try:
            await self._button.watch(self._edge)
        finally:
            self._stop_timer()
            self._gesture, outcomes = gesture.abandon(self._gesture)
            self._tell(outcomes)

    def _edge(self, edge: Edge) -> None:
        self._attendant.works()
        now_s = self._clock.now()
        # A stamp of another clock than ours would lie in the future, or before all that was heard so far.
        self._step(edge.down, now_s if edge.at_s is None else min(edge.at_s, now_s))

    def _tick(self) -> None:
        self._due = None
        # The loop may have starved: an edge that the kernel has by now came before the time that is to be judged.
        self._button.catch_up()
        self._step(None, self._clock.now())

    def _step(self, edge: bool | None, at_s: float) -> None:
        self._gesture, outcomes, due_s = gesture.step(self._gesture, edge, at_s, self._rules)
        self._stop_timer()
        if due_s is not None:
            self._due = self._clock.call_later(max(0.0, due_s - self._clock.now()), self._tick)
        self._tell(outcomes)

    def _stop_timer(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _tell(self, outcomes: gesture.Outcomes) -> None:
        for outcome in outcomes:
            match outcome:
                case gesture.Act(does, down_s):
                    self._post(ACTS[does](down_s))
                case gesture.TalkBegan(down_s):
                    self._post(events.TalkBegan(down_s))
                case gesture.TalkEnded():
                    self._post(events.TalkEnded())
                case gesture.Armed(what):
                    self._post(events.Armed(what or ""))
                case gesture.Commit("mute"):
                    self._post(events.MuteAsked())
                case gesture.Commit("restart"):
                    log.warning("restart asked for by button: name=%s", self._name)
                    self._restart()
                case gesture.Stuck():
                    log.warning(
                        "button stuck, passed over until it is let go: name=%s held_s=%.0f; free it, or mend its wiring",
                        self._name,
                        self._rules.stuck_s,
                    )
                    self._post(events.DeviceGone(events.Device.BUTTON, self._source))
                case gesture.Bouncing(edges, within_s):
                    log.warning(
                        "button bouncing, passed over until it rests: name=%s edges=%d within_s=%.0f; "
                        "mend its cable, raise debounce_ms (gpio only), or take another button",
                        self._name,
                        edges,
                        within_s,
                    )
                    self._post(events.DeviceGone(events.Device.BUTTON, self._source))
                case gesture.Rested():
                    log.info("button rests, and is listened to again: name=%s", self._name)
                    self._post(events.DeviceCame(events.Device.BUTTON, self._source))
