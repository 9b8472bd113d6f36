import asyncio
import io
import logging
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import pytest
from tests.support.until import until

from kioskd.adapters.espeak import RenderingFailed
from kioskd.errors import SPOKEN, Code
from kioskd.media import pcm
from kioskd.prompts import PromptLibrary, cache_directory, render_all, texts


def tone(level: int, seconds: float = 0.1) -> bytes:
    return level.to_bytes(2, "little") * round(seconds * pcm.DOWNLINK_HZ)


def wav(sound: bytes) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(pcm.DOWNLINK_HZ)
        file.writeframes(sound)
    return out.getvalue()


class Reader:
    """A reader that speaks each sentence as a tone with a unit for each letter, as long as it may."""

    def __init__(self, version: str | None = "1", *, good_for: int = 1000) -> None:
        self._version = version
        self._good_for = good_for
        self.asked: list[tuple[str, str]] = []

    async def version(self) -> str:
        if self._version is None:
            raise RenderingFailed("reader: is not installed; install it")
        return self._version

    async def render(self, text: str, language: str) -> bytes:
        if len(self.asked) == self._good_for:
            raise RenderingFailed("reader: was not done within 10 s; see why")
        self.asked.append((text, language))
        return wav(tone(len(text)))


async def prepared(
    reader: Reader, *, language: str = "en", owner: Path | None = None, cache: Path | None = None
) -> PromptLibrary:
    prompts = PromptLibrary(language, owner, cache, reader)
    async with asyncio.timeout(60):
        await prompts.prepare()
    return prompts


def known(prompts: PromptLibrary) -> set[Code]:
    return {code for code in Code if prompts.get(code) is not None}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_library_has_no_sounds_before_it_is_prepared() -> None:
    assert known(PromptLibrary("en", None, None, Reader())) == set()


async def test_each_code_has_its_sentence(caplog: pytest.LogCaptureFixture) -> None:
    prompts = await prepared(Reader(), language="de-AT")
    sentences = texts.read("de", None).sentences
    assert {code: prompts.get(code) for code in SPOKEN} == {
        code: tone(len(sentence)) for code, sentence in sentences.items()
    }
    assert warnings(caplog) == []


async def test_the_reader_gets_the_region_of_the_language(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader()
    await prepared(reader, language="en-GB")
    assert {language for _, language in reader.asked} == {"en-GB"}
    other = Reader()
    await prepared(other, language="sv-SE")
    assert {language for _, language in other.asked} == {"en"}
    assert len(warnings(caplog)) == 1


async def test_prompts_are_rendered_once(tmp_path: Path) -> None:
    first = await prepared(Reader(), cache=tmp_path)
    reader = Reader()
    second = await prepared(reader, cache=tmp_path)
    assert reader.asked == []
    assert [second.get(code) for code in SPOKEN] == [first.get(code) for code in SPOKEN]


async def test_another_version_renders_again_and_removes_the_old_renderings(tmp_path: Path) -> None:
    await prepared(Reader("1"), cache=tmp_path)
    reader = Reader("2")
    await prepared(reader, cache=tmp_path)
    assert len(reader.asked) == len(SPOKEN)
    assert len(list((tmp_path / "prompts").iterdir())) == len(SPOKEN)


async def test_only_a_broken_rendering_is_made_again(tmp_path: Path) -> None:
    first = await prepared(Reader(), cache=tmp_path)
    broken = min((tmp_path / "prompts").iterdir())
    broken.write_bytes(broken.read_bytes()[:-100])
    reader = Reader()
    second = await prepared(reader, cache=tmp_path)
    assert len(reader.asked) == 1
    assert [second.get(code) for code in SPOKEN] == [first.get(code) for code in SPOKEN]
    assert len((await prepared(third := Reader(), cache=tmp_path)).get(Code.WAY) or b"") > 0
    assert third.asked == []


async def test_without_a_reader_earlier_renderings_are_still_spoken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = await prepared(Reader(), cache=tmp_path)
    second = await prepared(Reader(version=None), cache=tmp_path)
    assert [second.get(code) for code in SPOKEN] == [first.get(code) for code in SPOKEN]
    assert warnings(caplog) == []


async def test_a_missing_reader_is_logged_with_its_remedy_and_leaves_no_prompts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    prompts = await prepared(Reader(version=None))
    assert known(prompts) == set()
    assert len(warnings(caplog)) == 1
    assert f"codes={','.join(SPOKEN)}: reader: is not installed; install it" in warnings(caplog)[0]


async def test_a_reader_that_fails_is_not_called_again_and_its_renderings_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Reader(good_for=3)
    assert len(known(await prepared(reader, cache=tmp_path))) == 3
    assert len(reader.asked) == 3
    assert "was not done within 10 s" in warnings(caplog)[0]
    again = Reader()
    assert known(await prepared(again, cache=tmp_path)) == set(SPOKEN)
    assert len(again.asked) == len(SPOKEN) - 3


async def test_a_new_version_that_fails_leaves_the_old_renderings(tmp_path: Path) -> None:
    await prepared(Reader("1"), cache=tmp_path)
    assert known(await prepared(Reader("2", good_for=3), cache=tmp_path)) == set(SPOKEN)
    assert known(await prepared(Reader(version=None), cache=tmp_path)) == set(SPOKEN)


async def test_a_read_only_cache_logs_one_warning_and_loses_no_prompt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "prompts").write_text("a file where the folder should be")
    assert known(await prepared(Reader(), cache=tmp_path)) == set(SPOKEN)
    assert len(warnings(caplog)) == 1
    assert "prompts not stored" in warnings(caplog)[0]


async def test_the_owners_recordings_take_precedence_over_all_texts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "W1.wav").write_bytes(wav(tone(7000)))
    (tmp_path / "de" / "W2.wav").write_bytes(wav(tone(7001)))
    (tmp_path / "de-AT").mkdir()
    (tmp_path / "de-AT" / "W2.wav").write_bytes(wav(tone(7002)))
    (tmp_path / "de.yaml").write_text("W1: Nie gehört.\nW3: Hallo.\n", encoding="utf-8")
    reader = Reader()
    prompts = await prepared(reader, language="de-AT", owner=tmp_path)
    assert prompts.get(Code.WAY) == tone(7000)
    assert prompts.get(Code.SERVICE) == tone(7002)
    assert prompts.get(Code.QUOTA) == tone(len("Hallo."))
    assert len(reader.asked) == len(SPOKEN) - 2
    assert warnings(caplog) == []


async def test_an_owner_who_recorded_all_needs_no_reader(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sv").mkdir()
    for code in SPOKEN:
        (tmp_path / "sv" / f"{code}.wav").write_bytes(wav(tone(100)))
    assert known(await prepared(Reader(version=None), language="sv-SE", owner=tmp_path)) == set(SPOKEN)
    assert warnings(caplog) == []


async def test_a_bad_recording_is_named_and_the_text_spoken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "W1.wav").write_bytes(b"ID3 an mp3")
    prompts = await prepared(Reader(), owner=tmp_path)
    assert prompts.get(Code.WAY) == tone(len(texts.read("en", None).sentences[Code.WAY]))
    assert len(warnings(caplog)) == 1
    assert f"file={tmp_path / 'en' / 'W1.wav'} cannot be read" in warnings(caplog)[0]
    assert "save it as 16-bit PCM WAV" in warnings(caplog)[0]


async def test_a_missing_folder_of_the_owner_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert known(await prepared(Reader(), owner=tmp_path / "none")) == set(SPOKEN)
    assert len(warnings(caplog)) == 1
    assert f"speaker.prompts_folder={tmp_path / 'none'}" in warnings(caplog)[0]


async def test_codes_without_a_sentence_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "sv.yaml").write_text("W1: Inget internet, kod W 1.\n", encoding="utf-8")
    assert known(await prepared(Reader(), language="sv", owner=tmp_path)) == {Code.WAY}
    assert f"codes={','.join(code for code in SPOKEN if code is not Code.WAY)}" in warnings(caplog)[0]


async def test_no_journal_line_holds_a_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await prepared(Reader(good_for=2), cache=tmp_path)
    for sentence in texts.read("en", None).sentences.values():
        assert sentence not in caplog.text


def test_the_cache_is_where_the_service_manager_says() -> None:
    both = {"CACHE_DIRECTORY": "/var/cache/kioskd:/var/cache/b", "STATE_DIRECTORY": "/var/lib/kioskd"}
    assert cache_directory(both) == Path("/var/cache/kioskd")
    assert cache_directory({"STATE_DIRECTORY": "/var/lib/kioskd"}) == Path("/var/lib/kioskd")
    assert cache_directory({}) is None


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng here")
@pytest.mark.parametrize("language", sorted(path.stem for path in texts.shipped().glob("*.yaml")))
async def test_espeak_reads_every_shipped_sentence_aloud(language: str, tmp_path: Path) -> None:
    prompts = PromptLibrary(language, None, tmp_path)
    await prompts.prepare()
    for code in SPOKEN:
        sound = prompts.get(code)
        assert sound is not None
        assert 1.5 < pcm.duration_s(len(sound), pcm.DOWNLINK_HZ) < 15.0


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng here")
async def test_the_installer_renders_the_prompts_for_the_daemon(tmp_path: Path) -> None:
    assert await render_all("fr", None, tmp_path)
    reader = Reader(version=None)
    assert known(await prepared(reader, language="fr", cache=tmp_path)) == set(SPOKEN)


def test_the_installers_command_names_missing_prompts(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kioskd.prompts", "fr", "--cache", str(tmp_path)],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(Path(texts.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert "espeak-ng: it is not installed; run `apt install espeak-ng`" in done.stderr


async def test_a_question_is_read_aloud_in_the_language_of_the_prompts() -> None:
    reader = Reader()
    sound = await PromptLibrary("de-AT", None, None, reader).question("open_door", "")
    ((text, language),) = reader.asked
    assert (text, language) == (texts.question("open_door", "", texts.read("de-AT", None)), "de-AT")
    assert sound == tone(len(text))


async def test_a_question_that_cannot_be_spoken_is_left_to_the_lamp(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert await PromptLibrary("en", None, None, Reader(good_for=0)).question("open_door", "") is None
    (line,) = caplog.messages
    assert line.startswith("question not spoken, only the lamp asks: tool=open_door: reader: was not done")


async def following(prompts: PromptLibrary, language: str, *, of: str, heard: str) -> bool:
    """Hear `heard`, and return the first prompt when the sentence of `language` is its sound."""
    wanted, first = (tone(len(texts.read(tag, None).sentences[Code.WAY])) for tag in (language, of))
    async with asyncio.timeout(60):
        task = asyncio.create_task(prompts.run())
        await until(lambda: prompts.get(Code.WAY) is not None)
        prompts.heard(heard)
        await until(lambda: prompts.get(Code.WAY) == wanted)
        prompts.forget()
        await until(lambda: prompts.get(Code.WAY) == first)
        task.cancel()
    return True


@pytest.mark.parametrize("heard", ["fr-FR", "fr", "fr-CA"])
async def test_prompts_follow_the_visitor_and_return_to_the_first_language(
    tmp_path: Path, heard: str
) -> None:
    reader = Reader()
    prompts = PromptLibrary("de-DE", None, tmp_path, reader, others=("fr-FR", "en-US"))
    assert await following(prompts, "fr", of="de", heard=heard)
    assert {language for _, language in reader.asked} <= {"de-DE", "fr-FR", "en-US"}


async def test_with_auto_prompts_follow_any_language_that_has_texts(tmp_path: Path) -> None:
    reader = Reader()
    prompts = PromptLibrary("en-US", None, tmp_path, reader, others=None)
    assert await following(prompts, "it", of="en", heard="it-IT")


async def test_a_language_is_rendered_once_and_then_comes_from_the_cache(tmp_path: Path) -> None:
    first, second = Reader(), Reader()
    for reader in (first, second):
        prompts = PromptLibrary("de-DE", None, tmp_path, reader, others=("fr-FR",))
        await following(prompts, "fr", of="de", heard="fr-FR")
    assert first.asked
    assert second.asked == []


async def test_prompts_stay_in_their_language_for_one_that_the_owner_does_not_list(tmp_path: Path) -> None:
    reader = Reader()
    prompts = PromptLibrary("de-DE", None, tmp_path, reader, others=("fr-FR",))
    prompts.heard("it-IT")
    async with asyncio.timeout(60):
        task = asyncio.create_task(prompts.run())
        await until(lambda: any(language == "fr-FR" for _, language in reader.asked))
        task.cancel()
    assert {language for _, language in reader.asked} == {"de-DE", "fr-FR"}
    assert prompts.get(Code.WAY) == tone(len(texts.read("de", None).sentences[Code.WAY]))


async def test_one_language_alone_ends_its_work_at_the_start() -> None:
    reader = Reader()
    prompts = PromptLibrary("de-DE", None, None, reader)
    async with asyncio.timeout(60):
        await prompts.run()
    assert {language for _, language in reader.asked} == {"de-DE"}
