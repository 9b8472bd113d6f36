"""Reads a YAML file into `Settings`, or reports all its faults at once, each with line and column."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from kioskd import regular_file
from kioskd.errors import ConfigError
from kioskd.live_models import NEWEST, WantedFeatures, known, probably_shut_down, refusals
from kioskd.secret_files import KeyMissingError, KeyUnusableError
from kioskd.settings.credentials import check_account, device_key, service_key
from kioskd.settings.cross_checks import camera_is_unused, joint_faults
from kioskd.settings.model import Settings
from kioskd.settings.sandbox import ServiceSandbox, hidden_faults, hidden_notes
from kioskd.tools import credentials
from kioskd.tools.registry import tool_faults, unseen
from kioskd.yamlconf.document import Document, Fault, ValuePath
from kioskd.yamlconf.error_messages import shape_of, without_empty, words
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import shown

SettingsModel = TypeVar("SettingsModel", bound=Section)

LARGEST_BYTES: Final = 1 << 20
"""Size of the largest file that is read. A configuration has a few kB, and a wrong path (a recording, a
device) must not fill the memory."""


class SettingsError(ConfigError):
    """The YAML has faults. `str()` returns a line for each, in the order of the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line, fault.column)))
        super().__init__("\n".join(map(str, self.faults)))


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and the document that knows the place of each."""

    settings: Settings
    document: Document


def default_path(given: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the path of the configuration: `given` (--config), else $KIOSKD_CONFIG, else
    /etc/kioskd/kioskd.yaml."""
    return given or Path(environ.get("KIOSKD_CONFIG") or "/etc/kioskd/kioskd.yaml")


def load(path: Path) -> Settings:
    """Return the settings in `path`. Relative paths in the file start at its folder. Raises as `read_as`."""
    return read(path).settings


def load_to_run(path: Path, environ: Mapping[str, str], sandbox: ServiceSandbox | None = None) -> Settings:
    """Return the settings in `path` for a daemon that uses the buttons, files and key of this machine.

    `sandbox` is the sandbox of that daemon. None is the sandbox of this process.

    Raises:
        SettingsError: the file has faults, or needs something that this machine lacks (see `startup_faults`).
    """
    loaded = read(path)
    faults = startup_faults(loaded, environ, sandbox)
    if faults:
        raise SettingsError(faults)
    return loaded.settings


def read(path: Path) -> Loaded:
    """Return the settings in `path` with their positions, for `startup_faults`. Raises as `read_as`."""
    loaded = Loaded(*read_as(Settings, path))
    for name, what in refusals(wanted_features(loaded.settings)):
        loaded.document.fault(tuple(name.split(".")), what)
    if loaded.document.faults:
        raise SettingsError(loaded.document.faults)
    return loaded


def wanted_features(settings: Settings) -> WantedFeatures:
    """Return the settings on which models and providers differ."""
    service, assistant = settings.service, settings.assistant
    return WantedFeatures(
        model=service.model,
        provider=service.provider,
        api_version=service.api_version,
        by_token=service.token_url is not None,
        languages=assistant.languages,
        thinking=assistant.thinking,
    )


def notes(settings: Settings, environ: Mapping[str, str], sandbox: ServiceSandbox | None = None) -> list[str]:
    """Return notes on settings that work, each with its reason and remedy. `sandbox` as for `load_to_run`."""
    found = []
    if not known(settings.service.model):
        found.append(unknown_model(settings.service.model))
    if gone := probably_shut_down(settings.service.model):
        found.append(gone)
    prompts = settings.speaker.prompts_folder
    # Path.is_dir() raises PermissionError for a folder in one that this user may not enter.
    if prompts is not None and not os.path.isdir(prompts):  # noqa: PTH112
        found.append(
            f"speaker.prompts_folder: there is no folder {prompts}, so the kiosk speaks its own prompts; "
            "correct the path"
        )
    folder = settings.camera.parsed.folder
    if folder is not None and not os.path.isdir(folder):  # noqa: PTH112
        found.append(
            f"camera.source: there is no folder {folder}, and the camera waits for it; correct the path"
        )
    if camera_is_unused(settings):
        found.append(
            "camera.when: with request, only the command `kioskd look` can send a picture here; "
            "add the tool {kind: builtin} or a button whose does is look, or set when to speech"
        )
    found += hidden_notes(settings, sandbox)
    found += [
        f"tools: only root can see whether {one} is stored; run sudo kioskd check"
        for one in unseen(settings.tools, environ)
    ]
    try:
        service_key(settings.service, environ)
    except KeyMissingError as err:
        found.append(f"{err} (if the systemd service has one, it cannot be seen from here)")
    except KeyUnusableError:
        pass  # startup_faults reports it
    return found


def unknown_model(model: str) -> str:
    """Return the note on a model that has no profile."""
    what = f"this version does not know {shown(model)}, and treats it like {NEWEST}"
    return f"service.model: {what}; check the name"


def read_as(model: type[SettingsModel], path: Path) -> tuple[SettingsModel, Document]:
    """Return the content of `path` as a `model`, and the document that knows the place of each value.

    Raises:
        SettingsError: the file has faults. The error names all of them.
    """
    document = Document(str(path), _text(path))
    if document.data is None and not document.faults:
        document.data = {}
    if document.data is None:
        raise SettingsError(document.faults)
    shape = shape_of(model)
    try:
        value = model.model_validate(without_empty(document.data, shape), context={"folder": path.parent})
    except ValidationError as err:
        for error in err.errors(include_url=False):
            if error["type"] == "too_short" and error["input"]:
                continue  # the faults of its items are reported; no list here needs a second item
            document.fault(error["loc"], words(error, shape), of_name=error["type"] == "extra_forbidden")
        # Not chained: pydantic's own text would repeat values of the file.
        raise SettingsError(document.faults) from None
    if document.faults:
        raise SettingsError(document.faults)
    return value, document


def startup_faults(
    loaded: Loaded, environ: Mapping[str, str], sandbox: ServiceSandbox | None = None
) -> tuple[Fault, ...]:
    """Return the faults of well-formed settings on this machine, for example a missing button or file.

    `sandbox` as for `load_to_run`. A rehearsal does not need this check, because it has its own devices. A
    key that no place has is not a fault of the file.
    """
    settings, document = loaded.settings, loaded.document
    # Hidden files come first: that explains why they are not found.
    for loc, what in (
        *hidden_faults(settings, sandbox),
        *joint_faults(settings),
        *tool_faults(settings.tools, environ),
        *_fleet_faults(settings, environ),
        *_voice_faults(settings),
    ):
        document.fault(loc, what)
    for loc, file in _files(settings):
        try:
            regular_file.check(file)
        except OSError as err:
            document.fault(loc, f"cannot be read: {err.strerror}; correct the path or the file's permissions")
    for find_key in _keys(settings, environ):
        try:
            find_key()
        except KeyMissingError:
            pass  # the code that needs the key reports it: the service's own credentials may hold one
        except KeyUnusableError as err:
            section, *names = err.where.split(".")
            if section in ("service", "fleet") and names:
                document.fault((section, *names), err.what)
            else:
                document.fault(("service", "key_file"), str(err))
    return tuple(document.faults)


def _files(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], Path]]:
    """Yield the place and the path of each file that the daemon reads when it starts."""
    for name in ("ca_file", "token_certificate"):
        if (path := getattr(settings.service, name)) is not None:
            yield ("service", name), path
    if (broker := settings.fleet_broker) is not None:
        for name in ("ca_file", "certificate"):
            if (path := getattr(broker, name)) is not None:
                yield ("fleet", "mqtt", name), path
    for index, picture in enumerate(settings.assistant.pictures):
        yield ("assistant", "pictures", index), picture
    for key, subject in settings.subjects.items():
        for index, picture in enumerate(subject.pictures):
            yield ("subjects", key, "pictures", index), picture
    for index, each in enumerate(settings.announcements.schedule):
        if each.file is not None:
            yield ("announcements", "schedule", index, "file"), each.file


def _fleet_faults(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[ValuePath, str]]:
    broker = settings.fleet_broker
    if broker is not None and broker.password_from is not None:
        yield from credentials.faults(("fleet", "mqtt", "password_from"), broker.password_from, environ)


def _keys(settings: Settings, environ: Mapping[str, str]) -> Iterator[Callable[[], object]]:
    """Yield functions that look for each key. They raise as `service_key` does."""
    service = settings.service
    yield lambda: service_key(service, environ)
    yield lambda: check_account(service)
    if service.token_certificate is not None:
        yield lambda: device_key("service.token_key_file", service.token_key_file, environ)
    broker = settings.fleet_broker
    if broker is not None and broker.certificate is not None:
        yield lambda: device_key("fleet.mqtt.key_file", broker.key_file, environ)


def _voice_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    """Yield the faults that keep the voice program of announcements from starting."""
    if (voice := settings.announcements.voice) is not None:
        yield from ((("announcements", "voice", *loc), what) for loc, what in voice.faults())


def _text(path: Path) -> str:
    def file_fault(what: str) -> SettingsError:
        return SettingsError([Fault(str(path), 0, 0, "", what)])

    try:
        data = regular_file.content(path, LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise file_fault("there is no such file; create it, or name another with --config") from None
    except OSError as err:
        raise file_fault(
            f"cannot be read: {err.strerror}; correct the path or the file's permissions"
        ) from None
    if len(data) > LARGEST_BYTES:
        raise file_fault("is larger than 1 MiB, which no configuration is; correct the path")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as err:
        before = data[: err.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = "the file is not in UTF-8; save it as UTF-8"
        raise SettingsError([Fault(str(path), line, column, "", what)]) from None
