"""Translation of the service's messages, as the SDK parses them, into the daemon's types."""

import base64
from typing import Any

import pytest
from google.genai.types import (
    FunctionCall,
    LiveServerContent,
    LiveServerMessage,
    LiveServerSessionResumptionUpdate,
    LiveServerToolCall,
    Transcription,
)
from pydantic import SecretStr

from kioskd import ports
from kioskd.adapters.gemini.messages import GO_AWAY_S, translate, turns_of
from kioskd.ports import (
    GenerationEnded,
    GoAway,
    Interrupted,
    ReplyAudio,
    ReplyText,
    ResumptionUpdate,
    SpokenText,
    ToolCall,
    ToolCallsCancelled,
    ToolsCalled,
    TurnComplete,
    UsageReported,
)


def told(**fields: Any) -> tuple[ports.Message, ...]:
    return translate(LiveServerMessage.model_validate(fields))


def audio(data: bytes, mime_type: str | None = "audio/pcm;rate=24000") -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(data).decode()}}


def test_every_part_of_a_reply_becomes_an_event_in_order() -> None:
    parts = [
        audio(b"\x01\x00"),
        {"text": "not spoken"},
        audio(b"\x02\x00", "audio/pcm"),
        audio(b"\x03\x00", None),
    ]
    assert told(serverContent={"modelTurn": {"parts": parts}}) == (
        ReplyAudio(b"\x01\x00"),
        ReplyAudio(b"\x02\x00"),
        ReplyAudio(b"\x03\x00"),
    )


def test_audio_that_shares_a_message_with_an_interruption_is_dropped() -> None:
    content = {"modelTurn": {"parts": [audio(b"\x01\x00")]}, "interrupted": True, "turnComplete": True}
    assert told(serverContent=content) == (Interrupted(), TurnComplete())


def test_all_fields_of_one_message_become_events_in_the_documented_order() -> None:
    found = told(
        usageMetadata={"promptTokenCount": 7, "responseTokenCount": 3, "thoughtsTokenCount": 2},
        goAway={"timeLeft": "9.5s"},
        sessionResumptionUpdate={"newHandle": "h", "resumable": True},
        serverContent={
            "turnComplete": True,
            "generationComplete": True,
            "modelTurn": {"parts": [audio(b"\x01\x00")]},
        },
    )
    assert found == (
        ReplyAudio(b"\x01\x00"),
        GenerationEnded(),
        TurnComplete(),
        ResumptionUpdate(SecretStr("h")),
        GoAway(9.5),
        UsageReported(prompt_tokens=7, response_tokens=5),
    )


@pytest.mark.parametrize(
    "update",
    [
        {"resumable": False, "newHandle": ""},
        {"resumable": False, "newHandle": "h"},
        {"resumable": True, "newHandle": ""},
        {"resumable": True},
        {"newHandle": "h"},
    ],
)
def test_only_a_resumable_handle_becomes_an_event(update: dict[str, Any]) -> None:
    assert told(sessionResumptionUpdate=update) == ()


@pytest.mark.parametrize(
    ("notice", "left_s"),
    [
        ({"timeLeft": "50s"}, 50.0),
        ({"timeLeft": "0s"}, 0.0),
        ({"timeLeft": "0.250s"}, 0.25),
        ({"timeLeft": "-3s"}, 0.0),
        ({}, GO_AWAY_S),
        ({"timeLeft": "soon"}, GO_AWAY_S),
        ({"timeLeft": "nan"}, GO_AWAY_S),
        ({"timeLeft": "infs"}, 3600.0),
    ],
)
def test_a_go_away_holds_the_seconds_that_are_left(notice: dict[str, Any], left_s: float) -> None:
    assert told(goAway=notice) == (GoAway(left_s),)


def test_all_billed_token_counts_are_added_up() -> None:
    usage = {
        "promptTokenCount": 7,
        "toolUsePromptTokenCount": 10,
        "responseTokenCount": 3,
        "thoughtsTokenCount": 2,
    }
    assert told(usageMetadata=usage) == (UsageReported(prompt_tokens=17, response_tokens=5),)


def test_usage_without_counts_counts_as_zero() -> None:
    assert told(usageMetadata={}) == (UsageReported(prompt_tokens=0, response_tokens=0),)


@pytest.mark.parametrize(
    "mime_type", ["audio/pcm;rate=16000", "audio/ogg", "image/jpeg", "audio/pcm;rate=240000"]
)
def test_sound_in_another_format_is_rejected(mime_type: str) -> None:
    with pytest.raises(ValueError, match=mime_type):
        told(serverContent={"modelTurn": {"parts": [audio(b"\x01\x00", mime_type)]}})


@pytest.mark.parametrize("mime_type", ["audio/pcm; rate=24000", "audio/pcm ;rate=24000"])
def test_blanks_in_the_format_do_not_matter(mime_type: str) -> None:
    content = {"modelTurn": {"parts": [audio(b"\x01\x00", mime_type)]}}
    assert told(serverContent=content) == (ReplyAudio(b"\x01\x00"),)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"setupComplete": {}},
        {"serverContent": {}},
        {"serverContent": {"modelTurn": {}}},
        {"serverContent": {"modelTurn": {"parts": [{}, {"inlineData": {}}]}}},
        {"serverContent": {"inputTranscription": {"text": ""}, "outputTranscription": {}}},
        {"serverContent": {"interimInputTranscription": {"text": "hel"}}},
        {"voiceActivity": {"voiceActivityType": "ACTIVITY_START"}},
        {"toolCall": {}},
        {"toolCall": {"functionCalls": []}},
        {"toolCallCancellation": {}},
    ],
)
def test_messages_that_the_daemon_does_not_use_become_no_event(fields: dict[str, Any]) -> None:
    assert told(**fields) == ()


def test_transcripts_come_before_the_rest() -> None:
    found = told(
        serverContent={
            "inputTranscription": {"text": "Where is the exit?"},
            "outputTranscription": {"text": "Left."},
            "modelTurn": {"parts": [audio(b"\x01\x00")]},
            "turnComplete": True,
        }
    )
    assert found == (
        SpokenText(by_visitor=True, text="Where is the exit?"),
        SpokenText(by_visitor=False, text="Left."),
        ReplyAudio(b"\x01\x00"),
        TurnComplete(),
    )
    assert "exit" not in repr(found)


def test_calls_of_one_message_become_one_event_after_the_transcripts() -> None:
    found = told(
        toolCall={
            "functionCalls": [
                {"id": "1", "name": "open_door", "args": {"which": ["left", 2]}},
                {"id": "2", "name": "look"},
            ]
        },
        serverContent={"modelTurn": {"parts": [audio(b"\x01\x00")]}},
    )
    assert found == (
        ReplyAudio(b"\x01\x00"),
        ToolsCalled((ToolCall("1", "open_door", {"which": ["left", 2]}), ToolCall("2", "look", {}))),
    )
    assert "left" not in repr(found)


def test_a_cancellation_comes_after_the_interruption() -> None:
    found = told(toolCallCancellation={"ids": ["1", "2"]}, serverContent={"interrupted": True})
    assert found == (Interrupted(), ToolCallsCancelled(("1", "2")))


@pytest.mark.parametrize("call", [{"name": "look"}, {"id": "1"}, {"id": "", "name": "look"}])
def test_a_call_that_cannot_be_answered_is_rejected(call: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="without id or name"):
        told(toolCall={"functionCalls": [call]})


def said(*pieces: str) -> list[SpokenText]:
    """Return spoken pieces; the prefix `v:` stands for the visitor, `k:` for the kiosk."""
    return [SpokenText(by_visitor=piece.startswith("v:"), text=piece[2:]) for piece in pieces]


@pytest.mark.parametrize(
    ("pieces", "turns"),
    [
        ((), []),
        (("v:Hi", "k:Hello", "v:Bye"), [("user", "Hi"), ("model", "Hello"), ("user", "Bye")]),
        (("v:Where ", "v:is it?"), [("user", "Where is it?")]),
        (("k:Welcome", "v:Hi"), [("user", "…"), ("model", "Welcome"), ("user", "Hi")]),
        (("v:Hi", "k:Hel", "k:lo"), [("user", "Hi"), ("model", "Hello"), ("user", "…")]),
        (("k:Welcome",), [("user", "…"), ("model", "Welcome"), ("user", "…")]),
        (("v:a", "k: ", "v:b"), [("user", "ab")]),
    ],
)
def test_the_turns_of_the_history_alternate_and_begin_and_end_with_the_visitor(
    pieces: tuple[str, ...], turns: list[tuple[str, str]]
) -> None:
    assert turns_of(said(*pieces)) == turns


# Impossible values


def test_half_characters_of_a_transcript_are_replaced() -> None:
    found = told(serverContent={"outputTranscription": {"text": "Hello "}})
    assert found == (SpokenText(False, "Hello "),)
    content = LiveServerContent.model_construct(
        output_transcription=Transcription.model_construct(text="a\ud83d")
    )
    assert translate(LiveServerMessage.model_construct(server_content=content)) == (
        SpokenText(False, "a\ufffd"),
    )


@pytest.mark.parametrize("figure", [-1, -(2**70), 2**63, 10**400, 2_000_001])
def test_a_usage_figure_that_no_exchange_can_have_cost_is_not_counted(figure: int) -> None:
    usage = {"promptTokenCount": figure, "responseTokenCount": 5, "toolUsePromptTokenCount": 2}
    assert told(usageMetadata=usage) == (UsageReported(2, 5),)


def test_arguments_of_a_call_hold_only_json_values() -> None:
    args = {"half\ud83d": ["\ude00", float("nan"), 10**400, 5, True, None]}
    call = FunctionCall.model_construct(id="1", name="n", args=args)
    called = LiveServerToolCall.model_construct(function_calls=[call])
    (found,) = translate(LiveServerMessage.model_construct(tool_call=called))
    assert isinstance(found, ToolsCalled)
    clean = ["\ufffd", "nan", "a number of more than 64 bits", 5, True, None]
    assert found.calls[0].arguments == {"half\ufffd": clean}


@pytest.mark.parametrize("handle", ["\ud83d", "x" * 9000, "\n"])
def test_a_handle_that_could_not_be_sent_back_is_ignored(handle: str) -> None:
    update = LiveServerSessionResumptionUpdate.model_construct(new_handle=handle, resumable=True)
    assert translate(LiveServerMessage.model_construct(session_resumption_update=update)) == ()


def test_a_written_reply_becomes_an_event_whose_repr_hides_it() -> None:
    parts = [{"text": "We open "}, {"text": "at ten."}, {"text": "secret thought", "thought": True}]
    found = told(serverContent={"modelTurn": {"parts": parts}, "turnComplete": True})
    assert found == (ReplyText("We open at ten."), TurnComplete())
    assert "ten" not in repr(found)


@pytest.mark.parametrize(
    ("reason", "rejected"),
    [
        ("RESPONSE_REJECTED", "RESPONSE_REJECTED"),
        ("GENERATED_AUDIO_SAFETY", "GENERATED_AUDIO_SAFETY"),
        ("NEED_MORE_INPUT", ""),
        ("TURN_COMPLETE_REASON_UNSPECIFIED", ""),
        (None, ""),
    ],
)
def test_a_turn_that_was_rejected_says_why(reason: str | None, rejected: str) -> None:
    assert told(serverContent={"turnComplete": True, "turnCompleteReason": reason}) == (
        TurnComplete(rejected),
    )


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("fr-FR", "fr-FR"),
        ("cmn-Hans-CN", "cmn-Hans-CN"),
        ("", ""),
        ("fr_FR", ""),
        ("a\nb", ""),
        ("x" * 99, ""),
    ],
)
def test_speech_has_the_language_that_the_service_names(code: str, language: str) -> None:
    heard = {"inputTranscription": {"text": "Bonjour", "languageCode": code}}
    message = LiveServerMessage.model_validate({"serverContent": heard})
    assert translate(message) == (SpokenText(by_visitor=True, text="Bonjour", language=language),)
