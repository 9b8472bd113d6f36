"""Reads YAML into plain values with their places. It collects all faults, and does not stop at the first.

Values are those of YAML 1.2's core schema: only true, false, null and numbers are not texts. So `off`, `no`
and `22:00` are texts. A configuration needs no anchors, tags, second document or deep nesting, so these are
rejected.
"""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import yaml

from kioskd.yamlconf.value_types import LONGEST_ECHO

ValuePath = tuple[str | int, ...]
"""Place of a value: names of settings, and indexes of list items."""

DEEPEST: Final = 16
"""Most levels of nesting. The settings have three, and a tool's schema some more. A broken file must not
exhaust the stack."""

LONGEST_NAME: Final = 200
"""Most characters of a name that the owner chooses."""

KEY_HOME: Final = (
    "a key does not belong in this file, which others can read; remove it, and store it with "
    "`sudo kioskd key`, or in a file of its own that service.key_file names"
)

_SECRET_NAMES: Final = frozenset(
    {"key", "apikey", "geminiapikey", "googleapikey", "token", "accesstoken", "secret", "password"}
)
_SECRET_LOOKS: Final = re.compile(r"AIza[\w-]{6}|\bAQ\.[\w-]{10}|\bya29\.|auth_tokens/")
"""Beginnings of Google's API keys (old and new), OAuth tokens and ephemeral tokens."""

_TAG: Final = "tag:yaml.org,2002:"
_CORE_SCHEMA: Final = {
    "null": r"null|Null|NULL|~|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}

_UNFINISHED: Final = {
    "could not find expected ':'": "the colon after the name of a setting is missing; write NAME: VALUE",
    "unexpected end of stream": "a text in quotes begins here and has no end; add the closing quote",
    "expected ',' or": "a list or group begins here and has no end; add a comma or the closing bracket",
}
"""Problems for which a fault points at the beginning of the text, where the owner must change it (PyYAML's
context)."""

_PROBLEMS: Final = {
    r"'\t'": "this line is indented with a tab; write spaces",
    "mapping values are not allowed": "a colon is not allowed here; put the text in quotes, or "
    "correct the indentation",
    "<block end>": "the indentation fits no line above; indent all settings of a section alike",
    "cannot start any token": "the first character has a meaning in YAML; put the text in quotes",
    "expected the node content": "this character has a meaning in YAML; put the text in quotes",
    "another document": "a second document begins here, but a file holds only one; remove the ---",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the file. Line and column count from 1. Both are 0 for a fault of the whole file."""

    file: str
    line: int
    column: int
    key: str
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place} {self.key}: {self.what}" if self.key else f"{place}: {self.what}"


class _Refused(yaml.MarkedYAMLError):
    """Well-formed YAML that kioskd rejects."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar = {}  # type: ignore[misc]  # the stub says instance; PyYAML reads the class
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stub has no types here
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _Refused(
                None, None, "anchors and aliases (& and *) are not allowed; write out the value", mark
            )
        if self.depth > DEEPEST:
            raise _Refused(
                None, None, "no setting is nested this deeply; correct the brackets or the indentation", mark
            )
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


for _kind, _pattern in _CORE_SCHEMA.items():
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), None)


def _plain(kind: str, text: str) -> bool | int | float | None:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    text = text.lower().replace(".inf", "inf").replace(".nan", "nan")
    try:
        return int(text, 0 if text.startswith(("0o", "0x")) else 10)
    except (
        ValueError
    ):  # a fraction; or more digits than Python reads, which is as far out of range as infinity
        return float(text)


def looks_secret(text: str) -> bool:
    """Return whether `text` holds something that looks like one of Google's keys or tokens."""
    return _SECRET_LOOKS.search(text) is not None


class Document:
    """A YAML file as read: `data` has its plain values (lists are tuples), and `faults` those found so
    far."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.data: Any = None
        self._names: dict[ValuePath, tuple[int, int]] = {}
        self._values: dict[ValuePath, tuple[int, int]] = {}
        self._faulty: set[ValuePath] = set()
        try:
            node = yaml.compose(text, Loader=_Loader)
        except _Refused as err:
            self._syntax(err.problem_mark, str(err.problem))
        except yaml.MarkedYAMLError as err:
            self._syntax(*_problem(err))
        except yaml.reader.ReaderError as err:
            before = text[: err.position]
            line, column = before.count("\n"), err.position - (before.rfind("\n") + 1)
            what = "this character never occurs in a text; remove it, or check that this is a YAML file"
            self.faults.append(Fault(file, line + 1, column + 1, "", what))
        except (ValueError, OverflowError):  # the scanner does not check "\\UFFFFFFFF" and %YAML 1.999...
            self.faults.append(
                Fault(file, 0, 0, "", "an escape (\\U...) or a %YAML version is out of range; correct it")
            )
        else:
            if node is not None:
                self.data = self._value(node, ())

    def fault(self, path: ValuePath, what: str, *, of_name: bool = False) -> None:
        """Add a fault of the setting at `path`. With `of_name` it is a fault of the name, not of the value.

        For a missing setting, the fault points at its section. A setting gets one fault only, the first.
        """
        if path in self._faulty:
            return
        self._faulty.add(path)
        found = path
        while found and found not in self._names and found not in self._values:
            found = found[:-1]
        name = self._names.get(found, (1, 1))
        line, column = name if of_name else self._values.get(found, name)
        key = ".".join(part for part in path if isinstance(part, str))
        self.faults.append(Fault(self.file, line, column, key, what))

    def _syntax(self, mark: Any, what: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.faults.append(Fault(self.file, line, column, "", what))

    def _value(self, node: yaml.Node, path: ValuePath) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            if path and isinstance(path[-1], int):  # a fault of any other group points at its name
                self._values[path] = _place(node)
            return self._mapping(node, path)
        if node.start_mark.index < node.end_mark.index:  # a fault of an empty value points at its name
            self._values[path] = _place(node)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return tuple(self._value(item, (*path, index)) for index, item in enumerate(node.value))
        if isinstance(node, yaml.ScalarNode):
            if looks_secret(node.value):
                self.fault(path, f"looks like a service key: {KEY_HOME}")
                return None
            if kind == "str":
                return node.value
            if re.fullmatch(_CORE_SCHEMA.get(kind, "(?!)"), node.value):
                return _plain(kind, node.value)
        self.fault(path, "has a tag (!...), and tags are not allowed; write the plain value")
        return None

    def _mapping(self, node: yaml.MappingNode, path: ValuePath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            here = _place(key_node)
            key, why_not = _key(key_node, free=_named_by_owner(path))
            inner = (*path, key)
            if why_not:
                self.faults.append(Fault(self.file, *here, ".".join(map(str, inner)), why_not))
            elif inner in self._names:
                first = ":".join(map(str, self._names[inner]))
                what = f"is set a second time here, and first at {first}; remove one of the two"
                self.faults.append(Fault(self.file, *here, ".".join(map(str, inner)), what))
            else:
                self._names[inner] = here
                data[key] = self._value(value_node, inner)
        return data


def _place(node: yaml.Node) -> tuple[int, int]:
    """Return the line and column where `node` begins."""
    return node.start_mark.line + 1, node.start_mark.column + 1


def _named_by_owner(path: ValuePath) -> bool:
    """Return whether the owner chooses the names at `path`: a parameter of a tool can be called key or
    token. A subject has the line that its reader types, and a profile has any name."""
    of_tool = len(path) > 2 and path[0] == "tools" and path[2] in ("parameters", "headers")
    return of_tool or path in {("subjects",), ("assistant", "profiles")}


def _key(node: yaml.Node, *, free: bool) -> tuple[str, str]:
    """Return the name of a setting for messages, and why it cannot be one (empty if it can)."""
    if not isinstance(node, yaml.ScalarNode):
        return "(a group)", "is not the name of a setting, which is one word; write NAME: VALUE"
    name = node.value
    if looks_secret(name):
        return "(a key)", f"looks like a service key: {KEY_HOME}"
    if len(name) > (LONGEST_NAME if free else LONGEST_ECHO) or not name.isprintable() or not name:
        return f"({len(name)} characters)", "is not the name of a setting; correct the line, or remove it"
    if not free and re.sub("[-_ ]", "", name.lower()) in _SECRET_NAMES:
        return name, KEY_HOME
    return name, ""


def _problem(err: yaml.MarkedYAMLError) -> tuple[Any, str]:
    problem = str(err.problem)
    for symptom, words in _UNFINISHED.items():
        if symptom in problem:
            return err.context_mark or err.problem_mark, words
    for symptom, words in _PROBLEMS.items():
        if symptom in problem:
            return err.problem_mark, words
    brief = re.sub(r"'[^']{3,}'", "something", problem)
    return err.problem_mark or err.context_mark, f"this line is not YAML ({brief}); correct it"
