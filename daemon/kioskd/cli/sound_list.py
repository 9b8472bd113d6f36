"""The sound part of `kioskd devices`: cards first, what of them cannot be used and why, and the plugins of ALSA if asked."""

from typing import Any, Final

from kioskd.errors import DeviceLost

SETTINGS: Final = {"microphones": "microphone.device", "speakers": "speaker.device"}


def sound(*, plugins: bool) -> dict[str, Any]:
    """Return microphones and speakers as JSON has them; the plugins of ALSA only with `plugins`."""
    empty: dict[str, Any] = {"microphones": [], "speakers": [], "sound_fault": None}
    try:
        # Here, and not above: other commands must work where PyAudio does not.
        from kioskd.adapters.portaudio import alsa, streams  # noqa: PLC0415 - see above
        from kioskd.adapters.portaudio.devices import Direction, capable, stable_name  # noqa: PLC0415 - see above

        devices, closed = streams.list_devices()
    except ImportError as error:
        return empty | {"sound_fault": f"PyAudio cannot be loaded ({error}); install it as the README says"}
    except DeviceLost as error:
        return empty | {"sound_fault": str(error)}
    hidden = frozenset[str]() if plugins else alsa.plugins()
    for kind, direction in (("microphones", Direction.IN), ("speakers", Direction.OUT)):
        empty[kind] = [
            {
                "name": stable_name(device, devices),
                "default": direction in device.default_for,
                "rate_hz": device.rate_hz,
                "channels": device.channels(direction),
            }
            for device in capable(devices, direction)
            if device.full_name not in hidden
        ] + [
            {
                "name": name,
                "default": False,
                "rate_hz": None,
                "channels": None,
                "fault": why,
                "node": pcm.node,
            }
            for pcm, name, why in closed
            if pcm.direction is direction
        ]
    return empty


def name_holders(found: dict[str, Any], daemon: int | None) -> None:
    """Name the programs that hold cards, where this process can see what the service cannot.

    `daemon` is the process of the kiosk itself, if it runs.
    """
    from kioskd.adapters.portaudio.sound_cards import holder, of_node  # noqa: PLC0415 - as above

    for device in (*found["microphones"], *found["speakers"]):
        pcm = of_node(device.pop("node", ""))
        by = holder(pcm) if pcm is not None else None
        if by is not None and by.pid == daemon:
            device["fault"] = f"in use by the kiosk itself (process {daemon})"
        elif by is not None:
            device["fault"] = f"in use by {by}; end that program, and see what starts it"


def show(found: dict[str, Any]) -> None:
    """Print them for people."""
    for kind, setting in SETTINGS.items():
        print(f"{kind} ({setting}):")
        for device in found[kind]:
            default = "   (default)" if device["default"] else ""
            figures = f"{device['rate_hz']} Hz, channels: {device['channels']}"
            print(f"  {device['name']}   {device.get('fault') or figures}{default}")
        if not found[kind]:
            print(
                f"  none: {found['sound_fault'] or 'plug one in; `aplay -l` and `arecord -l` show what ALSA sees'}"
            )
