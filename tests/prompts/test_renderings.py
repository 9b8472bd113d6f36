import stat
from pathlib import Path

import pytest

from kioskd.prompts.renderings import Renderings, name

FILE = name("hello", "en", "1.51")


def load(kept: Renderings, file: str) -> bytes | None:
    return kept.load_all({1: file}).get(1)


def test_a_saved_rendering_is_loaded(tmp_path: Path) -> None:
    Renderings(tmp_path / "deep" / "prompts").save(FILE, b"sound")
    assert load(Renderings(tmp_path / "deep" / "prompts"), FILE) == b"sound"


def test_only_the_owner_may_read_a_rendering(tmp_path: Path) -> None:
    Renderings(tmp_path / "prompts").save(FILE, b"sound")
    assert stat.S_IMODE((tmp_path / "prompts").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "prompts" / FILE).stat().st_mode) == 0o600


def test_a_file_name_depends_on_text_language_and_version() -> None:
    assert (
        len({FILE, name("hello.", "en", "1.51"), name("hello", "de", "1.51"), name("hello", "en", "1.52")})
        == 4
    )
    assert name("hello", "EN", "1.51") == FILE


def damage(content: bytes) -> list[bytes]:
    flipped = bytearray(content)
    flipped[-1] ^= 1
    return [
        b"",
        content[:10],
        content[:-1],
        content + b"x",
        bytes(len(content)),
        bytes(flipped),
        content[:32],
    ]


@pytest.mark.parametrize("kind", range(7))
def test_a_broken_file_is_ignored(tmp_path: Path, kind: int) -> None:
    kept = Renderings(tmp_path)
    kept.save(FILE, b"sound")
    (tmp_path / FILE).write_bytes(damage((tmp_path / FILE).read_bytes())[kind])
    assert load(kept, FILE) is None
    assert kept.load_any_version({1: "hello"}, "en") == {}


def test_another_versions_rendering_is_found_by_text_and_language(tmp_path: Path) -> None:
    kept = Renderings(tmp_path)
    kept.save(FILE, b"sound")
    assert load(kept, name("hello", "en", "1.52")) is None
    assert kept.load_any_version({1: "hello"}, "en") == {1: b"sound"}
    assert kept.load_any_version({1: "hello"}, "de") == {}
    assert Renderings(tmp_path / "none").load_any_version({1: "hello"}, "en") == {}


def test_only_outdated_renderings_and_drafts_are_removed(tmp_path: Path) -> None:
    kept = Renderings(tmp_path)
    newer = name("hello", "en", "1.52")
    kept.save(FILE, b"sound")
    kept.save(newer, b"sound")
    (tmp_path / f".{FILE}").write_bytes(b"half")
    (tmp_path / "preferences.json").write_text("{}")
    kept.keep_only({newer})
    assert {path.name for path in tmp_path.iterdir()} == {newer, "preferences.json"}


def test_a_rendering_that_cannot_be_saved_raises_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="exists"):
        Renderings(tmp_path / "file").save(FILE, b"sound")
