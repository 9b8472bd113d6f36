"""The voice of announcements: exactly the owner's words, and a voice that is always there."""

from pathlib import Path

import pytest
from tests.prompts.test_speech import wav

from kioskd.adapters.espeak import RenderingFailed
from kioskd.media import pcm
from kioskd.media.wav import UnfitWav
from kioskd.prompts.announcement_voice import LONGEST_S, AnnouncementVoice


class Reader:
    """A `TextReader` that gives a sound or fails."""

    def __init__(self, sound: bytes | None) -> None:
        self._sound = sound
        self.asked: list[tuple[str, str]] = []

    async def render(self, text: str, language: str) -> bytes:
        self.asked.append((text, language))
        if self._sound is None:
            raise RenderingFailed("the program failed")
        return self._sound


async def test_a_text_is_read_by_the_program_alone() -> None:
    program, espeak = Reader(wav()), Reader(wav())
    assert await AnnouncementVoice(program, espeak).read("We close\n soon.", "en-GB") == wav()[44:]
    assert program.asked == [("We close soon.", "en-GB")]
    assert espeak.asked == []


@pytest.mark.parametrize("sound", [None, b"RIFF no wave", wav(8_000, seconds=LONGEST_S + 1)])
async def test_espeak_speaks_for_a_program_that_fails_and_the_journal_says_so_once(
    sound: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    espeak = Reader(wav())
    assert await AnnouncementVoice(Reader(sound), espeak).read("Secret words.", "en") == wav()[44:]
    assert espeak.asked == [("Secret words.", "en")]
    assert caplog.text.count("voice program failed, espeak-ng speaks in its place") == 1
    assert "Secret" not in caplog.text


@pytest.mark.parametrize("text", ["", " \n", "a" * 501])
async def test_a_text_without_words_or_with_too_many_is_refused(text: str) -> None:
    espeak = Reader(wav())
    with pytest.raises(RenderingFailed, match="1 to 500 characters"):
        await AnnouncementVoice(espeak=espeak).read(text, "en")
    assert espeak.asked == []


async def test_a_recording_is_read_from_a_file_or_from_memory(tmp_path: Path) -> None:
    (tmp_path / "bell.wav").write_bytes(wav())
    voice = AnnouncementVoice(espeak=Reader(None))
    assert await voice.load(tmp_path / "bell.wav") == await voice.load(wav()) == wav()[44:]


async def test_a_recording_may_last_a_minute() -> None:
    sound = await AnnouncementVoice(espeak=Reader(None)).load(wav(8_000, seconds=LONGEST_S))
    assert pcm.duration_s(len(sound), pcm.DOWNLINK_HZ) == pytest.approx(LONGEST_S, abs=0.1)


@pytest.mark.parametrize(
    ("content", "why"), [(b"mp3", "cannot be read"), (wav(8_000, seconds=LONGEST_S + 1), "longer than 60 s")]
)
async def test_a_recording_that_does_not_fit_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(UnfitWav, match=why):
        await AnnouncementVoice(espeak=Reader(None)).load(content)


async def test_a_missing_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnfitWav, match="is not there"):
        await AnnouncementVoice(espeak=Reader(None)).load(tmp_path / "bell.wav")


async def test_espeak_itself_speaks_without_a_program() -> None:
    sound = await AnnouncementVoice().read("We close soon.", "en-GB")
    assert 0.5 < pcm.duration_s(len(sound), pcm.DOWNLINK_HZ) < 5.0
