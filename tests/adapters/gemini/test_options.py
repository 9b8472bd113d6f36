"""The owner's options in the setup of a session."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.live_providers import (
    setup_of,
)
from tests.support.live_server import live_server
from tests.support.live_wire import Named, Wire, live_at, setup_with

from kioskd.adapters.gemini import SessionOptions


@pytest.mark.parametrize(
    ("settings", "look", "found"),
    [
        (
            {"assistant": {"temperature": 0.3}},
            lambda setup: setup["generationConfig"]["temperature"],
            0.3,
        ),
        (
            {"assistant": {"vocabulary": ("Huygens", "anchor escapement")}},
            lambda setup: setup["inputAudioTranscription"]["custom_vocabulary"],
            ["Huygens", "anchor escapement"],
        ),
        (
            {
                "service": {"model": "gemini-3.1-flash-live-preview"},
                "assistant": {"thinking": "medium"},
            },
            lambda setup: setup["generationConfig"]["thinkingConfig"],
            {"thinking_level": "MEDIUM"},
        ),
        (
            {"service": {"model": "gemini-3.8-live-extended-thinking"}},
            lambda setup: setup["generationConfig"]["thinkingConfig"],
            {"thinking_level": "LOW"},
        ),
        (
            {
                "conversation": {
                    "speech_start": "low",
                    "speech_end": "high",
                    "padding_ms": 120,
                    "silence_ms": 900,
                }
            },
            lambda setup: setup["realtimeInputConfig"]["automatic_activity_detection"],
            {
                "start_of_speech_sensitivity": "START_SENSITIVITY_LOW",
                "end_of_speech_sensitivity": "END_SENSITIVITY_HIGH",
                "prefix_padding_ms": 120,
                "silence_duration_ms": 900,
            },
        ),
        (
            {"conversation": {"padding_ms": 0}},
            lambda setup: setup["realtimeInputConfig"]["automatic_activity_detection"],
            {"prefix_padding_ms": 0},
        ),
        (
            {"conversation": {"interruptions": "ignored"}},
            lambda setup: setup["realtimeInputConfig"]["activity_handling"],
            "NO_INTERRUPTION",
        ),
        (
            {"conversation": {"interruptions": "allowed"}},
            lambda setup: setup["realtimeInputConfig"]["activity_handling"],
            "START_OF_ACTIVITY_INTERRUPTS",
        ),
        ({"conversation": {"search": True}}, lambda setup: setup["tools"], [{"googleSearch": {}}]),
        (
            {"conversation": {"compression_tokens": {"trigger": 25_000, "target": 8_000}}},
            lambda setup: setup["contextWindowCompression"],
            {"trigger_tokens": 25_000, "sliding_window": {"target_tokens": 8_000}},
        ),
        (
            {"conversation": {"compression_tokens": {"trigger": 25_000}}},
            lambda setup: setup["contextWindowCompression"],
            {"trigger_tokens": 25_000, "sliding_window": {}},
        ),
    ],
)
async def test_each_setting_reaches_the_service(
    settings: dict[str, Any], look: Callable[[dict[str, Any]], Any], found: Any
) -> None:
    setup, _ = await setup_of(settings)
    assert look(setup) == found


async def test_unset_options_are_not_sent() -> None:
    setup, _ = await setup_of({})
    assert not {"temperature", "thinkingConfig"} & set(setup["generationConfig"])
    assert set(setup["realtimeInputConfig"]) == {"turn_coverage"}
    assert "tools" not in setup
    assert setup["contextWindowCompression"] == {"sliding_window": {}}
    assert "custom_vocabulary" not in setup["inputAudioTranscription"]


async def test_where_the_kiosk_declares_turns_the_services_detector_is_disabled() -> None:
    options = SessionOptions(own_turns=True, speech_start="high", silence_ms=500)
    setup = await setup_with(options=options)
    assert setup["realtimeInputConfig"]["automatic_activity_detection"] == {"disabled": True}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (SessionOptions(), "TURN_INCLUDES_ONLY_ACTIVITY"),
        (SessionOptions(turn_coverage="activity"), "TURN_INCLUDES_ONLY_ACTIVITY"),
        (SessionOptions(turn_coverage="all_input"), "TURN_INCLUDES_ALL_INPUT"),
        (SessionOptions(turn_coverage="activity_and_pictures"), "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"),
        (SessionOptions(turn_coverage=None), None),
    ],
)
async def test_the_turn_coverage_is_sent(options: SessionOptions, said: str | None) -> None:
    assert (await setup_with(options=options)).get("realtimeInputConfig", {}).get("turn_coverage") == said


@pytest.mark.parametrize("closely", ["low", "medium", "high", None])
async def test_the_media_resolution_is_sent(closely: Any) -> None:
    setup = await setup_with(options=SessionOptions(media_resolution=closely))
    said = f"MEDIA_RESOLUTION_{closely.upper()}" if closely else None
    assert setup["generationConfig"].get("mediaResolution") == said


async def test_tools_are_read_for_each_connection_and_declared_beside_the_search() -> None:
    names = itertools.count()
    wire = Wire()
    async with live_server(wire.serve) as server, asyncio.timeout(60):
        live = live_at(
            server, options=SessionOptions(search=True), tools=lambda: [Named(f"tool_{next(names)}")]
        )
        await live.warm_up()
        for _ in range(2):
            async with live.connect(None):
                pass
    declared = [setup["tools"] for setup in wire.setups]
    assert declared == [
        [
            {"googleSearch": {}},
            {
                "functionDeclarations": [
                    {"name": f"tool_{n}", "description": "Does something.", "behavior": "NON_BLOCKING"}
                ]
            },
        ]
        for n in range(2)
    ]
