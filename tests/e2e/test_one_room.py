"""A browser, a phone-sized browser, a terminal and curl in one room; the server is killed and restarted."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil

import pytest

from tests.e2e.conftest import IN_BROWSER, Open, ServerProcess, unlimited_server
from tests.support.browser import PHONE, Browser, Page
from tests.support.browser_person import person, say
from tests.support.running import PATIENCE_S
from tests.support.terminal import Terminal

pytestmark = [
    *IN_BROWSER,
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: apt-get install curl"),
]
WORD = re.compile(r"\b(?:ana|bob|cleo|carl)-\d+\b")
"""What people write: their name, and a number."""
ROUNDS = 4
KILLED_BEFORE = 2
"""The round that is written while there is no server; the one before it may be on its way."""


server = pytest.fixture(unlimited_server)


class Curl:
    """Someone who has only curl: posts with keys, and follows the room by server-sent events."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/rooms/ops"
        self._events = b""
        self._reader: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def _run(self, *arguments: str) -> asyncio.subprocess.Process:
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.DEVNULL}
        return await asyncio.create_subprocess_exec("curl", "-sS", *arguments, self._url, **pipes)  # type: ignore[arg-type]

    async def post(self, text: str) -> asyncio.subprocess.Process:
        """Start to post; it is repeated until the server answers."""
        retry = ("--fail-with-body", "--retry", "30", "--retry-all-errors", "--retry-delay", "1")
        return await self._run(*retry, "-H", f"Idempotency-Key: {text}", "-H", "X-Name: carl", "-d", text)

    async def follow(self) -> None:
        """Follow the room, from the last event on if there was one."""
        last = re.findall(rb"(?m)^id: ?(\S+)", self._events)
        since = ("-H", f"Last-Event-ID: {last[-1].decode()}") if last else ()
        self._reader = await self._run("-N", "-H", "Accept: text/event-stream", *since)
        assert self._reader.stdout is not None
        self._events += await self._reader.stdout.readexactly(1)  # the answer has begun
        self._reading = asyncio.create_task(self._read(self._reader.stdout))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(65536):
            self._events += data

    async def ended(self) -> None:
        """Wait until the server has ended the events."""
        assert self._reader is not None
        assert self._reading is not None
        await self._reading
        await self._reader.wait()

    def seen(self) -> list[str]:
        lines = re.findall(r"(?m)^data: ?(.*)$", self._events.decode("utf-8", "ignore"))
        return WORD.findall(
            "\n".join(json.loads(line).get("message", "") for line in lines if line.endswith("}"))
        )

    async def close(self) -> None:
        if self._reader is not None and self._reader.returncode is None:
            self._reader.terminate()
            await self.ended()


async def shown_in(page: Page) -> list[str]:
    """What a page shows, also that which is not sent."""
    return WORD.findall(
        await page.run("Array.from(document.querySelectorAll('#rows .text'), e => e.textContent).join('\\n')")
    )


def shown_on(terminal: Terminal) -> list[str]:
    terminal.read()
    return WORD.findall("\n".join(terminal.lines))


async def test_all_see_the_same_and_nothing_is_lost_or_doubled(
    browser: Browser, server: ServerProcess, open_terminal: Open
) -> None:
    carl = Curl(server.port)
    await carl.follow()
    cleo = open_terminal("chat", f"{server.url}/ops", "--name", "cleo", columns=100, rows=60)
    async with (
        person(browser, server.port, "ana", "/rooms/ops") as ana,
        person(browser, server.port, "bob", "/rooms/ops", PHONE) as bob,
    ):
        cleo.wait_for("3 here")
        posting = []
        for number in range(ROUNDS):
            if number == KILLED_BEFORE:
                server.kill()
                await carl.ended()
                for page in (ana, bob):
                    await page.until("document.body.dataset.state === 'waiting'")
                cleo.wait_for("Connection lost")
            posting.append(await carl.post(f"carl-{number}"))
            await say(ana, f"ana-{number}")
            cleo.enter(f"cleo-{number}")
            await say(bob, f"bob-{number}")
            if number == KILLED_BEFORE:
                server.start()
                await carl.follow()
                cleo.enter("/reconnect")  # now, not after the next delay
                for page in (ana, bob):
                    await page.run("window.dispatchEvent(new Event('online'))")
        names = ("ana", "bob", "cleo", "carl")
        written = {f"{name}-{number}" for name, number in itertools.product(names, range(ROUNDS))}

        async with asyncio.timeout(2 * PATIENCE_S):
            for process in posting:
                await process.communicate()
                assert process.returncode == 0
            while len(carl.seen()) < len(written):
                await asyncio.sleep(0.05)
            for page in (ana, bob):
                await page.until("document.querySelectorAll('.post.pending').length === 0")
                while len(await shown_in(page)) < len(written):
                    await asyncio.sleep(0.05)
        cleo.wait_until(
            lambda: len(shown_on(cleo)) >= len(written) and "queued" not in cleo.text, "everything"
        )
        order = carl.seen()
        assert sorted(order) == sorted(written)  # each once
        for name in names:
            own = [word for word in order if word.startswith(name)]
            # One curl does not wait for another; everyone else's posts keep their order.
            assert name == "carl" or own == sorted(own)
        assert await shown_in(ana) == order
        assert await shown_in(bob) == order
        assert shown_on(cleo) == order
        stored = await carl._run()
        assert WORD.findall((await stored.communicate())[0].decode().replace('"sender":"', "")) == order
    await carl.close()
