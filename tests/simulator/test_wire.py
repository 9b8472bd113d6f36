"""Reading a client's messages."""

import json

import pytest

from kioskd.simulator.schema import Blob
from kioskd.simulator.wire import RefusalError, blob_bytes, mime_of, read, short_reason

CAMEL = {
    "setup": {
        "model": "models/gemini-3.8-live",
        "generationConfig": {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}},
        "realtimeInputConfig": {"automaticActivityDetection": {"silenceDurationMs": 300}},
        "contextWindowCompression": {"triggerTokens": "25000", "slidingWindow": {"targetTokens": 8000}},
        "inputAudioTranscription": {},
        "labels": {"someKey": "v"},
    }
}
SNAKE = {
    "setup": {
        "model": "models/gemini-3.8-live",
        "generation_config": {
            "speech_config": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}}
        },
        "realtime_input_config": {"automatic_activity_detection": {"silence_duration_ms": 300}},
        "context_window_compression": {"trigger_tokens": "25000", "sliding_window": {"target_tokens": 8000}},
        "input_audio_transcription": {},
        "labels": {"someKey": "v"},
    }
}


def test_both_casings_mean_the_same() -> None:
    assert read(json.dumps(CAMEL)) == read(json.dumps(SNAKE).encode())


def test_null_means_unset() -> None:
    message = read('{"setup": {"model": "m", "tools": null}, "clientContent": null}')
    assert message.setup is not None
    assert message.setup.tools is None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("hello", "Invalid JSON payload received. Unexpected token."),
        ("[]", "Invalid value at ''"),
        ("{}", "Request contains an invalid argument."),
        ('{"hello": 1}', 'Invalid JSON payload received. Unknown name "hello": Cannot find field.'),
        (
            '{"setup": {"model": "m", "voice": "Kore"}}',
            "Invalid JSON payload received. Unknown name \"voice\" at 'setup': Cannot find field.",
        ),
        (
            '{"setup": {"generationConfig": {"speechConfig": {"pitch": 1}}}}',
            "Unknown name \"pitch\" at 'setup.generation_config.speech_config'",
        ),
        (
            '{"setup": {"tools": [{}, {"functionDeclarations": [{"nam": "x"}]}]}}',
            "Unknown name \"nam\" at 'setup.tools[1].function_declarations[0]'",
        ),
        (
            '{"setup": {"generationConfig": {"mediaResolution": "HIGH"}}}',
            "Invalid value at 'setup.generation_config.media_resolution'",
        ),
        (
            '{"realtimeInput": {"audioStreamEnd": "yes"}}',
            "Invalid value at 'realtime_input.audio_stream_end'",
        ),
        ('{"realtimeInput": {}, "clientContent": {}}', "oneof field"),
        ('{"realtimeInput": {"audio": {"bytes": ""}}}', "Unknown name \"bytes\" at 'realtime_input.audio'"),
    ],
)
def test_unknown_content_is_refused_with_the_services_words(message: str, reason: str) -> None:
    with pytest.raises(RefusalError) as refused:
        read(message)
    assert refused.value.code == 1007
    assert reason in refused.value.reason


def test_a_refusal_does_not_repeat_the_visitors_words() -> None:
    with pytest.raises(RefusalError) as refused:
        read('{"realtimeInput": {"text": ["my secret"]}}')
    assert "secret" not in refused.value.reason


@pytest.mark.parametrize("data", ["_9j-", "/9j+"])
def test_both_base64_alphabets_are_read(data: str) -> None:
    assert blob_bytes(Blob(data=data), "x") == b"\xff\xd8\xfe"


@pytest.mark.parametrize("data", ["_9g=", "_9g"])
def test_padding_may_be_left_out(data: str) -> None:
    assert blob_bytes(Blob(data=data), "x") == b"\xff\xd8"


@pytest.mark.parametrize("data", ["?", "", None, "a"])
def test_broken_base64_is_refused(data: str | None) -> None:
    with pytest.raises(RefusalError):
        blob_bytes(Blob(data=data), "x")


def test_a_mime_type_is_split_into_kind_and_parameters() -> None:
    assert mime_of(Blob(mime_type="Audio/PCM; rate=24000"), "x") == ("audio/pcm", {"rate": "24000"})


def test_a_close_reason_fits_its_frame_even_in_other_alphabets() -> None:
    assert len(short_reason("ä" * 200).encode()) == 122
