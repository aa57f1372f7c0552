"""Draws the pictures of docs/browser.md as PNG: the page in Chromium, connected to a real server.

python -m screenshots.make_browser      # with a font for emoji, such as fonts-noto-color-emoji
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from broadcast_tui import BroadcastServer
from tests.support.browser import running_browser

HERE = Path(__file__).parent
DESKTOP = (1280, 800)
PHONE = (390, 844)
TALK = [
    ("mira", "Morning! Deploying **1.5** to staging in five minutes."),
    ("ken", "Dashboards are open: https://grafana.example.org/d/api"),
    ("zoë", "Is the migration in it? The one that adds the index took 40 s on my copy of the data."),
    ("mira", "Yes, it runs first:\n```sql\ncreate index concurrently on posts (room, seq);\n```"),
    ("mira", "Started."),
    ("ken", "p99 up to 180 ms, error rate flat. See [the runbook](https://wiki.example.org/deploy)."),
    ("zoë", "/me watches the locks"),
]
ROOMS = ("ops", "lobby", "release")


class Person:
    """A program that says what the pictures show."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._count = 0

    @classmethod
    async def enter(cls, url: str, name: str) -> Person:
        socket = await websockets.connect(url, subprotocols=["broadcast-tui.v1"])  # type: ignore[list-item]
        person = cls(socket)
        rooms = [{"room": room} for room in ROOMS]
        hello = {"type": "hello", "name": name, "client_id": name, "rooms": rooms, "notes": True}
        await person.request("welcome", hello)
        return person

    async def request(self, answer: str, frame: dict[str, object]) -> dict[str, Any]:
        """Send a frame, and wait for the answer of this type."""
        await self._socket.send(json.dumps(frame))
        while (found := json.loads(await self._socket.recv()))["type"] != answer:
            assert found["type"] != "error", found
        return dict(found)

    async def post(self, text: str, room: str = "ops", **fields: object) -> str:
        """Post, and return the id."""
        self._count += 1
        frame = {"type": "message", "room": room, "message": text, "nonce": str(self._count), **fields}
        return str((await self.request("ack", frame))["id"])

    async def note(self, kind: str, re: str, **fields: object) -> None:
        """Change a post."""
        self._count += 1
        nonce = str(self._count)
        await self.request(
            "ack", {"type": "note", "room": "ops", "note": kind, "re": re, "nonce": nonce, **fields}
        )


async def talk(url: str) -> None:
    """Let people say what the pictures show."""
    people = {name: await Person.enter(url, name) for name in ("mira", "ken", "zoë")}
    mira, ken, zoe = people.values()
    topic = {"type": "topic", "room": "ops", "topic": "Deploys, incidents, on-call: ken", "ref": "t"}
    await mira.request("topic", topic)
    ids = [await people[name].post(text) for name, text in TALK]
    for person, key in ((ken, "👍"), (zoe, "👍"), (zoe, "🎉")):
        await person.note("react", ids[0], key=key)
    await ken.note("pin", ids[1])
    await zoe.post("No locks over 2 s. Thanks!", re=ids[3])
    await zoe.request("away", {"type": "away", "text": "lunch", "ref": "a"})
    await ken.post("@ana p99 is back at 95 ms")
    question = {"choices": ["yes", "no"], "until_s": 600, "to": ["ken", "zoë", "ana"]}
    await mira.post("Deploy to production at noon?", ask=question)
    await zoe.post("Notes for 1.5 are ready, ana", "release")
    await ken.post("Lunch at one?", "lobby")


async def main() -> None:
    server = BroadcastServer("127.0.0.1", 0)
    await server.start_server()
    async with running_browser() as browser:
        pages = []
        for name, size, dark in (("ana", DESKTOP, True), ("lea", PHONE, False)):
            page = await browser.open(f"http://127.0.0.1:{server.port}/rooms/ops", size, dark=dark)
            await page.until("document.querySelector('dialog[open] input:focus') !== null")
            await page.type(name)
            await page.press("Enter")
            await page.until("document.body.dataset.state === 'online'")
            for room in (*ROOMS[1:], "ops"):
                await page.run("document.getElementById('input').focus()")
                await page.type(f"/join {room}")
                await page.press("Enter")
                await page.until(f"location.pathname === '/rooms/{room}'")
            pages.append((page, HERE / f"browser-{'dark' if dark else 'phone'}.png"))
        await talk(f"ws://127.0.0.1:{server.port}")
        await pages[0][0].until("document.querySelectorAll('.post [role=group] button').length === 2")
        await pages[0][0].run("document.querySelector('.post [role=group] button').click()")
        for page, path in pages:
            await page.until("document.querySelector('.post [role=group] button')?.textContent === 'yes · 1'")
            await page.run("document.activeElement.blur()")
            await asyncio.sleep(1)
            await page.screenshot(path)
    await server.stop_server()


if __name__ == "__main__":
    asyncio.run(main())
