"""The parts of a kiosk for tests, given by their field names and sorted into devices, service and stores."""

from dataclasses import fields, replace
from typing import Any

from kioskd import app, ports


def parts(
    clock: ports.Clock,
    microphone: ports.Microphone,
    speaker: ports.Speaker,
    live: ports.Live,
    notifier: ports.Notifier,
    **others: Any,
) -> app.Parts:
    """Return a kiosk's parts; `others`: fields of `app.Devices`, `app.LiveService` and `app.Stores`."""
    made = app.Parts(app.Devices(clock, microphone, speaker, notifier), app.LiveService(live))
    return changed(made, **others)


def changed(old: app.Parts, **others: Any) -> app.Parts:
    """Return the parts with some replaced, each given by its field name."""
    new = old
    for name in ("devices", "service", "stores"):
        part = getattr(old, name)
        own = {field.name: others.pop(field.name) for field in fields(part) if field.name in others}
        new = replace(new, **{name: replace(part, **own)})
    assert not others, f"these are not parts of a kiosk: {sorted(others)}"
    return new
