"""Finds prose that is hard to read: long sentences, words with two meanings, sentences without a subject.

    .venv/bin/python -m tests.support.plain_words daemon/kioskd/flow tests/flow README.md

It prints each finding as FILE:LINE RULE: TEXT. It reads docstrings and comments of Python files, comments of
YAML files, and the paragraphs of Markdown files. With `--messages` it prints the texts that Python files show
to people instead. A person has to read those: a program cannot judge them.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LONGEST: Final = 20
"""Words in a sentence."""

VAGUE: Final = re.compile(r"\b(nobody|somebody|whoever|anew|be it|nor is)\b", re.IGNORECASE)
"""Words that a plain sentence does not need."""

RIDDLES: Final = re.compile(
    r"(?:^|(?<=[.:;!?] ))(?:What|Who|Whom|Such|Nor)\b[^?]*?(?=[.:;!]|$)(?!\?)"
    r"|\bsuch (?:a )?one\b|\bso (?:many|much) (?:is|are|of)\b|\bmay have (?:done|been)\b"
    r"|\bno longer than not\b|\b(?:of|by) (?:who|what)\b|\bthat (?:what|who) (?:is|are)\b"
    r"|\bnot to be (?:had|got)\b|\bgoes unused\b"
)
"""Forms that readers stumbled over: "who" or "what" as the name of a thing, a sentence without a subject."""

_CODE: Final = re.compile(r"``[^`]*``|`[^`]*`")
_END: Final = re.compile(r"(?<=[.!?:])[)\"'*]*\s+|\n\s*\n|\n\s*(?=[-*|>#] )|\n(?=\s*\w+: )|\n(?= {4,}\S)")


@dataclass(frozen=True)
class Finding:
    """One sentence that breaks a rule."""

    path: Path
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        """Return one line for a terminal."""
        return f"{self.path}:{self.line} {self.rule}: {self.text}"


def _of_python(text: str) -> Iterator[tuple[int, str]]:
    """Yield each docstring, and each block of comments, with its first line's number."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            words = node.value.value
            if isinstance(words, str):
                yield node.lineno, words
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT or re.match(r"#!|# (noqa|type:|fmt:|mypy:)", token.string):
            continue
        words = re.sub(r"\s*#\s*noqa.*", "", token.string[1:]).strip()
        if token.start[0] != last + 1 and block:
            yield first, "\n".join(block)
            block = []
        first = first if block else token.start[0]
        last = token.start[0]
        block.append(words)
    if block:
        yield first, "\n".join(block)


def _of_yaml(text: str) -> Iterator[tuple[int, str]]:
    block: list[str] = []
    first = 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        comment = re.match(r"\s*#+ ?(.*)", line)
        # A setting that is shown as a comment is no prose.
        if comment and not re.match(r"\s*[a-z_]+:( |$)|\s*- ", comment[1]):
            first = first if block else number
            block.append(comment[1])
        elif block:
            yield first, "\n".join(block)
            block = []


def _of_markdown(text: str) -> Iterator[tuple[int, str]]:
    block: list[str] = []
    first = 0
    fenced = False
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and line.startswith("|"):
            for cell in re.split(r"(?<!\\)\|", line):
                yield number, cell.strip()
        elif not fenced and line.strip():
            first = first if block else number
            block.append(line)
            continue
        if block:
            yield first, "\n".join(block)
            block = []


def messages(text: str) -> Iterator[tuple[int, str]]:
    """Yield each string of three words or more that is not a docstring; {} stands for a value."""
    tree = ast.parse(text)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values):
                words = "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in values)
            case ast.Constant(str(words)) if id(node) not in prose | parts:
                pass
            case _:
                continue
        if len(words.split()) > 2:
            yield node.lineno, " ".join(words.split())


READERS: Final = {".py": _of_python, ".yaml": _of_yaml, ".md": _of_markdown}


def findings(path: Path) -> Iterator[Finding]:
    """Yield what a file's prose has against the rules: vague words, riddles, long sentences."""
    for line, prose in READERS[path.suffix](path.read_text(encoding="utf-8")):
        plain = _CODE.sub("CODE", prose)
        for found in VAGUE.finditer(plain):
            yield Finding(path, line, "vague", found[0])
        for sentence in _END.split(plain):
            one = " ".join(sentence.split())
            for found in RIDDLES.finditer(one):
                yield Finding(path, line, "riddle", one if len(one) < 160 else found[0])
            if len([word for word in one.split() if any(map(str.isalnum, word))]) > LONGEST:
                yield Finding(path, line, "long", one)


def files(root: Path) -> list[Path]:
    """Return the files below `root` that can be read, or `root` itself."""
    found = [root] if root.is_file() else sorted(root.rglob("*"))
    return [each for each in found if each.suffix in READERS and each.is_file()]


def main(roots: list[str]) -> int:
    """Print all findings, and return 1 if there are any; or print all messages."""
    if roots[:1] == ["--messages"]:
        for path in (path for root in roots[1:] for path in files(Path(root)) if path.suffix == ".py"):
            for line, words in messages(path.read_text(encoding="utf-8")):
                print(f"{path}:{line} {words}")
        return 0
    found = [one for root in roots for path in files(Path(root)) for one in findings(path)]
    print("\n".join(map(str, found)) or "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
