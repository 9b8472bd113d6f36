"""Builds all parts that touch the world from the settings: devices, service and stores."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kioskd import ports
from kioskd.adapters.absent import NoControl, NoMetrics, NoPreferences, NoPrompts, NoResumption
from kioskd.app.announcements import recordings
from kioskd.app.captions import screens
from kioskd.app.parts import (
    ButtonSpec,
    Devices,
    LampSpec,
    LiveService,
    Parts,
    PresenceSpec,
    ReaderSpec,
    Stores,
)
from kioskd.app.policy import session_of
from kioskd.app.service import find_proxies, live, read_aloud
from kioskd.app.tool_host import ToolSet
from kioskd.core import button_gesture
from kioskd.errors import ConfigError
from kioskd.flow.storage.conversation_recorder import RecordStore
from kioskd.media.lamp_patterns import NightDimming
from kioskd.settings.buttons_lamps import (
    ButtonSettings,
    LampSettings,
    NightSettings,
    PresenceSettings,
    ReaderSettings,
)
from kioskd.settings.camera import CameraSettings
from kioskd.settings.credentials import ServiceKeys, device_key
from kioskd.settings.limits import RecordSettings
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.adapters.wakeword import WakeWordDetector
    from kioskd.flow.subjects.subjects import Subject
    from kioskd.media.echo import EchoCanceller
    from kioskd.media.speech_rating import SpeechModel


def hand(button: ports.Button, settings: ButtonSettings) -> ButtonSpec:
    """Return `button` with the gestures of its settings."""
    rules = button_gesture.GestureRules(
        does=settings.does,
        double=settings.double,
        profile=settings.profile,
        mute_s=settings.mute_s,
        restart_s=settings.restart_s,
    )
    return ButtonSpec(button, rules, f"button {settings.source}")


def presence_spec(sensor: ports.Button, settings: PresenceSettings) -> PresenceSpec:
    """Return `sensor` with the rules of its settings."""
    from kioskd.flow.subjects.presence import PresenceRules  # noqa: PLC0415 - only kiosks with a sensor need it

    rules = PresenceRules(
        steady_s=settings.steady_s,
        away_s=settings.away_s,
        holdoff_s=settings.holdoff_s,
        greets=settings.greets,
        greeting=settings.greeting or "",
    )
    return PresenceSpec(sensor, rules, f"presence {settings.source}")


def echo_canceller(settings: Settings) -> "EchoCanceller | None":
    """Return the echo canceller for the microphone; None if the settings ask for none.

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
        delay_s=0.0,  # the speaker sets it when it plays
    )


def speech_model(needed_by: str) -> "SpeechModel":
    """Return a network that rates speech, for one listener. `needed_by`: the setting that needs it.

    It is loaded at once, so that the first wake does not wait. That takes 8 ms on a desktop.

    Raises:
        ConfigError: the extra kioskd[voice] is not installed.
    """
    from kioskd.adapters.silero import SpeechNetwork  # noqa: PLC0415 - the extra may be absent

    return SpeechNetwork(needed_by)


def wake_words(settings: Settings) -> "WakeWordDetector":
    """Return the detector of the settings' wake words. Blocks.

    Raises:
        ConfigError: the extra kioskd[wakeword] is not installed, or a word's model cannot be used.
    """
    from kioskd.adapters.wakeword import WakeWordDetector  # noqa: PLC0415 - the extra may be absent

    return WakeWordDetector(settings.conversation.wakeword, settings.conversation.wakeword_sensitivity)


def real_parts(settings: Settings, environ: Mapping[str, str]) -> Parts:
    """Return the parts for `kioskd run`: this machine's devices and the real service.

    Raises:
        ConfigError: there is no key, or a library that a setting needs is missing.
    """
    # Vendor libraries are imported only here, and only if the settings need them.
    from kioskd.adapters.clock import MachineTime, SystemClock, wall  # noqa: PLC0415
    from kioskd.adapters.network import KernelNetwork  # noqa: PLC0415
    from kioskd.adapters.portaudio.streams import PortAudioMicrophone, PortAudioSpeaker  # noqa: PLC0415
    from kioskd.adapters.remote.control_socket import ControlSocket  # noqa: PLC0415
    from kioskd.adapters.remote.control_wire import daemon_socket  # noqa: PLC0415
    from kioskd.adapters.storage.resumption_file import runtime_directory  # noqa: PLC0415
    from kioskd.adapters.storage.state_files import state_directory  # noqa: PLC0415
    from kioskd.adapters.systemd import notifier  # noqa: PLC0415
    from kioskd.prompts import cache_directory  # noqa: PLC0415

    controls, camera = settings.controls, settings.camera
    state = state_directory(environ)
    clock, control = SystemClock(), daemon_socket(environ)
    tools, keys = ToolSet(settings, environ, clock), ServiceKeys(environ)
    shared: dict[str, Any] = {}
    return Parts(
        Devices(
            clock=clock,
            microphone=PortAudioMicrophone(settings.microphone.device, channel=settings.microphone.channel),
            speaker=PortAudioSpeaker(settings.speaker.device, settings.speaker.asleep),
            notifier=notifier(environ),
            buttons=_buttons(controls.all_buttons, shared),
            readers=_readers(controls.readers, shared),
            presence=_presence(controls.presence, shared),
            lamps=[_lamp(lamp) for lamp in controls.all_lamps],
            camera=camera.parsed.build(camera.form),
            camera_lamps=_camera_lamps(camera),
            network=KernelNetwork(),
            control=ControlSocket(control, clock) if control is not None else NoControl(),
            metrics=_metrics(settings.metrics.port, clock),
            fleet=fleet_broker(settings, environ, clock),
            caption_screens=screens(settings.captions, clock),
            wall=wall,
            time=MachineTime(),
        ),
        LiveService(
            live=live(settings, keys.opener(settings.service), tools.offered, tools.trial),
            keys=keys,
            tools=tools,
            prompts=prompts(settings, cache_directory(environ)),
            read_aloud=read_aloud(settings),
            pictures=pictures(settings),
            subjects=subjects(settings),
        ),
        _stores(settings, state, runtime_directory(environ)),
    )


def _stores(settings: Settings, state: Path | None, runtime: Path | None) -> Stores:
    """Return the stores. They use the service manager's folders, as far as it has made them."""
    from kioskd.adapters.storage.resumption_file import ResumptionFile  # noqa: PLC0415
    from kioskd.adapters.storage.state_files import BudgetFile, PreferenceFile  # noqa: PLC0415

    return Stores(
        preferences=PreferenceFile(state) if state is not None else NoPreferences(),
        resumption=NoResumption()
        if runtime is None
        else ResumptionFile(runtime, session_of=session_of(settings)),
        budget=BudgetFile(state) if state is not None else None,
        transcripts=_record_store(settings.privacy.transcripts, "transcripts"),
        recordings=_record_store(settings.privacy.recordings, "recordings"),
        places=_places(settings, state),
    )


def startup_faults_of_devices(settings: Settings) -> list[str]:
    """Return the faults that would stop a start on this machine: a missing library, a bad picture. Blocks.

    It opens no device, and needs no service key.
    """
    controls = settings.controls
    attempts: list[Callable[[], object]] = [
        *(partial(_buttons, [button], {}) for button in controls.all_buttons),
        *(partial(_readers, [reader], {}) for reader in controls.readers),
        partial(_presence, controls.presence, {}),
        *(partial(_lamp, lamp) for lamp in controls.all_lamps),
        partial(settings.camera.parsed.build, settings.camera.form),
        partial(_camera_lamps, settings.camera),
        partial(pictures, settings),
        partial(subjects, settings),
        partial(recordings, settings),
        partial(echo_canceller, settings),
        partial(_listeners, settings),
        partial(find_proxies, settings),
        partial(_fleet_library, settings),
    ]
    found: dict[str, None] = {}
    for attempt in attempts:
        try:
            attempt()
        except ConfigError as error:
            found[str(error)] = None
    return list(found)


def _fleet_library(settings: Settings) -> None:
    if (broker := settings.fleet_broker) is not None:
        from kioskd.adapters.clock import SystemClock  # noqa: PLC0415
        from kioskd.adapters.remote.fleet_broker import MqttFleetBroker  # noqa: PLC0415
        from kioskd.mqtt.connection import BrokerAccess  # noqa: PLC0415

        MqttFleetBroker(BrokerAccess(broker.broker), SystemClock())


def _listeners(settings: Settings) -> None:
    conversation = settings.conversation
    if (needed_by := conversation.needs_speech_model) is not None:
        speech_model(needed_by)
    if "wakeword" in conversation.wake:
        wake_words(settings)


def pictures(settings: Settings) -> tuple[bytes, ...]:
    """Return `assistant.pictures` in the service's form. Blocks.

    Raises:
        ConfigError: a picture cannot be read, or is damaged.
    """
    return _fitted("assistant.pictures", settings.assistant.pictures, settings.camera)


def subjects(settings: Settings) -> "tuple[Subject, ...]":
    """Return the subjects with their pictures in the service's form. Blocks.

    Raises:
        ConfigError: a picture cannot be read, or is damaged.
    """
    if not settings.subjects:
        return ()
    from kioskd.flow.subjects.subjects import Subject  # noqa: PLC0415 - only kiosks with subjects need it

    return tuple(
        Subject(
            key,
            subject.about,
            subject.greeting or "",
            _fitted(f"subjects.{key}.pictures", subject.pictures, settings.camera),
        )
        for key, subject in settings.subjects.items()
    )


def _fitted(place: str, paths: Sequence[Path], camera: CameraSettings) -> tuple[bytes, ...]:
    """Return the pictures of the setting `place` in the service's form."""
    if not paths:
        return ()
    from kioskd.adapters.cameras.folder import content  # noqa: PLC0415 - the same
    from kioskd.adapters.pictures.decoder import PictureDecoder  # noqa: PLC0415 - brings Pillow
    from kioskd.media.picture import BadPicture  # noqa: PLC0415 - the same

    fitted = []
    with PictureDecoder() as decoder:
        for path in paths:
            try:
                fitted.append(decoder.fit(content(path), size=camera.size, quality=camera.quality))
            except OSError as error:
                raise ConfigError(
                    f"{place}: {path} cannot be read: {error.strerror}; correct the path or its permissions"
                ) from None
            except BadPicture as error:
                raise ConfigError(
                    f"{place}: {path}: {error}; replace the file, or remove it from the list"
                ) from None
    return tuple(fitted)


def fleet_broker(
    settings: Settings, environ: Mapping[str, str], clock: ports.Clock
) -> ports.FleetBroker | None:
    """Return the broker of the fleet; None if the settings name none.

    Raises:
        ConfigError: its library, its password or the key of the device's certificate is missing.
    """
    broker = settings.fleet_broker
    if broker is None:
        return None
    from kioskd.adapters.remote.fleet_broker import MqttFleetBroker  # noqa: PLC0415 - an extra
    from kioskd.mqtt.connection import BrokerAccess  # noqa: PLC0415 - the same
    from kioskd.tools.credentials import secret  # noqa: PLC0415 - the same

    access = BrokerAccess(
        broker.broker,
        broker.username,
        None if broker.password_from is None else secret(broker.password_from, environ),
        broker.ca_file,
        broker.certificate,
        None if broker.certificate is None else device_key("fleet.mqtt.key_file", broker.key_file, environ),
    )
    return MqttFleetBroker(access, clock)


def _metrics(port: int, clock: ports.Clock) -> ports.MetricsEndpoint:
    if not port:
        return NoMetrics()
    from kioskd.adapters.remote.prometheus import MetricsServer  # noqa: PLC0415

    return MetricsServer(port, clock)


def _places(settings: Settings, state: Path | None) -> dict[str, Callable[[], None]]:
    from kioskd.adapters.storage import atomic_file  # noqa: PLC0415

    folders = {} if state is None else {"state directory": state}
    records = {"transcripts": settings.privacy.transcripts, "recordings": settings.privacy.recordings}
    folders |= {name: record.folder for name, record in records.items() if record is not None}
    return {name: partial(atomic_file.check_folder, folder) for name, folder in folders.items()}


def _record_store(record: RecordSettings | None, what: str) -> RecordStore | None:
    if record is None:
        return None
    from kioskd.adapters.storage.recordings import RecordFolder  # noqa: PLC0415

    return RecordFolder(record.folder, what=what, keep_days=record.keep_days, most_mb=record.most_mb)


def _buttons(buttons: Sequence[ButtonSettings], shared: dict[str, Any]) -> list[ButtonSpec]:
    """Return the buttons. `shared`: one dictionary for all controls; see `ButtonSource.build`."""
    return [hand(button.parsed.build(button, shared), button) for button in buttons]


def _readers(readers: Sequence[ReaderSettings], shared: dict[str, Any]) -> list[ReaderSpec]:
    return [ReaderSpec(reader.parsed.build(reader, shared), f"reader {reader.source}") for reader in readers]


def _presence(settings: PresenceSettings | None, shared: dict[str, Any]) -> PresenceSpec | None:
    return None if settings is None else presence_spec(settings.parsed.build(settings, shared), settings)


def _lamp(lamp: LampSettings) -> LampSpec:
    source = lamp.parsed
    return LampSpec(source.build(lamp), f"lamp {source.text}", lamp.brightness, _night(lamp.night))


def _camera_lamps(camera: CameraSettings) -> list[ports.Lamp]:
    lamp = camera.own_lamp
    return [lamp.parsed.build(lamp)] if lamp is not None else []


def _night(night: NightSettings | None) -> NightDimming | None:
    if night is None:
        return None
    return NightDimming(_day_s(night.from_), _day_s(night.to), night.brightness)


def _day_s(clock: str) -> float:
    hours, minutes = clock.split(":")
    return int(hours) * 3600.0 + int(minutes) * 60.0


def prompt_notes(settings: Settings) -> list[str]:
    """Return a note on each listed language without texts for the kiosk's own prompts; looks at files."""
    if not settings.speaker.prompts:
        return []
    from kioskd.prompts import texts  # noqa: PLC0415

    return [
        f"assistant.language: there are no prompts in {language}, so those of another language are spoken; "
        "put LANGUAGE.yaml into the folder that speaker.prompts_folder names"
        for language in settings.assistant.languages
        if not texts.known(language, settings.speaker.prompts_folder)
    ]


def prompts(settings: Settings, cache: Path | None) -> ports.Prompts:
    """Return the kiosk's own prompts, rendered ones stored in `cache`; none if the owner wants none."""
    if not settings.speaker.prompts:
        return NoPrompts()
    from kioskd.prompts import PromptLibrary  # noqa: PLC0415

    assistant, owner = settings.assistant, settings.speaker.prompts_folder
    others = assistant.languages[1:] if assistant.languages else None
    return PromptLibrary(assistant.first_language, owner, cache, others=others)
