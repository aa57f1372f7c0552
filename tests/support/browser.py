"""A headless Chromium for tests, driven by its DevTools protocol.

Every page belongs to a browser context of its own, so it has its own storage, as a browser of another person.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE = (360, 640)
DESKTOP = (1280, 800)
TIMEOUT_S = 30.0
POLL_S = 0.05
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--remote-debugging-port=0",
)


def chromium() -> str:
    """Path of an installed Chromium; empty if there is none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), "")


class ScriptError(Exception):
    """A script in a page failed."""


class Browser:
    """A running Chromium."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, session: str = "", **params: object) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        frame: dict[str, object] = {"id": number, "method": method, "params": params}
        if session:
            frame["sessionId"] = session
        await self._socket.send(json.dumps(frame))
        async with asyncio.timeout(TIMEOUT_S):
            return await answer

    async def _read(self) -> None:
        with contextlib.suppress(Exception):
            async for data in self._socket:
                frame = json.loads(data)
                if "id" in frame:
                    answer = self._answers.pop(frame["id"])
                    if "error" in frame:
                        answer.set_exception(ScriptError(frame["error"]["message"]))
                    elif not answer.cancelled():
                        answer.set_result(frame["result"])
                elif (page := self._pages.get(frame.get("sessionId", ""))) is not None:
                    page.happened(frame["method"], frame["params"])

    async def close(self) -> None:
        """Stop reading; the process is stopped by `running_browser`."""
        self._reader.cancel()
        await self._socket.close()

    async def open(
        self, url: str, size: tuple[int, int] = DESKTOP, *, dark: bool = True, before: str = ""
    ) -> Page:
        """Open a page for a person of its own. The script `before` runs before those of the page."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.call("Target.createTarget", url="about:blank", browserContextId=context))[
            "targetId"
        ]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, session, context)
        for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
            await page.call(f"{domain}.enable")
        await page.look(size, dark=dark)
        await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        if before:
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        await page.go(url)
        return page


class Page:
    """A page. `requests` are the URLs that it has requested, `problems` what it logged as errors."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._context = context
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.weights: dict[str, int] = {}
        """Bytes that each request has transferred, with the head."""

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        return await self._browser.call(method, self._session, **params)

    def happened(self, method: str, params: dict[str, Any]) -> None:
        """Note an event of the page."""
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(params["url"])
            case "Network.loadingFinished":
                self.weights[params["requestId"]] = params["encodedDataLength"]
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.problems.append(details.get("exception", {}).get("description", details["text"]))
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Audits.issueAdded" if "contentSecurityPolicyIssueDetails" in params["issue"]["details"]:
                self.problems.append(f"CSP: {params['issue']['details']}")

    async def go(self, url: str) -> None:
        """Leave the page for another one."""
        await self.run("window.isLeft = true")
        await self.call("Page.navigate", url=url)
        await self.until("window.isLeft === undefined")

    async def look(self, size: tuple[int, int], *, dark: bool) -> None:
        """Change the size of the page, as of a phone if it is narrow, and its color scheme."""
        width, height = size
        is_phone = width < 600
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if is_phone else 1,
            mobile=is_phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def run(self, script: str) -> Any:
        """The value of an expression in the page; it may be a promise."""
        result = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise ScriptError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    async def until(self, condition: str, is_met: Callable[[Any], object] = bool) -> Any:
        """Wait until an expression has a value that meets a condition; returns the value."""
        value: object = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    with contextlib.suppress(ScriptError):  # the page may be loading
                        value = await self.run(condition)
                        if is_met(value):
                            return value
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            problems = "".join(f"\n{problem}" for problem in self.problems)
            raise AssertionError(f"{condition}: {value!r} after {TIMEOUT_S:g} s{problems}") from None

    async def click(self, selector: str) -> None:
        """Click the middle of the first element that matches, as a person would."""
        element = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"!!{element} && {element}.getBoundingClientRect().width > 0")
        await self.run(f"{element}.scrollIntoView({{block: 'nearest'}})")
        box = await self.run(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"({element}.getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1
            )

    async def type(self, text: str) -> None:
        """Enter text where the focus is."""
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, *, control: bool = False) -> None:
        """Press a key, such as `Enter`, `ArrowUp` or a letter."""
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowUp": 38, "ArrowDown": 40}
        typed = "\r" if key == "Enter" else key if len(key) == 1 and not control else ""
        text = {"text": typed} if typed else {}
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes.get(key) or ord(key.upper()),
                modifiers=2 if control else 0,
                **(text if kind == "keyDown" else {}),
            )

    async def screenshot(self, path: Path) -> None:
        """Save a picture of the page as PNG."""
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"]))

    async def close(self) -> None:
        await self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Start a Chromium with an empty profile."""
    with tempfile.TemporaryDirectory(prefix="broadcast-tui-chromium-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            chromium(),
            *_FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with connect(
                await _devtools_url(Path(profile)), max_size=None, ping_interval=None
            ) as socket:
                browser = Browser(socket)
                yield browser
                await browser.close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _devtools_url(profile: Path) -> str:
    """The address that Chromium has written into its profile once it listens."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            lines = file.read_text().split("\n") if file.exists() else []
            if len(lines) == 2 and lines[1]:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            await asyncio.sleep(POLL_S)
