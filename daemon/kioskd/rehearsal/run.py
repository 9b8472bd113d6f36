"""Runs a rehearsal: the whole daemon between a scripted visitor and the Live service's simulator."""

import asyncio
import importlib.util
import os
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from kioskd import app
from kioskd.app.sound import HELD_AFTER_MS
from kioskd.errors import ConfigError, KioskError
from kioskd.media import pcm
from kioskd.ports import Clock
from kioskd.rehearsal import report
from kioskd.rehearsal.capture import (
    Arrivals,
    RehearsalRecord,
    called_functions,
    kept_journal,
    service_pictures,
    slow_spans,
)
from kioskd.rehearsal.environment import RehearsalEnvironment, real_environment, scripted_environment
from kioskd.rehearsal.fake_microphone import load_speeches
from kioskd.rehearsal.measures import measure
from kioskd.rehearsal.scenario import Expectation, Scenario
from kioskd.rehearsal.script_player import OffScriptError, ScriptPlayer
from kioskd.rehearsal.summary import ExpectationResult, Summary
from kioskd.settings.model import Settings
from kioskd.simulator import Simulator

STOPS_IN_MS: Final = 5000
"""Milliseconds for which the service manager waits for the daemon's end."""

_ALWAYS_EXPECTED: Final = (
    Expectation(what="exit_code", is_=0),
    Expectation(what="stop_ms", at_most=STOPS_IN_MS),
)


@dataclass(frozen=True, slots=True)
class RehearsalResult:
    """Summary and record of a rehearsal that is over."""

    summary: Summary
    record: RehearsalRecord


async def rehearse(
    settings: Settings,
    scenario: Scenario,
    folder: Path,
    *,
    real_devices: bool = False,
    tell: Callable[[str], None] = lambda _line: None,
) -> RehearsalResult:
    """Rehearse once, write the report into `folder`, and return summary and record.

    Cancelling ends the rehearsal; the report is still written.

    The scenario's settings are merged over `settings`. With `real_devices` the microphone, speaker and
    buttons are those of the settings, and a person plays the visitor. `tell` gets a line for each event that
    people care about.

    Raises:
        KioskError: settings, scenario, folder or this machine do not allow the rehearsal. An error that
            ends the
            running daemon is in the summary instead.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(
            "kioskd rehearse: matplotlib, which draws timeline.png, is not installed; "
            "run sudo scripts/install.sh --extras rehearsal, or scripts/setup in a checkout"
        )
    settings = merged(settings, given(scenario.settings))
    report.prepare(folder)
    speeches = await asyncio.to_thread(load_speeches, scenario.recordings)
    environment: RehearsalEnvironment | None = None

    def observe(kind: str, data: dict[str, object]) -> None:
        if environment is not None:
            environment.observer.service(kind, data)

    with tempfile.TemporaryDirectory(prefix="kioskd-") as private:
        async with Simulator(scenario.service, observe=observe) as service:
            settings = merged(settings, {"service": _at(service)})
            key = service.key if service.token_url is None else None
            if real_devices:
                environment = real_environment(settings, key, Path(private))
            else:
                environment = scripted_environment(settings, key, Path(private), scenario.pictures)
            # An installation renders the prompts, too, so that the first visitor finds them ready.
            await environment.parts.service.prompts.prepare()
            player = ScriptPlayer(environment, speeches)
            return await _Performance(settings, scenario, environment, service, player).play(folder, tell)


@dataclass(frozen=True, slots=True)
class _Performance:
    """The participants of one rehearsal."""

    settings: Settings
    scenario: Scenario
    environment: RehearsalEnvironment
    service: Simulator
    player: ScriptPlayer

    async def play(self, folder: Path, tell: Callable[[str], None]) -> RehearsalResult:
        """Run the daemon, play the script, and write the report, also after an error."""
        environment, scenario, ending = self.environment, self.scenario, RehearsalEnding()
        start = environment.clock.now()
        arrivals = Arrivals(
            environment.clock, lambda: sum(len(session.audio) for session in self.service.sessions)
        )
        environment.event_log.listen(report.Narration(start, scenario.service.replies, tell).note)
        environment.event_log.watch(arrivals.poll)
        journal: list[str] = []
        try:
            serving = app.serve(self.settings, environment.parts, observers=[environment.observer.observe])
            with kept_journal(journal):
                await perform(scenario, serving, self.player, environment.clock, ending)
        finally:
            # Nothing else runs any more, so blocking does no harm.
            record = self._record(start, ending, arrivals)
            summary = judged(scenario, measure(record), journal)
            report.write(folder, record, summary)
        return RehearsalResult(summary, record)

    def _record(self, start: float, ending: "RehearsalEnding", arrivals: Arrivals) -> RehearsalRecord:
        environment, settings, sessions = self.environment, self.settings, self.service.sessions
        holds = any(button.does == "hold" for button in settings.controls.all_buttons)
        return RehearsalRecord(
            name=self.scenario.name,
            start=start,
            end=ending.stopped,
            notes=environment.event_log.notes,
            track=environment.microphone.track,
            heard=environment.speaker.heard,
            gates=environment.observer.gates,
            utterances=self.player.utterances,
            received=[session.audio for session in sessions],
            arrivals=arrivals,
            shots=service_pictures(sessions),
            called=called_functions(sessions),
            slow=tuple(slow_spans(environment.event_log.notes, self.scenario.service.faults, ending.stopped)),
            preroll_frames=settings.microphone.preroll_ms // pcm.FRAME_MS,
            after_frames=HELD_AFTER_MS // pcm.FRAME_MS if holds else 0,
            stopped_in_s=ending.stopped - ending.stop_ordered,
            exit_code=ending.exit_code,
            trouble=ending.trouble,
        )


def _at(service: Simulator) -> dict[str, object]:
    """Return settings of the section `service` that lead to the simulator."""
    found: dict[str, object] = {
        "endpoint": service.endpoint,
        "ca_file": service.ca_file,
        "key_file": None,
    }
    if service.token_url is not None:
        found |= {"token_url": service.token_url, "api_version": None}  # the one that takes tokens
    # The simulator knows no devices, and their certificates stay where they are.
    found |= {"token_certificate": None, "token_key_file": None, "token_proof": None}
    return found


@dataclass(slots=True)
class RehearsalEnding:
    """The end of the script and of the daemon; times are the clock's."""

    exit_code: int = 0
    trouble: str | None = None
    stop_ordered: float = 0.0
    stopped: float = 0.0


async def perform(
    scenario: Scenario,
    serve: Coroutine[Any, Any, None],
    player: ScriptPlayer,
    clock: Clock,
    ending: RehearsalEnding,
) -> None:
    """Run the daemon, play the script, and stop the daemon as SIGTERM would."""
    try:
        async with asyncio.timeout(scenario.longest_s), asyncio.TaskGroup() as group:
            serving = group.create_task(serve, name="kioskd")
            try:
                await player.perform(scenario.visitor)
            finally:
                ending.stop_ordered = clock.now()
            serving.cancel()
    except TimeoutError:
        ending.trouble = f"the script did not end within longest_s ({scenario.longest_s:g} s)"
    except BaseExceptionGroup as errors:
        bugs = False
        for error in _leaves(errors):
            bugs = bugs or not isinstance(error, KioskError)
            if not isinstance(error, OffScriptError):
                ending.exit_code = _exit_code(error)
            ending.trouble = str(error) or type(error).__name__
        if bugs:
            raise
    except asyncio.CancelledError:
        ending.trouble = "interrupted"
        raise
    finally:
        ending.stopped = clock.now()


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def _exit_code(error: BaseException) -> int:
    if isinstance(error, ConfigError):
        return os.EX_CONFIG
    return os.EX_UNAVAILABLE if isinstance(error, KioskError) else os.EX_SOFTWARE


def judged(scenario: Scenario, summary: Summary, journal: Sequence[str] = ()) -> Summary:
    """Return the summary with the results of all expectations: those of any rehearsal, and the scenario's.

    `journal` holds the daemon's log lines.
    """
    ended = ExpectationResult(
        text=f"the visitor's script ran to its end{f': {summary.trouble}' if summary.trouble else ''}",
        met=summary.trouble is None,
    )
    checked = [expectation.check(summary, journal) for expectation in (*_ALWAYS_EXPECTED, *scenario.expect)]
    return summary.model_copy(update={"expectations": (ended, *checked)})


def merged(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with `changes` merged over them. Raises ConfigError if they do not fit together."""
    try:
        return Settings.model_validate(_merge(given(settings), changes))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{key}: {first['msg']}: the scenario's settings contradict the configuration; change one of them"
        ) from None


def given(settings: Settings) -> dict[str, Any]:
    """Return the explicit settings by their names in the YAML; a default may contradict another setting."""
    return settings.model_dump(exclude_unset=True, by_alias=True)


def _merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for name, change in changes.items():
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(change, Mapping):
            result[name] = _merge(old, change)
        else:
            result[name] = change
    return result
