"""The README and the manual have right links, commands, settings, codes, prices and pages."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml
from pydantic import BaseModel
from tests.support.plain_words import findings

from kioskd import manual
from kioskd.cli import COMMANDS
from kioskd.errors import SPOKEN, Code
from kioskd.media.lamp_patterns import LONG_FLASHES
from kioskd.settings.load import load
from kioskd.settings.model import Settings

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
MANUAL: Final = ROOT / "daemon/kioskd/manual"
PAGES: Final = [README, *sorted(MANUAL.glob("*.md"))]
LONGEST: Final = 220
"""Lines of the README, for an installer in a hurry."""
GENERATED: Final = r"(?s)<!-- (\w+) -->.*?<!-- /\1 -->"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def without_blocks(text: str) -> str:
    """Return Markdown without its fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", text)


def anchors(page: Path) -> set[str]:
    """Return the names by which the web leads to the headings of a page."""
    titles = re.findall(r"(?m)^#+ (.+)$", without_blocks(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= LONGEST


@each_page
def test_the_prose_is_plain(page: Path, tmp_path: Path) -> None:
    by_hand = tmp_path / page.name
    # The words of generated parts are held where they are written.
    by_hand.write_text(re.sub(GENERATED, "", page.read_text()))
    assert [str(one) for one in findings(by_hand)] == []


@each_page
def test_each_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        led_to = (page.parent / path).resolve() if path else page
        assert led_to.exists(), target
        assert not anchor or anchor in anchors(led_to), target


@each_page
def test_each_command_exists(page: Path) -> None:
    text = page.read_text()
    code = re.findall(r"`([^`\n]+)`", without_blocks(text)) + re.findall(r"(?s)```\w*\n(.*?)```", text)
    named = {word for each in code for word in re.findall(r"(?m)(?<![/\w])kioskd ([a-z]+)\b", each)}
    assert named <= set(COMMANDS) | {"yaml"}


def settings_named(text: str) -> Iterator[list[str]]:
    """Yield the path of each setting that a text names in full, as `conversation.idle_s`."""
    sections = "|".join(name for name in Settings.model_fields if name != "tools")
    for found in re.findall(rf"`((?:{sections})(?:\.[a-z_]+)+)\b(?<!\.wav)", text):
        yield found.split(".")


def has(model: type[BaseModel], path: list[str]) -> bool:
    """Whether a setting with this path exists."""
    first, *rest = path
    if first not in model.model_fields:
        return False
    inner = [each for each in _models(model.model_fields[first].annotation) if rest]
    return not rest or not inner or any(has(each, rest) for each in inner)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


@each_page
def test_each_setting_exists(page: Path) -> None:
    assert [path for path in settings_named(page.read_text()) if not has(Settings, path)] == []


def test_a_setting_that_does_not_exist_is_found() -> None:
    assert list(settings_named("`conversation.idle` and `conversation.idle_s: 20`")) == [
        ["conversation", "idle"],
        ["conversation", "idle_s"],
    ]
    assert not has(Settings, ["conversation", "idle"])
    assert has(Settings, ["conversation", "idle_s"])


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(re.findall(r"(?s)```yaml\n(.*?)```", page.read_text()))
    ],
)
def test_each_block_of_settings_is_accepted(block: str, tmp_path: Path) -> None:
    file = tmp_path / "kioskd.yaml"
    file.write_text(block)
    load(file)


def test_the_settings_to_begin_with_are_ten_lines() -> None:
    [block] = re.findall(r"(?s)```yaml\n(.*?)```", README.read_text())
    assert len(block.splitlines()) == 10
    assert yaml.safe_load(block)["controls"]["button"]["source"] == "gpio:pi/17"


def test_the_table_of_codes_has_each_code_with_its_flashes() -> None:
    rows = dict(re.findall(r"(?m)^\| ([A-Z]\d) \| ([^|]+) \|", README.read_text()))
    assert rows == {code: f"{LONG_FLASHES[code[0]]} long, {code[1]} short" for code in Code}


@pytest.mark.parametrize("code", Code)
def test_the_table_of_codes_says_which_are_not_spoken(code: Code) -> None:
    [row] = [line for line in README.read_text().splitlines() if line.startswith(f"| {code} |")]
    silent = code not in SPOKEN or code is Code.SPEAKER
    assert ("(Not spoken.)" in row) == silent


# The chapters as pages of man


@pytest.mark.parametrize("chapter", manual.chapters(), ids=lambda chapter: chapter.topic)
def test_a_chapter_begins_with_its_title_and_one_line(chapter: manual.Chapter) -> None:
    assert chapter.text.startswith(f"# {chapter.title}\n\n")
    assert "\n" not in chapter.summary
    assert chapter.summary.endswith(".")


def test_the_installer_puts_each_page_in_its_place() -> None:
    named = set(re.findall(r'"(\S+)\s+\$man/man\d/\S+"', (ROOT / "scripts/install.sh").read_text()))
    assert named == {name for name, _ in manual.man_pages()}


def test_the_converter_takes_each_page(tmp_path: Path) -> None:
    lowdown = shutil.which("lowdown")
    if lowdown is None:
        pytest.skip("no lowdown: apt install lowdown")
    for name, text in manual.man_pages():
        (tmp_path / name).write_text(text)
        made = subprocess.run(
            [lowdown, "-s", "-Tman", "--out-no-smarty", tmp_path / name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        title, section = re.findall(r'(?m)^\.TH "(.+?)" "(\d)"', made)[0]
        assert f"{title.lower()}.{section}" == name
        assert re.search(rf"(?m)^{re.escape(name.rpartition('.')[0])} \\?- ", made), (
            "man -k finds it by this line"
        )


# Cost

IN, OUT, TEXT, PICTURE = 3.00, 12.00, 0.75, 1.00
TURN: Final = 250
"""Tokens of sound that come in, and go out, in a turn of the example."""
INSTRUCTIONS: Final = 300


def dollars(turns: int, trigger: int | None = None, target: int = 0) -> float:
    """Return the price of a conversation; its memory is shortened to `target` above `trigger`."""
    sound_in = memory = 0
    for _ in range(turns):
        sound_in += memory + TURN
        memory += 2 * TURN
        if trigger is not None and memory > trigger:
            memory = target
    return (sound_in * IN + turns * TURN * OUT + turns * INSTRUCTIONS * TEXT) / 1e6


def test_the_examples_of_cost_are_the_sums_that_they_claim_to_be() -> None:
    text = (MANUAL / "privacy-and-cost.md").read_text()
    examples = dict(
        re.findall(r"(?m)^\| (.+) \| (\d+\.\d\d)(?: an hour| a day)? \|$", text.partition("\n## Examples")[2])
    )
    minutes = 3  # turns in a minute
    wanted = {
        "a day": 0.0,
        "a museum": 30 * dollars(2 * minutes),
        "an hour of talk in conversations of 10": 6 * dollars(10 * minutes),
        "an hour of talk in one conversation": dollars(60 * minutes),
        "the same": dollars(60 * minutes, 25_000, 8_000),
        "a microphone": 3600 * 25 * IN / 1e6,
        "a picture": 1800 * 64 * PICTURE / 1e6,
    }
    assert len(examples) == len(wanted)
    for (row, price), (begins, sum_) in zip(examples.items(), wanted.items(), strict=True):
        assert row.startswith(begins)
        assert float(price) == pytest.approx(sum_, abs=0.006), row


def test_the_readme_has_the_sum_of_the_manual() -> None:
    text = README.read_text()
    assert f"**{round(30 * dollars(6), 1):.2f} US dollars**" in text
    assert f"That is {dollars(6):.3f}." in text
    assert f"An hour is thirty of them: {30 * dollars(6):.2f}." in text
    assert f"**{dollars(6):.3f}**" in (MANUAL / "privacy-and-cost.md").read_text()


def test_tokens_of_pictures_are_what_the_table_says() -> None:
    text = (MANUAL / "buttons-lamp-camera.md").read_text()
    for every_s, low, high in re.findall(r"(?m)^\| `conversation` \| (\d+) \| (\d+) \| (\d+) \|$", text):
        assert int(low) == 60 // int(every_s) * 64
        assert int(high) == 60 // int(every_s) * 256
