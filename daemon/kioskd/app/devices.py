"""Settings -> everything that touches the world: `kioskd run`'s own, and what others put in its place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kioskd import ports
from kioskd.app.policy import session_of
from kioskd.app.service import find_proxies, live, read_aloud
from kioskd.app.tool_host import ToolSet
from kioskd.core import button_gesture
from kioskd.errors import ConfigError
from kioskd.flow.link.turn_endings import ReadAloud
from kioskd.flow.storage.budget import BudgetStore
from kioskd.flow.storage.conversation_recorder import RecordStore
from kioskd.media.lamp_patterns import NightDimming
from kioskd.settings.buttons_lamps import ButtonSettings, LampSettings, NightSettings
from kioskd.settings.camera import CameraSettings
from kioskd.settings.credentials import ServiceKeys
from kioskd.settings.limits import RecordSettings
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.adapters.remote.control_socket import ControlSocket
    from kioskd.adapters.remote.prometheus import MetricsServer
    from kioskd.media.echo import EchoCanceller


@dataclass(frozen=True, slots=True)
class ButtonSpec:
    """A button, and what it is for."""

    button: ports.Button
    rules: button_gesture.GestureRules = field(
        default_factory=lambda: button_gesture.GestureRules(does="toggle")
    )
    name: str = "button"


@dataclass(frozen=True, slots=True)
class LampSpec:
    """A lamp, and how bright it is, in percent."""

    lamp: ports.Lamp
    name: str = "lamp"
    brightness: float = 100.0
    night: NightDimming | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that touches the world."""

    clock: ports.Clock
    microphone: ports.Microphone
    speaker: ports.Speaker
    live: ports.Live
    notifier: ports.Notifier
    keys: ServiceKeys | None = None
    """What `live` is opened with; None where it takes no other key than it was made with."""
    hands: Sequence[ButtonSpec] = ()
    lamps: Sequence[LampSpec] = ()
    camera: ports.Camera | None = None
    camera_lamp: ports.Lamp | None = None
    network: ports.Network | None = None
    resumption: ports.ResumptionStore | None = None
    memory: ports.PreferenceStore | None = None
    tools: ToolSet | None = None
    prompts: ports.Prompts | None = None
    read_aloud: ReadAloud | None = None
    control: "ControlSocket | None" = None
    metrics: "MetricsServer | None" = None
    pictures: Sequence[bytes] = field(default=(), repr=False)
    """What the model is shown at the beginning of each session: JPEG."""
    local_time: Callable[[], time] = field(default=lambda: time(12))
    wall: Callable[[], datetime] = field(default=lambda: datetime(2026, 1, 1, 12))  # noqa: DTZ001 - local, as walls are
    """Local date and time."""
    ledger: BudgetStore | None = None
    time: ports.TimeEvidence | None = None
    words: RecordStore | None = None
    """Where transcripts go, if the owner wants them kept; `sounds`: recordings."""
    sounds: RecordStore | None = None
    places: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    """Where something is to outlive a restart, by name: a look at each; see `flow.keeping.Keeping`."""


def hand(button: ports.Button, settings: ButtonSettings) -> ButtonSpec:
    """Return `button`, for what the settings say."""
    rules = button_gesture.GestureRules(
        does=settings.does, double=settings.double, mute_s=settings.mute_s, restart_s=settings.restart_s
    )
    return ButtonSpec(button, rules, f"button {settings.source}")


def echo_canceller(settings: Settings) -> "EchoCanceller | None":
    """Return what takes the kiosk's own voice out of its microphone, where the settings ask for it.

    Raises:
        ConfigError: the extra kioskd[echo] is not installed.
    """
    microphone = settings.microphone
    if not microphone.cancels:
        return None
    from kioskd.media.echo import EchoCanceller  # noqa: PLC0415 - brings numpy and WebRTC

    return EchoCanceller(
        noise_suppression=microphone.noise_suppression is not False,
        gain_control=microphone.gain_control is True,
        delay_s=0.0,  # as the speaker says once it plays
    )


def real_parts(settings: Settings, environ: Mapping[str, str]) -> Parts:
    """Return what `kioskd run` uses: this machine's devices and the real service.

    Raises:
        ConfigError: there is no key, or a library that a setting needs is missing.
    """
    # Vendor libraries are imported by whoever is configured to need them, and by nobody else.
    from kioskd.adapters.clock import MachineTime, SystemClock, local_time, wall  # noqa: PLC0415
    from kioskd.adapters.network import KernelNetwork  # noqa: PLC0415
    from kioskd.adapters.portaudio.streams import PortAudioMicrophone, PortAudioSpeaker  # noqa: PLC0415
    from kioskd.adapters.remote.control_socket import ControlSocket  # noqa: PLC0415
    from kioskd.adapters.remote.control_wire import daemon_socket  # noqa: PLC0415
    from kioskd.adapters.storage.preference_file import PreferenceFile, state_directory  # noqa: PLC0415
    from kioskd.adapters.storage.resumption_file import ResumptionFile, runtime_directory  # noqa: PLC0415
    from kioskd.adapters.systemd import notifier  # noqa: PLC0415
    from kioskd.prompts import cache_directory  # noqa: PLC0415

    controls, camera = settings.controls, settings.camera
    runtime = runtime_directory(environ)
    state = state_directory(environ)
    clock, control = SystemClock(), daemon_socket(environ)
    tools, keys = ToolSet(settings, environ, clock), ServiceKeys(environ)
    return Parts(
        clock=clock,
        microphone=PortAudioMicrophone(settings.microphone.device, channel=settings.microphone.channel),
        speaker=PortAudioSpeaker(settings.speaker.device),
        live=live(settings, keys.opener(settings.service), tools.offered, tools.trial),
        notifier=notifier(environ),
        keys=keys,
        hands=_hands(controls.all_buttons),
        lamps=[_lit(lamp) for lamp in controls.all_lamps],
        camera=camera.parsed.build(camera.form),
        camera_lamp=_camera_lamp(camera),
        network=KernelNetwork(),
        resumption=ResumptionFile(runtime, session_of=session_of(settings)) if runtime is not None else None,
        memory=PreferenceFile(state) if state is not None else None,
        tools=tools,
        prompts=prompts(settings, cache_directory(environ)),
        read_aloud=read_aloud(settings),
        pictures=pictures(settings),
        local_time=local_time,
        wall=wall,
        time=MachineTime(),
        ledger=_ledger(state),
        words=_record_store(settings.privacy.transcripts, "transcripts"),
        sounds=_record_store(settings.privacy.recordings, "recordings"),
        places=_places(settings, state),
        control=ControlSocket(control, clock) if control is not None else None,
        metrics=_metrics(settings.metrics.port, clock),
    )


def misfits(settings: Settings) -> list[str]:
    """Return what `run` would refuse these settings for on this machine: a library, a picture, a key's name. Blocks.

    Opens no device, and asks for no service key.
    """
    controls = settings.controls
    attempts: list[Callable[[], object]] = [
        *(partial(_hands, [button]) for button in controls.all_buttons),
        *(partial(_lit, lamp) for lamp in controls.all_lamps),
        partial(settings.camera.parsed.build, settings.camera.form),
        partial(_camera_lamp, settings.camera),
        partial(pictures, settings),
        partial(echo_canceller, settings),
        partial(_wake_word, settings),
        partial(find_proxies, settings),
    ]
    found: dict[str, None] = {}
    for attempt in attempts:
        try:
            attempt()
        except ConfigError as error:
            found[str(error)] = None
    return list(found)


def _wake_word(settings: Settings) -> None:
    if "wakeword" in settings.conversation.wake:
        from kioskd.adapters.wakeword import WakeWordDetector  # noqa: PLC0415

        WakeWordDetector(settings.conversation.wakeword)


def pictures(settings: Settings) -> tuple[bytes, ...]:
    """Return `assistant.pictures`, as the service takes them. Blocks.

    Raises:
        ConfigError: one cannot be read, or is no picture.
    """
    if not settings.assistant.pictures:
        return ()
    from kioskd.adapters.cameras.folder import content  # noqa: PLC0415 - the same
    from kioskd.adapters.pictures.decoder import PictureDecoder  # noqa: PLC0415 - brings Pillow
    from kioskd.media.picture import BadPicture  # noqa: PLC0415 - the same

    fitted, camera = [], settings.camera
    with PictureDecoder() as decoder:
        for path in settings.assistant.pictures:
            try:
                fitted.append(decoder.fit(content(path), size=camera.size, quality=camera.quality))
            except OSError as error:
                raise ConfigError(
                    f"assistant.pictures: {path} cannot be read: {error.strerror}; correct the path or its permissions"
                ) from None
            except BadPicture as error:
                raise ConfigError(
                    f"assistant.pictures: {path}: {error}; replace it, or take it out"
                ) from None
    return tuple(fitted)


def _ledger(state: Path | None) -> BudgetStore | None:
    if state is None:
        return None
    from kioskd.adapters.storage.budget_file import BudgetFile  # noqa: PLC0415

    return BudgetFile(state)


def _metrics(port: int, clock: ports.Clock) -> "MetricsServer | None":
    if not port:
        return None
    from kioskd.adapters.remote.prometheus import MetricsServer  # noqa: PLC0415

    return MetricsServer(port, clock)


def _places(settings: Settings, state: Path | None) -> dict[str, Callable[[], None]]:
    from kioskd.adapters.storage import atomic_file  # noqa: PLC0415

    folders = {} if state is None else {"state directory": state}
    records = {"transcripts": settings.privacy.transcripts, "recordings": settings.privacy.recordings}
    folders |= {name: record.folder for name, record in records.items() if record is not None}
    return {name: partial(atomic_file.look, folder) for name, folder in folders.items()}


def _record_store(record: RecordSettings | None, what: str) -> RecordStore | None:
    if record is None:
        return None
    from kioskd.adapters.storage.recordings import RecordFolder  # noqa: PLC0415

    return RecordFolder(record.folder, what=what, keep_days=record.keep_days, most_mb=record.most_mb)


def _hands(buttons: Sequence[ButtonSettings]) -> list[ButtonSpec]:
    shared: dict[str, Any] = {}
    return [hand(button.parsed.build(button, shared), button) for button in buttons]


def _lit(lamp: LampSettings) -> LampSpec:
    source = lamp.parsed
    return LampSpec(source.build(lamp), f"lamp {source.text}", lamp.brightness, _night(lamp.night))


def _camera_lamp(camera: CameraSettings) -> ports.Lamp | None:
    lamp = camera.own_lamp
    return lamp.parsed.build(lamp) if lamp is not None else None


def _night(night: NightSettings | None) -> NightDimming | None:
    if night is None:
        return None
    return NightDimming(_day_s(night.from_), _day_s(night.to), night.brightness)


def _day_s(clock: str) -> float:
    hours, minutes = clock.split(":")
    return int(hours) * 3600.0 + int(minutes) * 60.0


def prompts(settings: Settings, cache: Path | None) -> ports.Prompts | None:
    """Return what the kiosk says for itself, kept in `cache` once it is rendered; None where the owner wants none."""
    if not settings.speaker.prompts:
        return None
    from kioskd.prompts import PromptLibrary  # noqa: PLC0415

    return PromptLibrary(settings.assistant.language, settings.speaker.prompts_folder, cache)
