"""The token service's YAML: groups, rows and faults, each with line and column."""

import json
from pathlib import Path

import pytest

from kioskd.settings.load import SettingsError
from kioskd.tokens.rights import DeviceRights, read_register

HEAD = """\
listen: {certificate: server.pem}
identity: {ca_file: ca.pem}
"""


def written(folder: Path, text: str, head: str = HEAD) -> Path:
    path = folder / "tokens.yaml"
    path.write_text(head + text, encoding="utf-8")
    return path


def rights(folder: Path, text: str) -> dict[str, DeviceRights]:
    return dict(read_register(written(folder, text)).devices)


def faults(folder: Path, text: str, head: str = HEAD) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_register(written(folder, text, head))
    return [f"{fault.line}:{fault.column} {fault.key}: {fault.what}" for fault in caught.value.faults]


def test_a_row_takes_from_its_group_what_it_does_not_say(tmp_path: Path) -> None:
    found = rights(
        tmp_path,
        """\
groups:
  - {name: hall, voice: Kore, instructions: Be kind., languages: [de-DE, fr-FR], connections_per_day: 7}
devices:
  - {name: one, group: hall}
  - {name: two, group: hall, voice: Puck, languages: [en-US], connections_per_day: 0, longest_s: 120}
  - {name: three}
""",
    )
    one, two, three = found["one"], found["two"], found["three"]
    assert (one.session.voice, one.connections_per_day, one.session.longest_s) == ("Kore", 7, 600.0)
    assert one.session.instructions == (
        "Be kind.\n\nSpeak only the languages with the BCP-47 tags de-DE, fr-FR, whatever language you hear."
    )
    assert (two.session.voice, two.connections_per_day, two.session.longest_s) == ("Puck", 0, 120.0)
    assert two.session.instructions == (
        "Be kind.\n\nSpeak only the language with the BCP-47 tag en-US, whatever language you hear."
    )
    assert (three.session.voice, three.session.instructions, three.connections_per_day) == (None, None, 300)


def test_a_disabled_group_disables_its_devices_whatever_their_rows_say(tmp_path: Path) -> None:
    found = rights(
        tmp_path,
        """\
groups: [{name: hall, enabled: false}, {name: shop}]
devices:
  - {name: one, group: hall, enabled: true}
  - {name: two, group: shop, enabled: false}
  - {name: three, group: shop}
""",
    )
    assert [found[name].enabled for name in ("one", "two", "three")] == [False, False, True]


def test_the_model_decides_the_version_unless_the_row_does(tmp_path: Path) -> None:
    found = rights(
        tmp_path,
        """\
devices:
  - {name: one}
  - {name: two, model: gemini-3.8-live-extended-thinking}
  - {name: three, api_version: v1alpha}
""",
    )
    versions = [found[name].session.api_version for name in ("one", "two", "three")]
    assert versions == ["v1beta", "v1alpha", "v1alpha"]


def test_tools_are_the_devices_own_or_none_or_those_of_a_file(tmp_path: Path) -> None:
    tool = {"name": "door", "description": "Opens the door.", "parameters": {"type": "object"}}
    (tmp_path / "tools.json").write_text(json.dumps([tool | {"kind": "http", "blocking": True}]))
    found = rights(
        tmp_path,
        """\
groups: [{name: hall, tools_file: tools.json}]
devices:
  - {name: one, group: hall}
  - {name: two, group: hall, tools: none}
  - {name: three, group: hall, tools: own}
""",
    )
    (door,) = found["one"].session.tools or ()
    assert (door.name, door.description, door.parameters, door.blocking) == (*tool.values(), True)
    assert found["two"].session.tools == ()
    assert found["three"].session.tools is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("devices: [{name: a b}]", "3:18 devices.name: 'a b' is not a name; write letters"),
        ("devices: [{name: a, voise: Kore}]", "3:21 devices.voise: is not a setting; did you mean voice?"),
        ("devices: [{name: a}, {name: a}]", "3:29 devices.name: a has another row"),
        ("devices: [{name: a, group: hal}]", "3:28 devices.group: there is no group hal"),
        ("devices: [{name: a, languages: [de-DE]}]", "3:32 devices.languages: needs instructions"),
        ("devices: [{name: a, longest_s: 10}]", "3:32 devices.longest_s: 10 is below 60"),
        ("devices: [{name: a, api_version: v1}]", "3:34 devices.api_version: v1 cannot be used"),
        (
            "devices: [{name: a, model: gemini-2.0-flash-live-001}]",
            "3:28 devices.model: gemini-2.0-flash-live-001 cannot be used: it was shut down",
        ),
        (
            "devices: [{name: a, tools: none, tools_file: t.json}]",
            "3:28 devices.tools: has no effect with tools_file",
        ),
        ("groups: [{name: a, tools_file: t.json}]", "3:32 groups.tools_file: cannot be read"),
        ("service: {key: x}", "3:11 service.key: a key does not belong in this file"),
        ("limits: {device_per_minute: 0}", "3:29 limits.device_per_minute: 0 is below 1"),
    ],
)
def test_a_fault_has_its_line_its_column_and_a_remedy(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = faults(tmp_path, text)
    assert found.startswith(expected)


def test_a_file_of_tools_with_other_contents_is_a_fault(tmp_path: Path) -> None:
    for content in ("", "{}x", '[{"name": "a"}]', '[{"name": 1, "description": "", "parameters": {}}]'):
        (tmp_path / "t.json").write_text(content)
        (found,) = faults(tmp_path, "devices: [{name: a, tools_file: t.json}]")
        assert "is not a list of tools in JSON; write what `kioskd tools list --json` prints" in found


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("identity: {ca_file: ca.pem}\n", "1:1 identity.proof: certificate needs TLS here"),
        (
            "identity: {ca_file: ca.pem, proof: signature, audience: https://t.example/}\n",
            "1:36 identity.proof: signature without listen.certificate needs a TLS proxy on this machine",
        ),
        (
            "listen: {certificate: c.pem}\nidentity: {ca_file: ca.pem, proof: signature}\n",
            "2:1 identity.audience: is missing: proof: signature needs it",
        ),
        (
            "listen: {certificate: c.pem}\nidentity: {ca_file: ca.pem, audience: https://t.example/}\n",
            "2:39 identity.audience: has no effect: only proof: signature uses it",
        ),
        ("listen: {key_file: k.pem}\nidentity: {}\n", "1:20 listen.key_file: has no effect"),
    ],
)
def test_settings_that_do_not_fit_together_are_faults(tmp_path: Path, head: str, expected: str) -> None:
    assert any(found.startswith(expected) for found in faults(tmp_path, "", head)), faults(tmp_path, "", head)


def test_behind_a_proxy_of_this_machine_no_certificate_is_needed(tmp_path: Path) -> None:
    head = (
        "listen: {address: 127.0.0.1}\n"
        "identity: {ca_file: ca.pem, proof: signature, audience: https://t.example/}\n"
    )
    assert read_register(written(tmp_path, "devices: [{name: a}]", head)).devices.keys() == {"a"}


def test_the_shipped_example_is_in_order() -> None:
    path = Path(__file__).parents[2] / "config" / "fleet" / "tokens.yaml"
    devices = read_register(path).devices
    assert [device.enabled for device in devices.values()] == [True, True, False]
