"""Builds the parts that follow what stands where: subjects with their readers, and the presence sensor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kioskd.app.parts import Parts
from kioskd.core.events import Event
from kioskd.flow.link.outbox import Outbox
from kioskd.flow.runtime.engine import Observer
from kioskd.flow.runtime.workers import Worker

if TYPE_CHECKING:
    from kioskd.flow.subjects.presence import PresenceWorker
    from kioskd.flow.subjects.subjects import Subjects


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The subjects and the presence sensor of a kiosk; None and empty where the settings name none."""

    subjects: "Subjects | None" = None
    presence: "PresenceWorker | None" = None
    workers: Mapping[str, Worker] = field(default_factory=dict)
    observers: Sequence[Observer] = ()


def surroundings(parts: Parts, post: Callable[[Event], None], outbox: Outbox) -> Surroundings:
    """Return the subjects and the sensor of `parts`. A kiosk without them does not import their code."""
    devices = parts.devices
    workers: dict[str, Worker] = {}
    observers: list[Observer] = []
    subjects, presence = None, None
    if parts.service.subjects:
        from kioskd.flow.subjects.readers import ReaderWorker  # noqa: PLC0415 - see the docstring
        from kioskd.flow.subjects.subjects import Subjects  # noqa: PLC0415 - the same

        subjects = Subjects(parts.service.subjects, post, devices.clock, outbox)
        observers.append(subjects.observe)
        for each in devices.readers:
            reader = ReaderWorker(each.reader, subjects.read, post, devices.clock, name=each.name)
            workers[each.name] = reader.run
    if (sensor := devices.presence) is not None:
        from kioskd.flow.subjects.presence import PresenceWorker  # noqa: PLC0415 - the same

        presence = PresenceWorker(sensor.sensor, sensor.rules, post, devices.clock, outbox, name=sensor.name)
        observers.append(presence.observe)
        workers[sensor.name] = presence.run
    return Surroundings(subjects, presence, workers, observers)
