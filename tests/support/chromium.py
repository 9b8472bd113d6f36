"""A headless Chromium with its DevTools protocol, and axe-core, which checks pages for accessibility."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
AXE: Final = "axe-core@4.14.1"
START_S: Final = 30.0
ANSWER_S: Final = 20.0


def axe_source() -> str:
    """Return axe-core's script. npm fetches it once into the user's cache; without npm the test skips."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kioskd-tests" / AXE
    script = cache / "axe.min.js"
    if not script.exists():
        if (npm := shutil.which("npm")) is None:
            pytest.skip("axe-core needs npm, which is not installed")
        cache.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            [npm, "pack", AXE], cwd=cache, capture_output=True, text=True, timeout=60, check=False
        )
        if packed.returncode:
            pytest.skip("npm could not fetch axe-core")
        with tarfile.open(next(cache.glob("*.tgz"))) as archive:
            source = archive.extractfile("package/axe.min.js")
            assert source is not None
            script.write_bytes(source.read())
    return script.read_text(encoding="utf-8")


class Tab:
    """One page of the browser."""

    def __init__(self, browser: ClientConnection, session: str) -> None:
        self._browser = browser
        self._session = session
        self._numbers = itertools.count(1000)
        self.complaints: list[str] = []
        """Errors that the page has caused, such as violations of its policy."""

    async def call(self, method: str, **parameters: object) -> Any:
        """Call a method of the protocol, and return its result."""
        number = next(self._numbers)
        await self._browser.send(
            json.dumps({"id": number, "sessionId": self._session, "method": method, "params": parameters})
        )
        async with asyncio.timeout(ANSWER_S):
            while True:
                message = json.loads(await self._browser.recv())
                if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                    self.complaints.append(json.dumps(message["params"]))
                if message.get("id") == number:
                    assert "error" not in message, message["error"]
                    return message["result"]

    async def evaluate(self, script: str) -> Any:
        """Return the value of an expression, also of a promise."""
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until an expression is true."""
        found = await self.evaluate(
            f"new Promise((resolve) => {{ const look = () => ({script}) ? resolve(true) "
            ": setTimeout(look, 20); look(); setTimeout(() => resolve(false), 15000); })"
        )
        assert found, f"never true: {script}"

    async def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        await self.call("Page.navigate", url=url)
        await self.until(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    async def look(
        self, width: int, height: int, *, scheme: str = "light", motion: str = "no-preference"
    ) -> None:
        """Use a screen of this size, and these wishes of a visitor."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def memory(self) -> int:
        """Return the bytes that the page's objects use, without garbage."""
        await self.call("HeapProfiler.collectGarbage")
        return int((await self.call("Runtime.getHeapUsage"))["usedSize"])

    async def picture(self) -> bytes:
        """Return a PNG of the page."""
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])

    async def violations(self, source: str) -> list[Mapping[str, Any]]:
        """Return the violations that axe-core finds by WCAG 2.2 A and AA, and by best practices."""
        await self.evaluate(source + "; true")
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = await self.evaluate(
            f"axe.run(document, {{runOnly: {json.dumps(tags)}}}).then((found) => JSON.stringify("
            "found.violations.map((one) => ({id: one.id, help: one.help, "
            "nodes: one.nodes.map((node) => node.html)}))))"
        )
        return list(json.loads(found))


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Tab]:
    """Run a browser with its data in `folder`, and yield an empty page of it. Skips without Chromium."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
        "--no-first-run", f"--user-data-dir={folder}", "--disable-dev-shm-usage", "about:blank",
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        address = ""
        async with asyncio.timeout(START_S):
            while "DevTools listening on " not in address:
                address = (await process.stderr.readline()).decode()
                assert address, "chromium has ended"
        async with connect(
            address.strip().rpartition(" ")[2], max_size=None, compression=None, proxy=None
        ) as browser:
            await browser.send(
                json.dumps({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}})
            )
            target = (await _result(browser, 1))["targetId"]
            attach = {"targetId": target, "flatten": True}
            await browser.send(json.dumps({"id": 2, "method": "Target.attachToTarget", "params": attach}))
            tab = Tab(browser, (await _result(browser, 2))["sessionId"])
            for domain in ("Page", "Runtime", "Log"):
                await tab.call(f"{domain}.enable")
            yield tab
    finally:
        process.terminate()
        await process.wait()


async def _result(browser: ClientConnection, number: int) -> Any:
    async with asyncio.timeout(ANSWER_S):
        while True:
            message = json.loads(await browser.recv())
            if message.get("id") == number:
                return message["result"]
