"""What the tools' settings need of this machine: secrets, programs, packages. Looked at when the daemon starts."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from kioskd import regular_file, secret_files
from kioskd.errors import ConfigError
from kioskd.secret_files import STORES
from kioskd.settings.tool_value_types import CREDENTIAL
from kioskd.settings.tools import ToolSettings
from kioskd.settings.tools_argv import SEARCH
from kioskd.settings.tools_kinds import (
    CommandSettings,
    HttpSettings,
    McpSettings,
    MqttSettings,
    PythonSettings,
)
from kioskd.yamlconf.document import ValuePath

GROUP: Final = "kioskd.tools"

_EXTRAS: Final = {"mqtt": "aiomqtt", "mcp": "mcp"}
"""Kind, and the package that its extra brings."""


def tool_faults(tools: Sequence[ToolSettings], environ: Mapping[str, str]) -> list[tuple[ValuePath, str]]:
    """Return what keeps well-formed tools from working here: where in the settings, and what is wrong.

    A secret, a program, a file, an extra or an installed package that is not there. Not the concern of a rehearsal.
    """
    return [
        (("tools", index, *loc), what)
        for index, tool in enumerate(tools)
        for loc, what in _faults(tool, environ)
    ]


def secret(reference: str, environ: Mapping[str, str]) -> SecretStr:
    """Return the secret that `credential:NAME` (or with a path, credential:PATH) stands for.

    Raises:
        KeyUnusableError: it is not there, or cannot be used; its text holds nothing of it.
    """
    name = reference.removeprefix("credential:")
    if "/" in name:
        return secret_files.from_file(reference, Path(name), private=True)
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        if not Path(directory, name).exists():
            raise secret_files.KeyMissingError(
                reference,
                "is missing: systemd hands over none of that name to this unit; "
                f"store it, and add [Service] LoadCredentialEncrypted={name} by sudo systemctl edit kioskd",
            )
        return secret_files.from_file(reference, Path(directory, name), private=False)
    raise secret_files.KeyMissingError(
        reference,
        "there is none: systemd hands over no credentials here; start it by its unit, or write credential:/PATH",
    )


def headers(values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, SecretStr]:
    """Return headers with their secrets in place.

    Raises:
        KeyUnusableError: as `secret`.
    """
    return {
        name: SecretStr(CREDENTIAL.sub(lambda one: secret(one[0], environ).get_secret_value(), value))
        for name, value in values.items()
    }


def secrets_in(values: Mapping[str, str], environ: Mapping[str, str]) -> list[SecretStr]:
    """Return the secrets alone, to keep them out of what tools answer; raises as `secret`."""
    return [secret(one[0], environ) for value in values.values() for one in CREDENTIAL.finditer(value)]


def program(argv: Sequence[str]) -> str | None:
    """Return the path of the program that `argv` begins with; None where there is none that can be run."""
    return shutil.which(argv[0], path=SEARCH)


def function(entry: str) -> Callable[[Mapping[str, object]], Any]:
    """Return what the entry point `entry` names: a function of the arguments, plain or async.

    It returns JSON, None for nothing, or a `Result`. A plain one runs in a thread of its own.

    Raises:
        ConfigError: no installed package has it, or it cannot be loaded.
    """
    found, wrong = _entry(entry)
    if wrong:
        raise ConfigError(f"tools: the entry point {entry}: {wrong}")
    return found  # type: ignore[no-any-return]  # what a package has cannot be known here


def stored(name: str) -> bool | None:
    """Return whether systemd has a credential of that name for its units; None where only root can say."""
    found = {secret_files.is_there(Path(store, name)) for store in STORES}
    return True if True in found else None if None in found else False


def unseen(tools: Sequence[ToolSettings], environ: Mapping[str, str]) -> list[str]:
    """Return the secrets of which only root can say whether systemd has them, each as the settings name it."""
    if environ.get("CREDENTIALS_DIRECTORY"):
        return []
    found = [one for tool in tools for value in _secret_values(tool) for one in CREDENTIAL.finditer(value)]
    return sorted({one[0] for one in found if "/" not in one[1] and stored(one[1]) is None})


def _faults(tool: ToolSettings, environ: Mapping[str, str]) -> Iterator[tuple[ValuePath, str]]:
    package = _EXTRAS.get(tool.kind)
    if package is not None and importlib.util.find_spec(package) is None:
        what = f"{tool.kind} needs the package {package} (kioskd[{tool.kind}]), which is not here"
        yield ("kind",), f"{what}; run scripts/install.sh again, which installs what the settings need"
    if isinstance(tool, HttpSettings | McpSettings):
        for name, value in tool.headers.items():
            yield from _secret_faults(("headers", name), value, environ)
    if isinstance(tool, MqttSettings) and tool.password_from is not None:
        yield from _secret_faults(("password_from",), tool.password_from, environ)
    ca_file = tool.ca_file if isinstance(tool, HttpSettings | McpSettings | MqttSettings) else None
    if ca_file is not None:
        try:
            regular_file.check(ca_file)
        except OSError as err:
            yield ("ca_file",), f"cannot be read: {err.strerror}; correct the path or the file's permissions"
    if isinstance(tool, CommandSettings | McpSettings) and tool.argv is not None:
        if program(tool.argv) is None:
            yield ("argv",), "its program is not there or cannot be run; install it, or correct the path"
        # Path.is_dir() raises PermissionError for a folder in one that this user may not enter.
        if not os.path.isdir(tool.working_directory):  # noqa: PTH112
            yield ("working_directory",), "is no folder here; create it, or correct the path"
    if isinstance(tool, PythonSettings) and (wrong := _entry(tool.entry)[1]):
        yield ("entry",), wrong


def _secret_values(tool: ToolSettings) -> Iterator[str]:
    if isinstance(tool, HttpSettings | McpSettings):
        yield from tool.headers.values()
    if isinstance(tool, MqttSettings) and tool.password_from is not None:
        yield tool.password_from


def _entry(name: str) -> tuple[Any, str]:
    """Return what the entry point `name` names, and what keeps it from being called, or nothing."""
    points = entry_points(group=GROUP, name=name)
    if not points:
        known = ", ".join(sorted({point.name for point in entry_points(group=GROUP)})) or "none"
        what = f"no installed package has it in the group {GROUP} (installed are: {known})"
        return None, f"{what}; name its package in /etc/kioskd/requirements.txt, and run scripts/install.sh"
    try:
        found = next(iter(points)).load()
    except KeyboardInterrupt:
        raise
    except BaseException as err:  # noqa: BLE001 - whatever its module raises while it is imported; SystemExit, too
        return None, f"cannot be loaded: {type(err).__name__}; mend or replace its package"
    return found, "" if callable(found) else "names no function; mend or replace its package"


def _secret_faults(loc: ValuePath, value: str, environ: Mapping[str, str]) -> Iterator[tuple[ValuePath, str]]:
    for found in CREDENTIAL.finditer(value):
        reference = found[0]
        name = found[1]
        if "/" not in name and not environ.get("CREDENTIALS_DIRECTORY"):
            # Asked by hand: what the unit will be handed can only be looked for where systemd takes it from.
            what = (
                f"{reference} is missing: systemd has none of that name in {STORES[0]} or {STORES[1]}; "
                "put it there, or write credential:/PATH of a file of its own"
            )
            if stored(name) is False:
                yield loc, what
            continue
        try:
            secret(reference, environ)
        except secret_files.KeyUnusableError as err:
            yield loc, f"{reference} {err.what}"
