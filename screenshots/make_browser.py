"""Draws the pictures of docs/browser.md as PNG: the page in Chromium, connected to a real server.

python -m screenshots.make_browser
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import websockets

from broadcast_tui import BroadcastServer
from tests.support.browser import DESKTOP, PHONE, running_browser

HERE = Path(__file__).parent
TALK = [
    ("mira", "Morning! Deploying **1.5** to staging in five minutes."),
    ("ken", "Dashboards are open: https://grafana.example.org/d/api"),
    ("zoë", "Is the migration in it? The one that adds the index took 40 s on my copy of the data."),
    ("mira", "Yes, it runs first:\n```sql\ncreate index concurrently on posts (room, seq);\n```"),
    ("ken", "p99 up to 180 ms, error rate flat. See [the runbook](https://wiki.example.org/deploy)."),
]


async def talk(url: str) -> None:
    """Let people say what the pictures show."""
    sockets = {}
    for name in ("mira", "ken", "zoë"):
        socket = sockets[name] = await websockets.connect(url, subprotocols=["broadcast-tui.v1"])  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "hello", "name": name, "rooms": [{"room": "ops"}]}))
    for number, (name, text) in enumerate(TALK):
        await sockets[name].send(
            json.dumps({"type": "message", "room": "ops", "message": text, "nonce": str(number)})
        )
        await asyncio.sleep(0.1)
    question = {"choices": ["yes", "no"], "until_s": 600, "to": ["ken", "zoë", "ana"]}
    frame = {
        "type": "message",
        "room": "ops",
        "message": "Deploy to production at noon?",
        "nonce": "q",
        "ask": question,
    }
    await sockets["mira"].send(json.dumps(frame))
    topic = {"type": "topic", "room": "ops", "topic": "Deploys, incidents, on-call: ken"}
    await sockets["mira"].send(json.dumps(topic))
    await asyncio.sleep(1)


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
            pages.append((page, HERE / f"browser-{'dark' if dark else 'phone'}.png"))
        await talk(f"ws://127.0.0.1:{server.port}")
        await pages[0][0].run("[...document.querySelectorAll('.chips button')][0].click()")
        for page, path in pages:
            await page.until("document.querySelector('.chips button')?.textContent === 'yes · 1'")
            await asyncio.sleep(1)
            await page.screenshot(path)
    await server.stop_server()


if __name__ == "__main__":
    asyncio.run(main())
