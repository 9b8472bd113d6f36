"""A tool that comes with an installed package."""

import asyncio
import functools
import gc
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support import packages
from tests.support.fakes_devices import ManualClock
from tests.support.until import until

from kioskd.errors import ConfigError
from kioskd.tools.contract import Declaration, Guarded, ToolResult
from kioskd.tools.guard import Guard
from kioskd.tools.kinds.python.kind import function
from kioskd.tools.kinds.python.tool import MOST_THREADS, PythonTool
from kioskd.tools.toolbox import Toolbox

DECLARED = Declaration("twice", "", {"type": "object"})


async def no(_name: str, _words: str) -> bool:
    return False


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package with entry points on the path, as pip would install it."""
    (tmp_path / "shop_tools.py").write_text(
        "def twice(arguments): return arguments['n'] * 2\nnot_callable = 7\n", encoding="utf-8"
    )
    (tmp_path / "shop_broken.py").write_text("raise ZeroDivisionError\n", encoding="utf-8")
    info = tmp_path / "shop_tools-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: shop-tools\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(
        "[kioskd.tools]\ntwice = shop_tools:twice\nseven = shop_tools:not_callable\nbroken = shop_broken:x\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("shop_tools", "shop_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("package")
async def test_an_entry_point_is_called_with_the_arguments() -> None:
    assert await PythonTool(DECLARED, function("twice")).call("twice", {"n": 21}) == ToolResult(
        "ok", "done", 42
    )


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("entry", "words"), [("none", "no installed"), ("seven", "not a function"), ("broken", "Zero")]
)
def test_an_unusable_entry_point_is_a_fault_of_the_settings(entry: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        function(entry)


async def test_the_shipped_package_has_its_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages.install(packages.TOOLS, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tram_times", raising=False)
    tool = PythonTool(DECLARED, function("next_trams"))
    trams = (await tool.call("next_trams", {"line": "6"})).data
    assert isinstance(trams, list)
    assert [tram[-2:] in {"11", "41"} for tram in trams] == [True] * 3
    assert (await tool.call("next_trams", {"line": "7"})).status == "no_results"


async def test_an_async_function_is_cancelled_with_its_call() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def forever(_arguments: Mapping[str, object]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(PythonTool(DECLARED, forever).call("twice", {}))
        await begun.wait()
        call.cancel()
    assert cancelled.is_set()


async def test_an_object_with_an_async_call_is_awaited() -> None:
    class Twice:
        async def __call__(self, arguments: Mapping[str, object]) -> object:
            return arguments

    assert (await PythonTool(DECLARED, Twice()).call("twice", {"a": 1})).data == {"a": 1}


def plainly(wrapped: Callable[[Mapping[str, object]], Any]) -> Callable[[Mapping[str, object]], Any]:
    """Return `wrapped` within a plain function, as many decorators do."""

    @functools.wraps(wrapped)
    def wrapper(arguments: Mapping[str, object]) -> Any:
        return wrapped(arguments)

    return wrapper


async def test_an_async_function_behind_a_plain_decorator_is_awaited() -> None:
    @plainly
    async def twice(arguments: Mapping[str, object]) -> object:
        return dict(arguments)

    @plainly
    async def leave(_arguments: Mapping[str, object]) -> None:
        raise SystemExit(3)

    assert (await PythonTool(DECLARED, twice).call("twice", {"a": 1})).data == {"a": 1}
    with pytest.raises(RuntimeError, match="SystemExit"):
        await PythonTool(DECLARED, leave).call("twice", {})


async def test_the_coroutine_of_a_cancelled_call_is_not_awaited() -> None:
    gate = threading.Event()

    async def never(_arguments: Mapping[str, object]) -> None:
        raise AssertionError

    def late(arguments: Mapping[str, object]) -> Coroutine[Any, Any, None]:
        gate.wait(20)
        return never(arguments)

    tool = PythonTool(DECLARED, late)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(tool.call("twice", {}))
        await until(lambda: tool.threads == 1)
        call.cancel()
    gate.set()
    await until(lambda: tool.threads == 0)
    gc.collect()  # Python would warn here of a coroutine that was never awaited


async def test_a_plain_function_does_not_block_the_loop_and_hanging_calls_are_counted() -> None:
    gate = threading.Event()
    tool = PythonTool(DECLARED, lambda _arguments: gate.wait(20))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        calls = [group.create_task(tool.call("twice", {})) for _ in range(MOST_THREADS)]
        await until(lambda: tool.threads == MOST_THREADS)
        calls[0].cancel()
        assert (await tool.call("twice", {})).status == "busy"
        gate.set()
    assert [call.result().data for call in calls[1:]] == [True] * (MOST_THREADS - 1)
    await until(lambda: tool.threads == 0)


@pytest.mark.parametrize("error", [ValueError("x"), StopIteration(), SystemExit(3), KeyboardInterrupt()])
async def test_whatever_a_plain_function_raises_stays_an_ordinary_exception(error: BaseException) -> None:
    def fail(_arguments: Mapping[str, object]) -> None:
        raise error

    with pytest.raises((ValueError, RuntimeError)):
        await PythonTool(DECLARED, fail).call("twice", {})


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), BaseExceptionGroup("several", [SystemExit(3)])]
)
async def test_an_async_function_cannot_end_the_process(error: BaseException) -> None:
    async def leave(_arguments: Mapping[str, object]) -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await PythonTool(DECLARED, leave).call("twice", {})


async def test_an_async_function_whose_own_helper_was_cancelled_is_answered() -> None:
    async def leaks(_arguments: Mapping[str, object]) -> None:
        helper = asyncio.get_running_loop().create_future()
        helper.cancel()
        await helper

    tools = [Guarded(PythonTool(DECLARED, leaks), Guard())]
    box = Toolbox(tools, clock=ManualClock(), confirm=no)
    assert (await box.call("twice", {}, turn=1, conversation=1)).status == "error"


async def test_a_function_can_return_a_tool_result() -> None:
    result = ToolResult("busy", "later", retryable=True)
    assert await PythonTool(DECLARED, lambda _arguments: result).call("twice", {}) is result
