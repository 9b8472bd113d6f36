"""The parts of a kiosk for tests: named flatly, and sorted into devices, service and stores."""

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
    """Return the parts of a kiosk; `others` are fields of `app.Devices`, `app.LiveService` and `app.Stores`."""
    made = app.Parts(app.Devices(clock, microphone, speaker, notifier), app.LiveService(live))
    return changed(made, **others)


def changed(old: app.Parts, **others: Any) -> app.Parts:
    """Return the parts with some of them replaced, each by the name of its field."""
    new = old
    for name in ("devices", "service", "stores"):
        part = getattr(old, name)
        own = {field.name: others.pop(field.name) for field in fields(part) if field.name in others}
        new = replace(new, **{name: replace(part, **own)})
    assert not others, f"no part of a kiosk: {sorted(others)}"
    return new
