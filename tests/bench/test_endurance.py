"""The daemon holds nothing more after hours than after minutes, and writes nothing while it sleeps."""

import asyncio
import json

from tests.bench import endurance, simulated_time
from tests.bench.simulated_time import Life
from tests.bench.wake_ups import LOOP, OWN_THREADS, SOUND
from tests.support.sound_server import SoundServer

SHORT = endurance.Plan(asleep_s=4.0, conversation_s=2.0, settle_s=1.0)


def grows_in_nothing(life: Life) -> bool:
    return (life.after.tasks, life.after.files) == (life.before.tasks, life.before.files)


def test_a_sleeping_daemon_writes_nothing_and_opens_nothing(sound_server: SoundServer) -> None:
    watched = endurance.watch(SHORT, sound_server)
    asleep, talking = watched["asleep"], watched["conversation"]
    assert asleep.written_bytes == 0
    for one in (asleep, talking):
        assert one.files[0] == one.files[1]
        assert one.wake_ups[LOOP] > 0
        assert one.wake_ups[SOUND] > 0
        assert one.wake_ups[OWN_THREADS] < one.wake_ups[SOUND]


def test_three_hours_of_sleep_leave_nothing_behind() -> None:
    life = asyncio.run(simulated_time.day_asleep(3 * 3600.0))
    assert grows_in_nothing(life)
    assert life.after.rss_mb - life.before.rss_mb < 2
    assert life.wake_ups_a_second < 1, life.timers


def test_a_long_conversation_leaves_nothing_behind() -> None:
    life = asyncio.run(simulated_time.hour_in_conversation(1200.0))
    assert grows_in_nothing(life)
    # The scripted connection keeps the last 200 s of frames, which are 7 MB.
    assert life.after.rss_mb - life.before.rss_mb < 10
    assert life.timers["flow.runtime.watchdog.run"] >= 1200 / 10 - 1


def test_the_report_shows_true_and_simulated_time() -> None:
    plan = endurance.Plan(
        asleep_s=1.0,
        conversation_s=1.0,
        settle_s=0.5,
        simulated_asleep_s=600.0,
        simulated_conversation_s=200.0,
    )
    report = endurance.report(plan, lambda _: None)
    assert "| wake-ups a second, event loop " in report.block
    assert "| `flow.runtime.watchdog.run` " in report.block
    json.dumps(report.values)
