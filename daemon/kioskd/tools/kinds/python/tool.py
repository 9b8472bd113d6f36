"""A tool that comes with an installed package."""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from kioskd.tools.contract import Declaration, FixedTool, ToolResult, found

MOST_THREADS: Final = 4
"""Most calls of a plain function that are running or hang: a thread cannot be stopped."""

PythonFunction = Callable[[Mapping[str, object]], Any]


class PythonTool(FixedTool):
    """Calls a function.

    An async function is cancelled with its call; so is an awaitable that a plain function returns. A plain
    function cannot be cancelled, so its thread runs on. With `MOST_THREADS` of these the tool is busy until
    one returns.
    """

    def __init__(self, declaration: Declaration, function: PythonFunction) -> None:
        super().__init__(declaration)
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            # The object itself may have an async __call__.
            getattr(function, "__call__", None)  # noqa: B004
        )
        self.threads = 0
        """Calls of a plain function that are running or hang."""

    async def call(self, _name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Call the function; its errors are raised."""
        if self._is_async:
            answer = await self._awaited(self._function(arguments))
        elif self.threads >= MOST_THREADS:
            return ToolResult("busy", "its earlier calls have not returned yet", retryable=True)
        else:
            answer = await self._in_a_thread(arguments)
            if inspect.isawaitable(answer):  # an async function with a plain decorator
                answer = await self._awaited(answer)
        return answer if isinstance(answer, ToolResult) else found(answer)

    @staticmethod
    async def _awaited(answer: Awaitable[Any]) -> Any:
        try:
            return await answer
        except asyncio.CancelledError:
            raise  # the toolbox finds out whose it is
        except BaseException as err:  # noqa: BLE001 - even SystemExit must not end the daemon
            raise _carried(err) from None

    async def _in_a_thread(self, arguments: Mapping[str, object]) -> Any:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Any] = loop.create_future()

        def deliver(answer: Any, error: Exception | None) -> None:
            self.threads -= 1
            if outcome.cancelled():
                if inspect.iscoroutine(answer):
                    answer.close()
            elif error is None:
                outcome.set_result(answer)
            else:
                outcome.set_exception(error)

        def work() -> None:
            answer, error = None, None
            try:
                answer = self._function(arguments)
            except BaseException as err:  # noqa: BLE001 - raised again in the caller
                error = _carried(err)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(deliver, answer, error)

        self.threads += 1
        # The thread is a daemon thread, so that a hanging call cannot delay the end of the process.
        threading.Thread(target=work, name="tool", daemon=True).start()
        return await outcome


def _carried(err: BaseException) -> Exception:
    """Return `err`, or a RuntimeError in place of an error that would end the process or the future."""
    if isinstance(err, Exception) and not isinstance(err, StopIteration):
        return err
    return RuntimeError(type(err).__name__)
