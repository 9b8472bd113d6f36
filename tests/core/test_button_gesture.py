"""Gestures of one button, from its edges and the time between them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kioskd.core.button_gesture import (
    BOUNCES,
    BOUNCES_WITHIN_S,
    FLUTTERS,
    FLUTTERS_WITHIN_S,
    REST_S,
    Bouncing,
    ButtonAct,
    ButtonPhase,
    ButtonReleased,
    ButtonRole,
    Commit,
    Gesture,
    GestureEvent,
    GestureRules,
    HoldArmed,
    HoldBegan,
    HoldEnded,
    Stuck,
    abandon,
    step,
)

BOUNCING = Bouncing(BOUNCES, BOUNCES_WITHIN_S)
FLUTTERING = Bouncing(FLUTTERS, FLUTTERS_WITHIN_S)
ACTS: list[ButtonRole] = ["toggle", "wake", "end", "mute", "look", "hush"]


class Finger:
    """A button that was up at first, and a person who presses it. Deadlines are kept as the shell
    keeps them.
    """

    def __init__(self, rules: GestureRules | None = None, *, down: bool = False) -> None:
        self.rules = rules or GestureRules()
        self.now_s = 1000.0
        self.state = Gesture()
        self.due_s: float | None = None
        self.calls = 0
        assert self._step(down) == []

    def press(self) -> list[GestureEvent]:
        return self._step(True)

    def release(self) -> list[GestureEvent]:
        return self._step(False)

    def click(self) -> list[GestureEvent]:
        return self.press() + self.release()

    def wait(self, seconds: float) -> list[GestureEvent]:
        """Let time pass, and return the gestures."""
        until_s, outcomes = self.now_s + seconds, []
        while self.due_s is not None and self.due_s <= until_s:
            self.now_s = self.due_s
            outcomes += self._step(None)
        self.now_s = until_s
        return outcomes

    def lose(self) -> list[GestureEvent]:
        self.state, outcomes = abandon(self.state)
        self.due_s = None
        return list(outcomes)

    def _step(self, edge: bool | None) -> list[GestureEvent]:
        self.state, outcomes, self.due_s = step(self.state, edge, self.now_s, self.rules)
        self.calls += 1
        return list(outcomes)


# Presses


@pytest.mark.parametrize("does", ACTS)
def test_a_press_acts_at_once_and_its_release_does_nothing(does: ButtonRole) -> None:
    finger = Finger(GestureRules(does))
    assert finger.press() == [ButtonAct(does)]
    assert finger.wait(0.1) == []
    assert finger.release() == []
    assert finger.due_s is None


@pytest.mark.parametrize("does", ACTS)
def test_a_second_press_soon_after_the_first_is_only_a_double_press(
    does: ButtonRole,
) -> None:
    finger = Finger(GestureRules(does, double="look"))
    assert finger.click() == []
    assert finger.wait(0.39) == []
    assert finger.press() == [ButtonAct("look")]
    assert finger.wait(1.0) + finger.release() + finger.wait(1.0) == []


@pytest.mark.parametrize("does", ACTS)
def test_a_press_without_a_second_one_acts_after_the_wait(does: ButtonRole) -> None:
    finger = Finger(GestureRules(does, double="look"))
    assert finger.click() + finger.wait(0.39) == []
    assert finger.wait(0.01) == [ButtonAct(does)]
    assert finger.wait(600.0) == []


def test_a_held_press_acts_before_its_release() -> None:
    finger = Finger(GestureRules("toggle", double="look"))
    assert finger.press() == []
    assert finger.wait(2.0) == [ButtonAct("toggle"), HoldArmed("mute")]
    assert finger.release() == [HoldArmed(None), Commit("mute")]


def test_a_long_hold_replaces_a_press_that_has_not_acted_yet() -> None:
    finger = Finger(GestureRules("toggle", double="look", mute_s=0.2))
    assert finger.press() + finger.wait(0.3) == [HoldArmed("mute")]
    assert finger.release() + finger.wait(1.0) == [HoldArmed(None), Commit("mute")]


def test_a_third_press_counts_as_a_first_one() -> None:
    finger = Finger(GestureRules("toggle", double="look"))
    assert [finger.click() for _ in range(4)] == [[], [ButtonAct("look")]] * 2


def test_a_late_second_press_counts_as_a_first_one() -> None:
    finger = Finger(GestureRules("toggle", double="look"))
    finger.click()
    assert finger.wait(0.41) == [ButtonAct("toggle")]
    assert finger.click() == []
    assert finger.wait(0.4) == [ButtonAct("toggle")]


def test_a_waiting_press_is_dropped_when_its_button_is_lost() -> None:
    finger = Finger(GestureRules("toggle", double="look"))
    finger.click()
    assert finger.lose() + finger.wait(1.0) == []


def test_hold_to_talk_does_not_wait_for_a_second_press() -> None:
    finger = Finger(GestureRules("hold", double="look"))
    assert finger.click() == [HoldBegan(), HoldEnded()]
    assert finger.click() == [ButtonAct("look")]


def test_without_a_double_press_two_presses_act_twice() -> None:
    finger = Finger(GestureRules("toggle"))
    assert finger.click() + finger.click() == [ButtonAct("toggle"), ButtonAct("toggle")]


def test_a_double_press_can_be_held_to_talk() -> None:
    finger = Finger(GestureRules("wake", double="hold"))
    assert finger.click() == []
    assert finger.press() == [HoldBegan()]
    assert finger.wait(20.0) == []
    assert finger.release() == [HoldEnded()]


# Talking


def test_hold_to_talk_arms_no_action() -> None:
    finger = Finger(GestureRules("hold"))
    assert finger.press() == [HoldBegan()]
    assert finger.wait(30.0) == []
    assert finger.release() == [HoldEnded()]


def test_a_stuck_talk_button_ends_the_talking() -> None:
    finger = Finger(GestureRules("hold"))
    finger.press()
    assert finger.wait(60.0) == [HoldEnded(), Stuck()]
    assert finger.wait(600.0) == []
    assert finger.release() == [ButtonReleased()]
    assert finger.press() == [HoldBegan()]


def test_a_lost_talk_button_ends_the_talking() -> None:
    finger = Finger(GestureRules("hold"))
    finger.press()
    assert finger.lose() == [HoldEnded()]
    assert finger.lose() == []


# Long holds


def test_an_armed_action_is_committed_only_by_the_release() -> None:
    finger = Finger(GestureRules("toggle"))
    finger.press()
    assert finger.wait(1.9) == []
    assert finger.wait(0.1) == [HoldArmed("mute")]
    assert finger.wait(7.9) == []
    assert finger.release() == [HoldArmed(None), Commit("mute")]


def test_holding_on_arms_the_next_action() -> None:
    finger = Finger(GestureRules("toggle"))
    finger.press()
    assert finger.wait(10.0) == [HoldArmed("mute"), HoldArmed("restart")]
    assert finger.release() == [HoldArmed(None), Commit("restart")]


@pytest.mark.parametrize(
    ("rules", "armed"),
    [
        (GestureRules(mute_s=0.0), [HoldArmed("restart")]),
        (GestureRules(restart_s=0.0), [HoldArmed("mute")]),
        (GestureRules(mute_s=0.0, restart_s=0.0), []),
        (GestureRules(mute_s=5.0, restart_s=3.0), [HoldArmed("restart"), HoldArmed("mute")]),
    ],
)
def test_each_long_hold_has_its_own_time_and_can_be_off(
    rules: GestureRules, armed: list[GestureEvent]
) -> None:
    finger = Finger(rules)
    finger.press()
    assert finger.wait(30.0) == armed


def test_holding_a_mute_button_does_not_unmute() -> None:
    finger = Finger(GestureRules("mute"))
    assert finger.press() == [ButtonAct("mute")]
    assert finger.wait(5.0) == []
    assert finger.wait(5.0) == [HoldArmed("restart")]


def test_a_button_lost_while_held_commits_nothing() -> None:
    finger = Finger()
    finger.press()
    finger.wait(11.0)
    assert finger.lose() == [HoldArmed(None)]


def test_a_late_release_commits_the_action_armed_by_then() -> None:
    finger = Finger()
    finger.press()
    finger.now_s += 3.0
    assert finger.release() == [HoldArmed("mute"), HoldArmed(None), Commit("mute")]


# Buttons that no person presses


def test_a_button_found_down_does_nothing_until_its_release() -> None:
    finger = Finger(down=True)
    assert finger.wait(30.0) == []
    assert finger.release() == []
    assert finger.press() == [ButtonAct("toggle")]


def test_a_button_down_from_the_start_is_reported_stuck_once() -> None:
    finger = Finger(down=True)
    assert finger.wait(3600.0) == [Stuck()]
    assert finger.release() == [ButtonReleased()]


def test_a_stuck_button_commits_nothing() -> None:
    finger = Finger()
    finger.press()
    assert finger.wait(3600.0) == [HoldArmed("mute"), HoldArmed("restart"), HoldArmed(None), Stuck()]
    assert finger.release() == [ButtonReleased()]


def test_a_button_that_returns_held_down_is_not_pressed() -> None:
    finger = Finger()
    finger.press()
    finger.lose()
    assert finger.press() == []
    assert finger.release() == []
    assert finger.press() == [ButtonAct("toggle")]


def test_a_quick_finger_does_not_bounce() -> None:
    finger = Finger()
    outcomes: list[GestureEvent] = []
    for _ in range(FLUTTERS // 2):
        outcomes += finger.press() + finger.wait(0.1) + finger.release() + finger.wait(0.11)
    assert outcomes == [ButtonAct("toggle")] * (FLUTTERS // 2)


def test_a_press_every_other_second_all_day_does_not_bounce() -> None:
    finger = Finger()
    outcomes: list[GestureEvent] = []
    for _ in range(1000):
        outcomes += finger.press() + finger.wait(0.3) + finger.release() + finger.wait(1.7)
    assert outcomes == [ButtonAct("toggle")] * 1000


@pytest.mark.parametrize("pause_s", [0.12, 0.25, 0.5, 0.9])
def test_a_fluttering_contact_is_reported_once_and_ignored(pause_s: float) -> None:
    finger = Finger()
    outcomes: list[GestureEvent] = []
    for _ in range(5000):
        outcomes += finger.press() + finger.wait(pause_s) + finger.release() + finger.wait(pause_s)
    assert outcomes == [ButtonAct("toggle")] * (FLUTTERS // 2) + [FLUTTERING]


def test_a_chattering_contact_is_reported_once_and_recovers() -> None:
    finger = Finger()
    outcomes: list[GestureEvent] = []
    for _ in range(720):
        for _ in range(30):
            outcomes += finger.press() + finger.wait(0.02) + finger.release() + finger.wait(0.02)
        outcomes += finger.wait(3.8)
    assert outcomes == [ButtonAct("toggle")] * (BOUNCES // 2) + [BOUNCING]
    assert finger.wait(50.0) == []
    assert finger.wait(10.0) == [ButtonReleased()]
    assert finger.press() == [ButtonAct("toggle")]


def test_a_button_ignored_for_fluttering_recovers_while_people_press_it() -> None:
    finger = Finger()
    for _ in range(FLUTTERS):
        finger.press()
        finger.wait(0.3)
        finger.release()
        finger.wait(0.3)
    outcomes: list[GestureEvent] = []
    for _ in range(12):
        outcomes += finger.click() + finger.wait(10.0)
    assert outcomes == [ButtonReleased()] + [ButtonAct("toggle")] * 6


def test_a_bouncing_button_is_ignored_until_it_rests() -> None:
    finger = Finger()
    outcomes: list[GestureEvent] = []
    for _ in range(1000):
        outcomes += finger.press() + finger.wait(0.01) + finger.release() + finger.wait(0.01)
    assert outcomes == [ButtonAct("toggle")] * (BOUNCES // 2) + [BOUNCING]
    assert finger.wait(FLUTTERS_WITHIN_S - 1.0) == []
    assert finger.wait(1.0) == [ButtonReleased()]
    assert finger.press() == [ButtonAct("toggle")]


def test_a_button_that_bounced_shortly_is_trusted_as_soon_as_it_rests() -> None:
    finger = Finger()
    outcomes: list[GestureEvent] = []
    for _ in range(BOUNCES // 2 + 2):
        outcomes += finger.click()
    assert outcomes == [ButtonAct("toggle")] * (BOUNCES // 2) + [BOUNCING]
    assert finger.wait(1.9) == []
    assert finger.wait(0.1) == [ButtonReleased()]
    assert finger.press() == [ButtonAct("toggle")]


def test_a_waiting_press_is_dropped_when_the_button_bounces() -> None:
    finger = Finger(GestureRules("toggle", double="look", double_s=1.0))
    outcomes: list[GestureEvent] = []
    for _ in range(BOUNCES // 2 + 2):
        outcomes += finger.click() + finger.wait(0.1)
    assert outcomes == [ButtonAct("look")] * (BOUNCES // 4) + [BOUNCING]
    assert finger.wait(3.0) == [ButtonReleased()]


def test_a_button_that_rests_down_after_bouncing_does_nothing_until_its_release() -> None:
    finger = Finger()
    for _ in range(15):
        finger.release()
        finger.press()
    assert finger.wait(REST_S) == [ButtonReleased()]
    assert finger.wait(60.0) == [Stuck()]
    assert finger.release() == [ButtonReleased()]


def test_bouncing_ends_the_talking() -> None:
    finger = Finger(GestureRules("hold"))
    outcomes: list[GestureEvent] = []
    for _ in range(30):
        outcomes += finger.click()
    assert outcomes == [HoldBegan(), HoldEnded()] * 10 + [BOUNCING]


def test_a_repeated_edge_is_ignored() -> None:
    finger = Finger()
    assert finger.press() + finger.press() == [ButtonAct("toggle")]
    assert finger.release() + finger.release() == []


def test_a_clock_that_runs_backwards_counts_as_standing_still() -> None:
    finger = Finger()
    finger.press()
    finger.now_s -= 100.0
    assert finger.release() == []
    assert finger.state.now_s == 1000.0


# Edges that are reported late


def replay(rules: GestureRules, *edges: tuple[bool, float], late_s: float = 30.0) -> list[GestureEvent]:
    """Return the gestures of a starved loop that reports all edges at once, and then lets time pass."""
    state, _, _ = step(Gesture(), False, 0.0, rules)
    outcomes: list[GestureEvent] = []
    for edge, at_s in (*edges, (None, late_s)):
        state, more, _ = step(state, edge, at_s, rules)
        outcomes += more
    return outcomes


def test_a_short_press_stays_a_press_if_it_is_reported_late() -> None:
    assert replay(GestureRules(), (True, 1.0), (False, 1.4)) == [ButtonAct("toggle")]


def test_a_hold_keeps_its_length_if_it_is_reported_late() -> None:
    assert replay(GestureRules(), (True, 1.0), (False, 3.5))[-1] == Commit("mute")
    assert replay(GestureRules(), (True, 1.0), (False, 11.5))[-1] == Commit("restart")


def test_two_presses_are_a_double_press_by_their_own_times() -> None:
    rules = GestureRules(double="look")
    assert replay(rules, (True, 1.0), (False, 1.1), (True, 1.3), (False, 1.4)) == [ButtonAct("look")]
    assert replay(rules, (True, 1.0), (False, 1.1), (True, 1.5), (False, 1.6)) == [
        ButtonAct("toggle"),
        ButtonAct("toggle"),
    ]


def test_edges_reported_in_one_burst_bounce_by_their_own_times() -> None:
    slow = [(number % 2 == 0, 1.0 + number) for number in range(40)]
    assert BOUNCING not in replay(GestureRules(), *slow, late_s=60.0)
    fast = [(number % 2 == 0, 1.0 + number / 100) for number in range(40)]
    assert BOUNCING in replay(GestureRules(), *fast)


def test_an_act_carries_the_time_of_the_press() -> None:
    acts = replay(GestureRules(double="look"), (True, 1.0), (False, 1.1))
    assert [act.down_s for act in acts if isinstance(act, ButtonAct)] == [1.0]
    talks = replay(GestureRules("hold"), (True, 2.0), (False, 2.5))
    assert [talk.down_s for talk in talks if isinstance(talk, HoldBegan)] == [2.0]


def test_a_button_that_is_stuck_or_bounces_has_no_finger_on_it() -> None:
    finger = Finger()
    assert not finger.state.held
    finger.press()
    assert finger.state.held
    finger.wait(61.0)
    assert not finger.state.held


# Random edges

DOES = st.sampled_from([*ACTS, "hold"])
RULES = st.builds(
    GestureRules,
    does=DOES,
    double=st.none() | DOES,
    mute_s=st.sampled_from([0.0, 0.7, 2.0]),
    restart_s=st.sampled_from([0.0, 1.1, 10.0]),
)
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["press", "release", "lose", "nothing"]),
        st.sampled_from([0.0, 0.001, 0.09, 0.3, 1.0, 2.0, 9.0, 61.0]),
    ),
    max_size=120,
)


def lived(rules: GestureRules, deeds: list[tuple[str, float]]) -> list[tuple[str, list[GestureEvent]]]:
    """Return the gestures of each deed and of the time after it, with the deed's name."""
    finger, story = Finger(rules), []
    for deed, seconds in deeds:
        if deed != "nothing":
            story.append((deed, getattr(finger, deed)()))
        story.append(("time", finger.wait(seconds)))
        assert finger.due_s is None or finger.due_s > finger.now_s
    story.append(("lose", finger.lose()))
    return story


@given(RULES, DEEDS)
def test_all_talking_that_begins_ends_exactly_once(
    rules: GestureRules, deeds: list[tuple[str, float]]
) -> None:
    talks = [
        outcome
        for _, outcomes in lived(rules, deeds)
        for outcome in outcomes
        if isinstance(outcome, HoldBegan | HoldEnded)
    ]
    assert talks == [HoldBegan(), HoldEnded()] * (len(talks) // 2)


@given(RULES, DEEDS)
def test_only_a_release_commits_and_only_the_armed_action(
    rules: GestureRules, deeds: list[tuple[str, float]]
) -> None:
    armed = None
    for deed, outcomes in lived(rules, deeds):
        for outcome, following in pairwise([*outcomes, None]):
            if isinstance(outcome, HoldArmed):
                if isinstance(following, Commit):
                    assert outcome.what is None
                    assert following.what == armed
                assert outcome.what != armed
                armed = outcome.what
            if isinstance(outcome, Commit):
                assert deed == "release"
    assert armed is None


@given(RULES, DEEDS)
def test_only_a_press_acts_and_it_acts_once(rules: GestureRules, deeds: list[tuple[str, float]]) -> None:
    waiting = 0
    for deed, outcomes in lived(rules, deeds):
        acts = [outcome for outcome in outcomes if isinstance(outcome, ButtonAct | HoldBegan)]
        waiting += deed == "press"
        if rules.double is None or rules.does == "hold":
            assert len(acts) <= (deed == "press")
        else:
            assert len(acts) <= waiting
        if acts or deed == "lose":
            waiting = 0
        assert ButtonAct("hold") not in acts


@given(RULES, DEEDS)
def test_a_stuck_or_bouncing_button_and_its_recovery_are_reported_once(
    rules: GestureRules, deeds: list[tuple[str, float]]
) -> None:
    trouble = False
    for deed, outcomes in lived(rules, deeds):
        for outcome in outcomes:
            if isinstance(outcome, Stuck | Bouncing):
                trouble = True
            elif isinstance(outcome, ButtonReleased):
                assert trouble
                trouble = False
            elif trouble:
                assert outcome == HoldArmed(None)
        trouble = trouble and deed != "lose"


@given(RULES, DEEDS)
def test_deadlines_are_few(rules: GestureRules, deeds: list[tuple[str, float]]) -> None:
    finger = Finger(rules)
    for deed, seconds in deeds:
        if deed != "nothing":
            getattr(finger, deed)()
        before = finger.calls
        finger.wait(seconds)
        assert finger.calls - before <= 4
        assert len(finger.state.edges) <= FLUTTERS + 1


@given(
    st.lists(
        st.tuples(st.sampled_from([True, False, None]), st.floats(allow_nan=False, allow_infinity=False)),
        max_size=50,
    ),
    RULES,
)
def test_edges_at_any_times_are_accepted(calls: list[tuple[bool | None, float]], rules: GestureRules) -> None:
    state, latest = Gesture(), 0.0
    for edge, now_s in calls:
        state, _, due_s = step(state, edge, now_s, rules)
        latest = max(latest, now_s)
        assert state.now_s == latest
        assert due_s is None or due_s > latest
        assert state.phase is ButtonPhase.UNKNOWN or edge is None or state.down == edge


@given(st.lists(st.floats(0.0, 0.09), min_size=50, max_size=200))
def test_a_button_that_never_rests_acts_at_most_ten_times(pauses: list[float]) -> None:
    finger = Finger()
    acts = 0
    for number, pause in enumerate(pauses):
        outcomes = finger.press() if number % 2 == 0 else finger.release()
        acts += outcomes.count(ButtonAct("toggle"))
        finger.wait(pause)
    assert acts <= BOUNCES // 2
    assert finger.state.phase is ButtonPhase.BOUNCING
