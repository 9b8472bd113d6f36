"""Reads the token service's YAML, and works out the rights of each device."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kioskd import regular_file
from kioskd.adapters.gemini.minting import LockedSession, pinned
from kioskd.live_models import NEWEST, WantedFeatures, api_version, profile, refusals
from kioskd.ports import Tool
from kioskd.settings.load import LARGEST_BYTES, SettingsError, read_as
from kioskd.tokens.settings import RightsSettings, TokenServiceSettings
from kioskd.tools.contract import Declaration
from kioskd.yamlconf.document import Document, ValuePath

LONGEST_S: Final = 600.0
CONNECTIONS_PER_DAY: Final = 300

_TOOLS_FORM: Final = "write what `kioskd tools list --json` prints"


@dataclass(frozen=True, slots=True)
class DeviceRights:
    """The rights of one device."""

    name: str
    enabled: bool
    connections_per_day: int
    """0 is no limit."""
    session: LockedSession


@dataclass(frozen=True, slots=True)
class TokenRegister:
    """The settings of the token service, and the rights of each device by its name."""

    settings: TokenServiceSettings
    devices: Mapping[str, DeviceRights]
    document: Document
    """Knows the place of each setting in the file."""


def read_register(path: Path) -> TokenRegister:
    """Return the content of a YAML file. It blocks.

    Raises:
        SettingsError: the file, or one that it names, has faults. The error names all of them.
    """
    settings, document = read_as(TokenServiceSettings, path)
    groups = {row.name: row for row in settings.groups}
    listed: dict[Path, tuple[Tool, ...] | None] = {}
    for place, rows in (("groups", settings.groups), ("devices", settings.devices)):
        for number, row in enumerate(rows):
            if row.tools_file is not None and row.tools_file not in listed:
                listed[row.tools_file] = _tools(row.tools_file, (place, number, "tools_file"), document)
    devices = {}
    for number, row in enumerate(settings.devices):
        merged = _merged(row, groups.get(row.group) if row.group is not None else None)
        _check(merged, ("devices", number), document)
        devices[row.name] = _rights(row.name, merged, listed)
    if document.faults:
        raise SettingsError(document.faults)
    return TokenRegister(settings, devices, document)


def _merged(row: RightsSettings, group: RightsSettings | None) -> RightsSettings:
    """Return the settings of a row, with those of its group where the row has none."""
    found: dict[str, Any] = {}
    for name in RightsSettings.model_fields:
        own = getattr(row, name)
        found[name] = own if own is not None or group is None else getattr(group, name)
    if group is not None and row.tools is not None:
        found["tools_file"] = row.tools_file
    if group is not None and row.tools_file is not None:
        found["tools"] = None
    if group is not None and group.enabled is False:
        found["enabled"] = False
    return RightsSettings.model_construct(**found)


def _check(merged: RightsSettings, place: ValuePath, document: Document) -> None:
    if merged.languages and merged.instructions is None:
        what = "needs instructions, to which it is added; write some here or in the group"
        document.fault((*place, "languages"), what)
    wanted = WantedFeatures(merged.model or NEWEST, api_version=merged.api_version, by_token=True)
    for name, what in refusals(wanted):
        document.fault((*place, name.rpartition(".")[2]), what)


def _rights(
    name: str, merged: RightsSettings, listed: Mapping[Path, tuple[Tool, ...] | None]
) -> DeviceRights:
    model = merged.model or NEWEST
    tools: tuple[Tool, ...] | None = None
    if merged.tools_file is not None:
        tools = listed[merged.tools_file]
    elif merged.tools == "none":
        tools = ()
    instructions = merged.instructions
    if instructions is not None:
        instructions = pinned(instructions, merged.languages or ())
    session = LockedSession(
        model=model,
        api_version=api_version(WantedFeatures(model, api_version=merged.api_version, by_token=True)),
        longest_s=LONGEST_S if merged.longest_s is None else merged.longest_s,
        voice=merged.voice,
        instructions=instructions,
        tools=tools,
        functions=profile(model).functions,
    )
    budget = merged.connections_per_day
    return DeviceRights(
        name, merged.enabled is not False, CONNECTIONS_PER_DAY if budget is None else budget, session
    )


def _tools(path: Path, place: ValuePath, document: Document) -> tuple[Tool, ...] | None:
    """Return the tools in a file. None: it has a fault, which is now one of the document."""
    try:
        content = regular_file.content(path, LARGEST_BYTES)
    except OSError as error:
        document.fault(place, f"cannot be read: {error.strerror}; correct the path or its permissions")
        return None
    try:
        rows = json.loads(content)
        found = tuple(_tool(row) for row in rows)
    except (ValueError, TypeError, KeyError, RecursionError):
        document.fault(place, f"{path.name} is not a list of tools in JSON; {_TOOLS_FORM}")
        return None
    return found


def _tool(row: Mapping[str, Any]) -> Tool:
    name, description, parameters = row["name"], row["description"], row["parameters"]
    if not (isinstance(name, str) and isinstance(description, str) and isinstance(parameters, dict)):
        raise TypeError(name)
    return Declaration(name, description, parameters, row.get("blocking") is True)
