"""The setting `tools`, accepted, or rejected at a place and with words."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

from kioskd.secret_files import KeyUnusableError
from kioskd.settings.load import SettingsError, read_as
from kioskd.settings.tools import ToolsSetting
from kioskd.tools.credentials import headers, secret, secrets_in
from kioskd.tools.kinds.builtin.settings import BuiltinSettings
from kioskd.tools.kinds.builtin.tool import DECLARATIONS
from kioskd.tools.kinds.command.settings import CommandSettings
from kioskd.tools.kinds.http.settings import HttpSettings
from kioskd.tools.kinds.mcp.settings import McpSettings
from kioskd.tools.kinds.mqtt.settings import MqttSettings
from kioskd.tools.kinds.python.settings import PythonSettings
from kioskd.tools.kinds.python.tool import MOST_THREADS
from kioskd.tools.program_settings import program
from kioskd.tools.registry import tool_faults, unseen
from kioskd.yamlconf.field_docs import descriptions
from kioskd.yamlconf.section import Section

TOKEN = "tok-" + "12345"


class Kiosk(Section):
    """The part of the settings that these tests read."""

    tools: ToolsSetting = ()


def tools_of(file: Path, text: str) -> ToolsSetting:
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return read_as(Kiosk, file)[0].tools


def faults_of(file: Path, text: str) -> list[str]:
    """Return each fault as LINE:COLUMN key: what."""
    with pytest.raises(SettingsError) as caught:
        tools_of(file, text)
    return [f"{fault.line}:{fault.column} {fault.key}: {fault.what}" for fault in caught.value.faults]


def startup(file: Path, text: str, environ: dict[str, str] | None = None) -> list[tuple[object, str]]:
    return [(loc, what) for loc, what in tool_faults(tools_of(file, text), environ or {})]


GOOD = """\
    tools:
      - kind: builtin
        look: false
        place: Hall 3
      - kind: http
        name: shop_stock
        description: How many of an item there are.
        parameters:
          type: object
          properties:
            item: {type: string, maxLength: 40, description: What to look for}
            sizes: {type: array, items: {type: integer}}
          required: [item]
        url: https://stock.example/items/{item}?all=1
        headers: {Authorization: Bearer credential:shop, X-Near: credential:./near}
        allowed_hosts: [cdn.example, "[::1]:8443"]
        redirects: 1
        deadline_s: 4
        scheduling: interrupt
      - kind: command
        name: open_door
        description: Opens the door.
        argv: [./door, "--door={door}"]
        parameters: {type: object, properties: {door: {type: string}}, required: [door]}
        answer: none
        confirm: button
        environment: [TZ]
        working_directory: .
      - kind: mqtt
        name: light
        description: Switches a light.
        parameters:
          {type: object, properties: {room: {type: integer}, on: {type: boolean}}, required: [room, on]}
        broker: mqtts://broker.example
        topic: gallery/{room}/light
        username: kiosk
        password_from: credential:mqtt
        blocking: true
      - kind: mcp
        name: museum
        argv: [python3, server.py]
        allow: [opening_hours]
        prefix: museum_
      - kind: mcp
        name: shop
        url: http://127.0.0.1:8000/mcp
        allow: [buy]
        dry_run: true
      - kind: python
        name: twice
        description: Doubles.
        entry: twice
"""


def test_every_kind_is_read(file: Path) -> None:
    builtin, http, command, mqtt, museum, shop, python = tools_of(file, GOOD)
    assert isinstance(builtin, BuiltinSettings)
    assert builtin.names == (
        *("end_conversation", "set_volume", "time_and_place", "remember_note"),
        *("more_time", "choose_profile"),
    )
    assert isinstance(http, HttpSettings)
    assert http.parameters["properties"]["sizes"] == {"type": "array", "items": {"type": "integer"}}
    assert http.parameters["additionalProperties"] is False
    assert http.headers["X-Near"] == f"credential:{file.parent}/near"
    assert isinstance(command, CommandSettings)
    assert command.argv == (f"{file.parent}/door", "--door={door}")
    assert command.working_directory == file.parent
    assert isinstance(mqtt, MqttSettings)
    assert (mqtt.qos, mqtt.blocking) == (1, True)
    assert isinstance(museum, McpSettings)
    assert isinstance(shop, McpSettings)
    assert (museum.argv, shop.url) == (("python3", "server.py"), "http://127.0.0.1:8000/mcp")
    assert isinstance(python, PythonSettings)
    assert python.parameters == {"type": "object", "properties": {}, "additionalProperties": False}


def test_the_settings_know_each_builtin_tool() -> None:
    assert BuiltinSettings(kind="builtin").names == tuple(DECLARATIONS)


HTTP = "  - {kind: http, name: ask, description: asks, url: "
COMMAND = "  - {kind: command, name: run, description: runs, argv: "
MQTT = "  - {kind: mqtt, name: say, description: says, broker: "
P = (
    "parameters: {type: object, properties: {p: {type: string}, o: {type: string}, l: {type: array}}, "
    "required: [p, l]}"
)


ONE = "parameters: {type: object, properties: {p: {type: string}}, required: [p]}"
MCP = "  - {kind: mcp, name: m, allow: [a], "
BUILTIN = "  - {kind: builtin}\n"
LOOK = "  - {kind: python, name: look, description: d, entry: e}\n"


@pytest.mark.parametrize(
    ("entry", "place", "words"),
    [
        ("  - {}", "2:5 tools", "has no kind"),
        ("  - 7", "2:5 tools", "7 is not a group of settings"),
        ("  - {kind: htpp}", "2:12 tools.kind", "htpp is not a kind of tool; did you mean http?"),
        (
            "  - {kind: shell}",
            "2:12 tools.kind",
            "write one of builtin, documents, http, command, mqtt, mcp, python",
        ),
        ("  - {kind: [x]}", "2:12 tools.kind", "is not a kind"),
        ("  - {kind: builtin, loook: false}", "2:28 tools.loook", "did you mean look?"),
        ("  - {kind: builtin, url: x}", "2:26 tools.url", "it belongs to kind http or mcp"),
        ("  - {kind: builtin, flavour: x}", "2:30 tools.flavour", "this kind has deadline_s"),
        ("  - {kind: builtin, deadline_s: 0}", "2:33 tools.deadline_s", "0 is below 0.1"),
        ("  - {kind: builtin, confirm: bell}", "2:30 tools.confirm", "write one of never, button"),
        ("  - {kind: builtin, blocking: true, scheduling: silent}", "2:49 tools.scheduling", "has no effect"),
        (BUILTIN + "  - {kind: builtin}", "3:12 tools.kind", "appears twice"),
        ("  - {kind: http}", "2:5 tools.name", "is missing"),
        (HTTP + "ftp://x}", "2:53 tools.url", "is not an address"),
        (HTTP + "'http://h:x/'}", "2:53 tools.url", "port that cannot be read"),
        (HTTP + "'http://u:p@h/'}", "2:53 tools.url", "a name, a password"),
        (HTTP + "'http://{p}.example/', " + P + "}", "2:53 tools.url", "in its host"),
        (HTTP + "'http://h/{q}', " + P + "}", "2:53 tools.url", "names q, which is not a parameter"),
        (HTTP + "'http://h/{o}', " + P + "}", "2:53 tools.url", "names o, which a call can leave out"),
        (HTTP + "'http://h/{l}', " + P + "}", "2:53 tools.url", "names l, which is not one plain value"),
        (HTTP + "'http://h/a b'}", "2:53 tools.url", "blanks"),
        (HTTP + "http://h/, send: json}", "2:70 tools.send", "json needs a body, which GET lacks"),
        (
            HTTP + "http://h/, headers: {Authorization: abc}}",
            "2:89 tools.headers.Authorization",
            "credential:NAME",
        ),
        (HTTP + "http://h/, headers: {X-A: 'a{p}'}}", "2:79 tools.headers.X-A", "has a {parameter}"),
        (HTTP + 'http://h/, headers: {X-A: "a\\r\\nb: c"}}', "2:79 tools.headers.X-A", "line breaks"),
        (HTTP + "http://h/, headers: {Host: x}}", "2:80 tools.headers.Host", "set by each request"),
        (HTTP + "http://h/, headers: {'a b': x}}", "2:81 tools.headers.a b", "not the name of a header"),
        (HTTP + "http://h/, allowed_hosts: ['http://x/']}", "2:80 tools.allowed_hosts", "is not a host"),
        (HTTP + "http://h/, allowed_hosts: ['a@b']}", "2:80 tools.allowed_hosts", "is not a host"),
        (HTTP + "http://h/, redirects: 9}", "2:75 tools.redirects", "above 5"),
        (COMMAND + "[]}", "2:57 tools.argv", "is an empty list"),
        (COMMAND + "rm -rf}", "2:57 tools.argv", "is not a list"),
        (COMMAND + "['{p}'], " + P + "}", "2:58 tools.argv", "choose the program"),
        (COMMAND + "[/bin/x, '{q}'], " + P + "}", "2:66 tools.argv", "not a parameter"),
        (COMMAND + "[/bin/x], environment: [GEMINI_API_KEY]}", "2:81 tools.environment", "the service key"),
        (
            COMMAND + "[/bin/x], environment: ['A=b']}",
            "2:81 tools.environment",
            "not the name of an environment variable",
        ),
        (MQTT + "http://h, topic: t}", "2:56 tools.broker", "is not an address"),
        (MQTT + "mqtt://h/x, topic: t}", "2:56 tools.broker", "more than host and port"),
        (MQTT + "mqtt://h, topic: 'a/+'}", "2:73 tools.topic", "is not a topic to publish to"),
        (MQTT + "mqtt://h, topic: $SYS/a}", "2:73 tools.topic", "is not a topic to publish to"),
        (MQTT + "mqtt://h, topic: t, payload: '{q}'}", "2:85 tools.payload", "not a parameter"),
        (
            MQTT + "mqtt://h, topic: t, password_from: credential:x}",
            "2:91 tools.password_from",
            "add username",
        ),
        (MQTT + "mqtt://h, topic: t, username: u, ca_file: x}", "2:98 tools.ca_file", "no TLS"),
        ("  - {kind: mcp, name: m, allow: [a]}", "2:5 tools.url", "write one of the two"),
        (MCP + "argv: [x], url: 'http://h/'}", "2:54 tools.url", "excludes argv"),
        ("  - {kind: mcp, name: m, allow: [], argv: [x]}", "2:33 tools.allow", "is an empty list"),
        (MCP + "argv: [x], headers: {A: b}}", "2:49 tools.headers", "has no effect"),
        (
            HTTP + "http://h/, allowed_hosts: [b.example]}",
            "2:79 tools.allowed_hosts",
            "has no effect: no redirect is followed",
        ),
        (HTTP + "http://h/, ca_file: x}", "2:73 tools.ca_file", "http:// has no TLS"),
        (HTTP + "http://h/, answer: none, answer_bytes: 9}", "2:92 tools.answer_bytes", "has no effect"),
        (
            "  - {kind: command, name: m, description: D., argv: [/bin/true], answer: none, output_bytes: 9}",
            "2:94 tools.output_bytes",
            "has no effect",
        ),
        (MQTT + "mqtt://h, topic: t, answer: text}", "2:84 tools.answer", "the kiosk waits for no reply"),
        (
            MQTT + "mqtt://h, topic: t, retain: true, reply: true}",
            "2:97 tools.reply",
            "excludes retain",
        ),
        (
            "  - {kind: builtin, time_and_place: false, place: Here}",
            "2:51 tools.place",
            "remove one of the two",
        ),
        (
            MCP + "url: 'http://h/', working_directory: .}",
            "2:75 tools.working_directory",
            "has no effect: it is for a server with argv",
        ),
        (
            "  - {kind: mcp, name: m, allow: [a, b, a], argv: [x]}",
            "2:40 tools.allow",
            "is in this list twice",
        ),
        (
            "  - {kind: mcp, name: m, allow: [a.b, a-b], argv: [x]}",
            "2:33 tools.allow",
            "a_b is already the name of another tool (mcp)",
        ),
        (
            MCP + "argv: [x]}\n  - {kind: mcp, name: m, allow: [b], argv: [x]}",
            "3:23 tools.name",
            "m is the name of another server",
        ),
        (
            MCP + "argv: [x]}\n  - {kind: python, name: a, description: d, entry: e}",
            "3:26 tools.name",
            "a is already the name of another tool (mcp)",
        ),
        (
            BUILTIN + "  - {kind: mcp, name: m, allow: [find, look], argv: [x]}",
            "3:33 tools.allow",
            "look is already the name of another tool (builtin); rename one of them, for example by a prefix",
        ),
        (HTTP + "'http://h/?key=credential:shop'}", "2:53 tools.url", "becomes the secret only in headers"),
        (HTTP + "'http://h/credential:shop/x'}", "2:53 tools.url", "becomes the secret only in headers"),
        (
            COMMAND + "[/bin/x, 'k=credential:door']}",
            "2:66 tools.argv",
            "credential:door, which becomes the secret only in headers",
        ),
        (MCP + "argv: [x, credential:y]}", "2:48 tools.argv", "becomes the secret only in headers"),
        (MCP + "url: 'http://h/?t=credential:y'}", "2:43 tools.url", "becomes the secret only in headers"),
        (
            MQTT + "mqtt://h, topic: t, payload: 'credential:x'}",
            "2:85 tools.payload",
            "becomes the secret only in headers",
        ),
        (MQTT + "mqtt://h, topic: 'credential:x'}", "2:73 tools.topic", "becomes the secret only in headers"),
        (
            MQTT + "mqtt://h, topic: t, username: 'credential:x'}",
            "2:86 tools.username",
            "becomes the secret only in headers",
        ),
        (
            MQTT + "mqtt://h, topic: '{p}', payload: 'on', " + P + "}",
            "2:89 tools.payload",
            "lacks o, and so does topic",
        ),
        (
            "  - {kind: python, name: 7up, description: d, entry: e}",
            "2:26 tools.name",
            "not the name of a tool",
        ),
        (
            LOOK + "  - {kind: builtin}",
            "3:12 tools.kind",
            "look is already the name of another tool (python)",
        ),
        (
            "\n".join(["  - {kind: python, name: a, description: d, entry: e}"] * 2),
            "3:26 tools.name",
            "a is already the name",
        ),
    ],
)
def test_an_invalid_tool_is_a_fault_at_its_place(file: Path, entry: str, place: str, words: str) -> None:
    [fault, *_] = faults_of(file, f"tools:\n{entry}\n")
    assert fault.startswith(f"{place}: "), fault
    assert words in fault


@pytest.mark.parametrize(
    ("schema", "place", "words"),
    [
        ("x", "5:17", "is not a JSON Schema; write type: object"),
        ("{type: objekt}", "5:24", "is no valid JSON Schema"),
        ("{type: array}", "5:24", "type: object"),
        ("{properties: {}}", "5:5", "must be of type object"),
        ("{type: object, properties: {a: {type: strnig}}}", "5:55", "is no valid JSON Schema"),
        ("{type: object, properties: {a: {minimum: x}}}", "5:58", "is no valid JSON Schema"),
        ("{type: object, properties: {a: {pattern: 7}}}", "5:58", "is no valid JSON Schema"),
        ("{type: object, properties: {a: {pattern: '('}}}", "5:58", "is not a valid pattern: missing )"),
        ("{type: object, properties: {a: {pattern: '^[[:foo:]]$'}}}", "5:58", "holds [["),
        ("{type: object, properties: {a: {pattern: '^[A-Z]{d}$'}}}", "5:58", "write \\{"),
        ("{type: object, propertyNames: {pattern: 'a{e}'}}", "5:57", "write \\{"),
        (
            "{type: object, properties: {properties: {patternProperties: {a: {}}}}}",
            "5:58",
            "patternProperties is not accepted",
        ),
        ("{type: object, properties: [a]}", "5:44", "is no valid JSON Schema"),
        ("{type: object, required: a}", "5:42", "is no valid JSON Schema"),
        ("{type: object, properties: {a: {$ref: 'http://x/'}}}", "5:55", "$ref is not accepted"),
        ("{type: object, patternProperties: {'(a|aa)+$': {}}}", "5:32", "patternProperties is not accepted"),
        ("{type: object, properties: {shoe size: {}}}", "5:45", "is not a valid name of a parameter"),
        ("{type: object, properties: {größe: {}}}", "5:45", "is not a valid name of a parameter"),
        ("{type: object, properties: {item: {}}, required: [itm]}", "5:67", "did you mean item?"),
        ("{type: object, required: [itm]}", "5:43", "itm is not a parameter"),
    ],
)
def test_an_invalid_schema_is_a_fault_at_its_place(file: Path, schema: str, place: str, words: str) -> None:
    text = f"""\
    tools:
      - kind: python
        name: a
        description: d
        parameters: {schema}
        entry: e
    """
    [fault] = faults_of(file, text)
    assert fault.startswith(f"{place} tools.parameters"), fault
    assert words in fault


def test_servers_and_their_tools_can_be_told_apart_by_a_prefix(file: Path) -> None:
    server = "  - {{kind: mcp, name: {0}, allow: [find, look], prefix: {0}_, argv: [x]}}\n"
    text = f"tools:\n  - {{kind: builtin}}\n{server.format('shop')}{server.format('museum')}"
    assert len(tools_of(file, text)) == 3


def test_a_schema_with_additional_properties_can_require_an_unnamed_parameter(file: Path) -> None:
    schema = "{type: object, required: [item], additionalProperties: {type: string}}"
    (tool,) = tools_of(
        file, f"tools: [{{kind: python, name: a, description: d, entry: e, parameters: {schema}}}]"
    )
    assert isinstance(tool, PythonSettings)
    assert tool.parameters["required"] == ["item"]


def test_a_schema_that_is_too_large_is_rejected(file: Path) -> None:
    many = ", ".join(f"a{number}: {{type: string, description: {'x' * 100}}}" for number in range(80))
    schema = f"{{type: object, properties: {{{many}}}}}"
    [fault] = faults_of(
        file, f"tools: [{{kind: python, name: a, description: d, entry: e, parameters: {schema}}}]"
    )
    assert "is larger than 8192" in fault


def test_a_secret_in_the_wrong_place_is_not_repeated(file: Path) -> None:
    text = MQTT + f"mqtt://h, topic: t, username: u, password_from: {TOKEN}}}"
    [fault] = faults_of(file, f"tools:\n{text}\n")
    assert "does not belong in this file" in fault
    assert TOKEN not in fault


def test_all_faults_are_named_at_once(file: Path) -> None:
    text = "tools:\n  - {kind: builtin, at_once: 0, per_turn: x}\n  - {kind: nothing}\n"
    assert [fault.split(":")[0] for fault in faults_of(file, text)] == ["2", "2", "3"]


def of_types(types: str) -> str:
    schema = f"{{type: object, properties: {{p: {{type: {types}}}}}, required: [p]}}"
    return f"tools:\n{COMMAND}[./xxxx, '{{p}}'], parameters: {schema}}}\n"


@pytest.mark.parametrize("types", ["integer", "[integer]", "[string, number]"])
def test_a_parameter_of_several_types_can_stand_in_a_template(file: Path, types: str) -> None:
    assert len(tools_of(file, of_types(types))) == 1


@pytest.mark.parametrize("types", ['[string, "null"]', "[string, array]", "object"])
def test_a_parameter_that_is_not_one_plain_value_cannot_stand_in_a_template(file: Path, types: str) -> None:
    assert faults_of(file, of_types(types)) == [
        (
            "2:66 tools.argv: names p, which is not one plain value; "
            "set its type to string, integer, number or boolean"
        )
    ]


@pytest.mark.parametrize(
    ("argv", "column"),
    [
        ("[/bin/sh, -c, 'echo {p}']", 71),
        ("[bash, -euo, pipefail, -c, 'echo {p}']", 84),
        ("[bash, -c, -e, 'echo {p}']", 72),
        ("[env, TZ=UTC, dash, -lc, 'echo {p}']", 82),
        ("[python3.13, -Ic, 'print({p})']", 75),
        ("[python3, '-cprint({p})']", 67),
        ("[perl, -e, 'print {p}']", 68),
    ],
)
def test_a_parameter_in_a_script_is_rejected(file: Path, argv: str, column: int) -> None:
    [fault] = faults_of(file, f"tools:\n{COMMAND}{argv}, {ONE}}}\n")
    assert fault.startswith(f"2:{column} tools.argv: has a parameter in a script")


@pytest.mark.parametrize(
    "argv",
    [
        """[/bin/sh, -c, 'echo "$1"', sh, '{p}']""",
        "[/bin/sh, -e, ./door, -c, '{p}']",
        "[python3, -m, door, -c, '{p}']",
        "[./door, -c, '{p}']",
        "[./door, '--door={p}']",
        "[/usr/local/bin/door, '{p}']",
        "[/srv/tools/say, x, 'a {p} b']",
        "[/bin/echo, '{p}']",
        "[espeak-ng, -v, de, --, '{p}']",
        "[/usr/bin/mosquitto_pub, -t, hall, -m, '{p}']",
        "[timeout, -k, '1', '5', ./door, '{p}']",
        "[nice, -n, '5', env, TZ=UTC, -u, X, python3, door.py, '{p}']",
        "[sudo, -n, -u, door, /opt/door, '{p}']",
        "[bash, -c, 'printf %s \"$1\"', name, '{p}']",
        "[python3, -I, -c, 'import sys; print(sys.argv[1])', '{p}']",
        "[perl, door.pl, '{p}']",
        "[jq, -r, .p]",
        "[awk, -f, door.awk]",
        "[sqlite3, shop.db, 'select 1']",
    ],
)
def test_a_parameter_can_be_an_argument_of_a_script(file: Path, argv: str) -> None:
    assert len(tools_of(file, f"tools:\n{COMMAND}{argv}, {ONE}}}\n")) == 1


def test_a_host_can_be_called_credential(file: Path) -> None:
    assert len(tools_of(file, f"tools:\n{HTTP}http://credential:8080/}}\n")) == 1


def test_the_text_of_at_once_names_the_limit_of_plain_functions() -> None:
    description = " ".join(descriptions(PythonSettings)["at_once"].split())
    assert f"For a plain function there are {MOST_THREADS} at most" in description


# Faults of this machine


def test_a_missing_credential_is_a_fault(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The user who runs the tests may not be allowed to read the machine's own stores.
    monkeypatch.setattr("kioskd.tools.credentials.STORES", (str(file.parent / "a"), str(file.parent / "b")))
    text = GOOD.replace("./near", str(file.parent / "nothing"))
    found = dict(startup(file, text))
    assert "credential:shop is missing" in found["tools", 1, "headers", "Authorization"]
    assert "the file is not there" in found["tools", 1, "headers", "X-Near"]
    assert "credential:mqtt is missing" in found["tools", 3, "password_from"]


def test_a_credential_that_only_root_can_see_is_no_fault(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 'headers: {X: "credential:shop"}'
    shop = f'tools: [{{kind: http, name: a, description: d, url: "https://h/x", {sent}}}]\n'
    tools = tools_of(file, shop)
    stores = (tmp_path / "credstore", tmp_path / "credstore.encrypted")
    stores[1].mkdir(mode=0)
    monkeypatch.setattr("kioskd.tools.credentials.STORES", tuple(map(str, stores)))
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        found, secrets = tool_faults(tools, {}), unseen(tools, {})
    finally:
        if root:
            os.seteuid(0)
    assert found == []
    assert secrets == ["credential:shop"]


def test_a_working_directory_that_cannot_be_read_is_a_fault(file: Path, tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    (shut / "inside").mkdir(parents=True)
    tools = tools_of(
        file,
        "tools: [{kind: command, name: a, description: d, argv: [/bin/true], answer: none, "
        f"working_directory: {shut / 'inside'}}}]\n",
    )
    shut.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        [(loc, what)] = tool_faults(tools, {})
    finally:
        if root:
            os.seteuid(0)
        shut.chmod(0o700)
    assert (loc, what) == (
        ("tools", 0, "working_directory"),
        "is not a folder on this machine; create it, or correct the path",
    )


def test_credentials_from_systemd_are_used(file: Path, tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "shop").write_text(f"{TOKEN}\n", encoding="ascii")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    near = tmp_path / "near"
    near.write_text("near-by", encoding="ascii")
    near.chmod(0o600)
    http = tools_of(file, GOOD)[1]
    assert isinstance(http, HttpSettings)
    sent = {name: value.get_secret_value() for name, value in headers(http.headers, environ).items()}
    assert sent == {"Authorization": f"Bearer {TOKEN}", "X-Near": "near-by"}
    assert [one.get_secret_value() for one in secrets_in(http.headers.values(), environ)] == [
        TOKEN,
        "near-by",
    ]
    assert ("tools", 1, "headers", "Authorization") not in dict(startup(file, GOOD, environ))
    missing = dict(startup(file, GOOD, environ))["tools", 3, "password_from"]
    assert missing == (
        "credential:mqtt is missing: systemd passes no credential of this name to this unit; "
        "store it, and add [Service] LoadCredentialEncrypted=mqtt by sudo systemctl edit kioskd"
    )


@pytest.mark.parametrize(("content", "mode"), [(TOKEN, 0o644), ("", 0o600), ("two words", 0o600)])
def test_an_invalid_secret_is_a_fault_and_not_shown(tmp_path: Path, content: str, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text(content, encoding="ascii")
    path.chmod(mode)
    with pytest.raises(KeyUnusableError) as caught:
        secret(f"credential:{path}", {})
    assert not content or content not in str(caught.value)


def test_a_missing_program_or_folder_is_a_fault(file: Path) -> None:
    found = dict(startup(file, GOOD.replace("working_directory: .", "working_directory: ./nowhere")))
    assert "program is missing" in found["tools", 2, "argv"]
    assert "not a folder" in found["tools", 2, "working_directory"]
    assert ("tools", 4, "argv") not in found


def test_a_missing_package_is_a_fault(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    found = dict(startup(file, GOOD))
    assert "kioskd[mcp]" in found["tools", 4, "kind"]
    assert "kioskd[mqtt]" in found["tools", 3, "kind"]


def test_a_missing_entry_point_is_a_fault(file: Path) -> None:
    assert "kioskd.tools" in dict(startup(file, GOOD))["tools", 6, "entry"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("good", None),
        ("gone", "cannot be loaded: ModuleNotFoundError; repair or replace its package"),
        ("nothing", "cannot be loaded: AttributeError"),
        ("broken", "cannot be loaded: ZeroDivisionError"),
        ("leaving", "cannot be loaded: SystemExit"),
        ("seven", "is not a function"),
    ],
)
def test_an_entry_point_that_cannot_be_loaded_is_a_fault(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, words: str | None
) -> None:
    package = tmp_path / "package"
    info = package / "acme_till-1.0.dist-info"
    info.mkdir(parents=True)
    (package / "acme_till.py").write_text("def good(arguments): return 1\nseven = 7\n", encoding="utf-8")
    (package / "acme_broken.py").write_text("1 / 0\n", encoding="utf-8")
    (package / "acme_leaving.py").write_text("import sys\nsys.exit(1)\n", encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-till\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[kioskd.tools]\ngood = acme_till:good\nseven = acme_till:seven\nnothing = acme_till:nothing\n"
        "gone = acme_gone:x\nbroken = acme_broken:x\nleaving = acme_leaving:x\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(package)
    for name in ("acme_till", "acme_broken", "acme_leaving"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = dict(startup(file, f"tools: [{{kind: python, name: a, description: d, entry: {entry}}}]"))
    if words is None:
        assert found == {}
    else:
        assert words in found["tools", 0, "entry"]


def test_a_program_is_not_searched_in_the_daemons_own_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "door").write_text("#!/bin/sh\n", encoding="ascii")
    (tmp_path / "door").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert program(["door"]) is None
    assert program([str(tmp_path / "door")]) == str(tmp_path / "door")
    assert program(["cat"]) in {"/bin/cat", "/usr/bin/cat"}


def test_the_json_schema_knows_each_kind() -> None:
    text = str(Kiosk.model_json_schema())
    for kind in ("builtin", "documents", "http", "command", "mqtt", "mcp", "python"):
        assert f"'const': '{kind}'" in text


DOOR = """
    tools:
      - kind: command
        name: open_door
        description: Opens the door.
        argv: [./door, "--door={door}"]
        parameters: {type: object, properties: {door: {type: string}}, required: [door]}
        answer: none
"""


def test_the_owner_chooses_the_question_before_a_tool_acts(file: Path) -> None:
    (tool,) = tools_of(file, DOOR + '        confirm: button\n        confirm_text: "Open the {door}?"\n')
    assert tool.confirm_text == "Open the {door}?"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            "confirm_text: Open it?",
            "tools.confirm_text: has no effect: without confirm: button the kiosk does not ask",
        ),
        (
            'confirm: button\n        confirm_text: "Open {gate}?"',
            "tools.parameters: lacks gate, which confirm_text names; add it here, or remove it there",
        ),
    ],
)
def test_a_question_that_cannot_be_asked_is_rejected(file: Path, lines: str, says: str) -> None:
    (fault,) = faults_of(file, f"{DOOR}        {lines}\n")
    assert says in fault


def test_one_question_for_several_tools_is_rejected(file: Path) -> None:
    text = "    tools: [{kind: builtin, confirm: button, confirm_text: 'Go on?'}]\n"
    (fault,) = faults_of(file, text)
    assert "is one question for several tools" in fault


KEY = "headers: {X: 'credential:k'}"
USER = "username: u, password_from: 'credential:k'"
CLEAR = [
    (f"{{kind: http, name: a, description: d, url: 'URL', {KEY}, INSECURE}}", "http", "https"),
    (f"{{kind: mcp, name: a, allow: [x], url: 'URL', {KEY}, INSECURE}}", "http", "https"),
    (f"{{kind: mqtt, name: a, description: d, broker: 'URL', topic: t, {USER}, INSECURE}}", "mqtt", "mqtts"),
]


@pytest.mark.parametrize(("tool", "plain", "tls"), CLEAR, ids=["http", "mcp", "mqtt"])
def test_a_credential_leaves_this_machine_without_encryption_only_on_demand(
    file: Path, tool: str, plain: str, tls: str
) -> None:
    def written(url: str, insecure: str = "confirm: never") -> str:
        return "tools:\n  - " + tool.replace("URL", url).replace("INSECURE", insecure) + "\n"

    for host in ("shop.example", "10.0.0.1", "localhost.example"):
        [fault] = faults_of(file, written(f"{plain}://{host}"))
        assert f"tools.insecure: is not true: the credential would go to {host} without encryption" in fault
        assert f"write {tls}://, or insecure: true" in fault
    tools_of(file, written(f"{plain}://shop.example", "insecure: true"))
    for url in (f"{plain}://127.0.0.1", f"{plain}://localhost:8080", f"{tls}://shop.example"):
        tools_of(file, written(url))
        assert "insecure: has no effect" in faults_of(file, written(url, "insecure: true"))[0]


def test_an_address_without_a_credential_needs_no_encryption(file: Path) -> None:
    tools_of(file, "tools: [{kind: http, name: a, description: d, url: 'http://h/', headers: {X: y}}]\n")


@pytest.mark.parametrize(
    "argv",
    [
        """[env, -S, 'sh -c {p}']""",
        "[env, -S, './door', '{p}']",
        "[env, '{p}=1', ./door]",
        "[flock, /run/lock/x, -c, 'echo {p}']",
        "[awk, 'BEGIN {p}']",
        "[gawk, -v, 'x={p}', -f, door.awk]",
        "[sed, 's/x/{p}/']",
        "[sqlite3, shop.db, 'select {p}']",
        "[ssh, shop, 'say {p}']",
        "[ssh, shop, say, '{p}']",
        "[su, -c, 'say {p}', door]",
        "[find, /srv, -name, '{p}']",
        "[find, /srv, -exec, echo, '{p}', ;]",
        "[xargs, -I, x, echo, '{p}']",
        "[git, -c, '{p}', status]",
        "[tar, '--to-command={p}', -xf, a.tar]",
        "[busybox, awk, '{p}']",
        "[systemd-run, --user, '{p}']",
        "[nsenter, -t, '1', '{p}']",
        "[timeout, '5', ssh, shop, '{p}']",
        "[timeout, '{p}', ./door]",
        "[psql, -c, '{p}']",
        "[jq, '{p}']",
        "[make, '{p}']",
        "[vim, '{p}']",
        "[ffmpeg, -i, '{p}', out.wav]",
        "[curl, '{p}']",
        "[python3, '{p}']",
        "[python3, -m, '{p}']",
        "[perl, -ne, 'print', '{p}']",
        "[node, '{p}', ./door]",
        "[/usr/bin/never-heard-of, '{p}']",
        "[sh]",
        "[bash, -s, x]",
        "[python3, '-']",
        "[ssh, shop]",
        "[timeout, '5', sh]",
    ],
)
def test_a_parameter_reaches_an_unknown_program_of_the_system_only_with_a_statement(
    file: Path, argv: str
) -> None:
    [fault] = faults_of(file, f"tools:\n{COMMAND}{argv}, {ONE}}}\n")
    assert "tools.arguments_are_data: is not true: " in fault
    assert len(tools_of(file, f"tools:\n{COMMAND}{argv}, {ONE}, arguments_are_data: true}}\n")) == 1


def test_a_needless_statement_is_rejected(file: Path) -> None:
    [fault] = faults_of(file, f"tools:\n{COMMAND}[/bin/ssh, shop, say], arguments_are_data: true}}\n")
    assert "arguments_are_data: has no effect" in fault


def test_a_link_to_a_program_of_the_system_counts_as_that_program(file: Path) -> None:
    (file.parent / "door").symlink_to("/usr/bin/env")
    [fault] = faults_of(file, f"tools:\n{COMMAND}[./door, '{{p}}'], {ONE}}}\n")
    assert "arguments_are_data: is not true" in fault


@pytest.mark.parametrize(
    ("tool", "key", "words"),
    [
        ("argv: [/bin/true], sandbox: false, network: true", "sandbox", "so network has no effect"),
        ("argv: [/bin/true], sandbox: false, reads: [/srv]", "sandbox", "so reads has no effect"),
        ("argv: [/bin/true], reads: [/var/lib/kioskd]", "reads", "belongs to the daemon"),
        ("argv: [/bin/true], writes: [/run/kioskd/control]", "writes", "belongs to the daemon"),
        ("argv: [/bin/true], environment: [CREDENTIALS_DIRECTORY]", "environment", "the daemon's own"),
        ("argv: [/bin/true], environment: [NOTIFY_SOCKET]", "environment", "the daemon's own"),
        ("url: 'https://h/', network: true", "url", "excludes network"),
        ("url: 'https://h/', sandbox: false", "url", "excludes sandbox"),
        ("url: 'http://h/', ca_file: x.pem", "ca_file", "has no effect"),
    ],
)
def test_a_grant_without_effect_or_with_too_much_effect_is_rejected(
    file: Path, tool: str, key: str, words: str
) -> None:
    [fault] = faults_of(file, f"tools:\n  - {{kind: mcp, name: m, allow: [a], {tool}}}\n")
    assert f"tools.{key}: " in fault
    assert words in fault


def test_the_path_of_a_grant_starts_at_the_folder_of_the_file(file: Path) -> None:
    grants = "reads: [menus], writes: [/srv/x], network: true"
    door = f"{{kind: command, name: a, description: d, argv: [./door], {grants}}}"
    [tool] = tools_of(file, f"tools: [{door}]\n")
    assert isinstance(tool, CommandSettings)
    assert (tool.reads, tool.writes, tool.sandbox) == ((file.parent / "menus",), (Path("/srv/x"),), True)
