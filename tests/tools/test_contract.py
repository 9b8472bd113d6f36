"""The results of tools, as the model gets them."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from kioskd.tools.contract import (
    CUT,
    NOTHING,
    Declaration,
    Guarded,
    ToolResult,
    failed,
    found,
    hide,
    read_answer,
    too_deep,
)
from kioskd.tools.guard import Guard
from kioskd.tools.kinds.python.tool import PythonTool
from kioskd.tools.toolbox import Toolbox


def test_a_result_always_carries_status_retryable_and_message() -> None:
    assert ToolResult("ok", "done").as_json(512) == {"status": "ok", "retryable": False, "message": "done"}
    assert failed("no", retryable=True, data=[1]).as_json(512) == {
        "status": "error",
        "retryable": True,
        "message": "no",
        "data": [1],
    }


@pytest.mark.parametrize("nothing", [None, "", "  \n", [], {}, {"items": []}, {"a": {"b": ""}, "c": None}])
def test_an_empty_answer_says_no_results(nothing: object) -> None:
    assert found(nothing) == ToolResult("no_results", NOTHING)


@pytest.mark.parametrize("something", [0, False, "x", {"count": 0}, [[1]]])
def test_an_answer_that_is_not_empty_is_ok(something: object) -> None:
    assert found(something) == ToolResult("ok", "done", something)


def test_data_that_is_too_long_is_cut_with_a_marker() -> None:
    told = ToolResult("ok", "done", {"text": "a" * 10_000}).as_json(1000)
    assert told["cut"] is True
    assert str(told["data"]).startswith('{"text":"aaa')
    assert str(told["data"]).endswith(CUT)
    assert 900 < len(json.dumps(told, separators=(",", ":"))) <= 1000


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=3000), st.integers(512, 2000))
def test_no_result_is_larger_than_its_limit(text: str, bound: int) -> None:
    told = ToolResult("ok", text, [text]).as_json(bound)
    assert len(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()) <= bound


@pytest.mark.parametrize(
    "raw", [b"{", b"nothing", b"NaN", b"[" * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500]
)
def test_invalid_or_deeply_nested_json_is_an_error(raw: bytes) -> None:
    assert read_answer(raw, "json").status == "error"


def test_an_answer_that_the_owner_ignores_is_not_read() -> None:
    assert read_answer(b"\xff{", "none") == ToolResult("ok", "done")


def test_bytes_that_are_not_text_become_replacement_characters() -> None:
    assert read_answer(b"caf\xe9", "text").data == "caf\N{REPLACEMENT CHARACTER}"


def test_a_byte_order_mark_is_removed_from_an_answer() -> None:
    assert read_answer(b'\xef\xbb\xbf{"pairs":3}', "json").data == {"pairs": 3}
    assert read_answer(b"\xef\xbb\xbf", "text").status == "no_results"


def test_depth_is_measured_without_recursion() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert too_deep(deep)
    assert not too_deep([[{"a": [1]}]])


def test_secrets_are_removed_from_names_and_values() -> None:
    data = {"a-s3cret": ["it is s3cret", 7], "b": {"c": "s3cret"}}
    assert hide(data, [SecretStr("s3cret")]) == {"a-(hidden)": ["it is (hidden)", 7], "b": {"c": "(hidden)"}}


@pytest.mark.parametrize("said", ["k/ey ä+", "k%2Fey%20%C3%A4%2B", "k%2Fey+%C3%A4%2B"])
def test_a_secret_is_also_removed_in_the_form_it_has_in_a_url(said: str) -> None:
    assert hide(f"http://shop/?key={said}&n=1", [SecretStr("k/ey ä+")]) == "http://shop/?key=(hidden)&n=1"


def test_neither_data_nor_picture_is_in_a_repr() -> None:
    assert "speech" not in repr(ToolResult("ok", "done", "speech", picture=b"speech"))


FLOODS = {
    "lists": b"[" + b"[]," * 340_000 + b"1]",
    "nested": b"[" + b'{"a":[{}]},' * 90_000 + b"1]",
    "numbers": b"[" + b"1," * 4_990 + b"1]",
    "names": b"{" + b",".join(b'"%d":"x"' % n for n in range(4_900)) + b"}",
    "a text": b'"' + b"x" * 262_000 + b'"',
    "escapes": b'"' + b"\\u0001" * 40_000 + b'"',
}


ANY = PythonTool(Declaration("any", "", {}), lambda _arguments: None)


@pytest.mark.parametrize("raw", FLOODS.values(), ids=FLOODS.keys())
def test_no_answer_blocks_the_loop(raw: bytes) -> None:
    tries_ms = []
    for _ in range(3):
        began = time.thread_time()
        result = Toolbox.bounded(read_answer(raw, "json"), Guarded(ANY, Guard(), [SecretStr("s3cret")]))
        result.as_json(8192)
        tries_ms.append((time.thread_time() - began) * 1000)
    assert min(tries_ms) < 50


def test_an_answer_of_too_many_values_is_an_error() -> None:
    assert read_answer(FLOODS["lists"], "json") == failed("its answer has more than 5000 values")
    flood = Toolbox.bounded(found([[1]] * 5_000), Guarded(ANY, Guard()))
    assert flood == failed("its answer has more than 5000 values")
