"""Draws the pictures of README.md as SVG: the real app, connected to a real server.

python screenshots/make.py [NAME…]      # the keys of PICTURES; all by default
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

# Draw all colors, whatever this terminal supports.
os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
os.environ.pop("NO_COLOR", None)

from textual.pilot import Pilot

from broadcast_tui import BroadcastClient, BroadcastServer
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.limits import Limits
from broadcast_tui.tui.app import ChatApp

HERE = Path(__file__).parent
TALK = [
    ("mira", "Morning! Deploying 1.4 to staging in five minutes."),
    ("ken", "👍 dashboards are open: https://grafana.example.org/d/api"),
    (
        "zoë",
        "Is the migration in it? The one that adds the index took 40 s on my copy of the data, so we may "
        "want to run it first and watch the locks.",
    ),
    ("mira", "Yes, it runs first."),
    ("mira", "Started."),
    ("ken", "p99 up to 180 ms, error rate flat"),
    ("李雷", "staging 看起来正常 ✅"),
    ("zoë", "No locks over 2 s.\nMigration done:\n  index built in 31 s"),
    ("ken", "p99 back at 95 ms"),
    ("mira", "@ana all yours: production whenever you like"),
]


def svg_of(app: ChatApp) -> str:
    """The screen as SVG, without fonts from the network."""
    svg = app.export_screenshot(title="broadcast-tui")
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def make_app(server: BroadcastServer, name: str, state: Path, theme: str = "") -> ChatApp:
    preferences = Preferences.load(state)
    preferences.name = name or "ana"
    preferences.theme = theme

    def client(chosen: str) -> BroadcastClient:
        return BroadcastClient(server.url, name=chosen, client_id=preferences.client_id)

    return ChatApp(client, name=name, server=server.url, preferences=preferences)


async def wait_for(pilot: Pilot[None], app: ChatApp, *texts: str) -> None:
    """Wait until the screen shows all `texts`."""
    for _ in range(400):
        await pilot.pause(0.05)
        drawn = re.sub("&#160;|&nbsp;", " ", app.export_screenshot())
        if all(text in drawn for text in texts):
            return
    raise SystemExit(f"the screen never showed {texts}")


async def post_all(server: BroadcastServer, talk: list[tuple[str, str]]) -> list[BroadcastClient]:
    """Connect a client for each name in `talk` and post the lines in order; returns the clients."""
    clients: dict[str, BroadcastClient] = {}
    for name, text in talk:
        if name not in clients:
            clients[name] = BroadcastClient(server.url, name=name)
            await clients[name].connect()
        await clients[name].post("lobby", text)
    return list(clients.values())


async def draw_room(size: tuple[int, int], theme: str, state: Path) -> str:
    async with BroadcastServer("localhost", 0) as server:
        app = make_app(server, "ana", state, theme)
        async with app.run_test(size=size) as pilot:
            await wait_for(pilot, app, "here")
            others = await post_all(server, TALK)
            await wait_for(pilot, app, "whenever")
            await pilot.press(*"On it, thanks everyone", "enter")
            await wait_for(pilot, app, "thanks")
            await pilot.press(*"/n")
            await pilot.pause(0.5)
            svg = svg_of(app)
        for other in others:
            await other.close()
    return svg


async def room(state: Path) -> str:
    return await draw_room((100, 30), "", state)


async def light(state: Path) -> str:
    return await draw_room((100, 30), "textual-light", state)


async def narrow(state: Path) -> str:
    return await draw_room((40, 20), "", state)


async def draw_conversation(size: tuple[int, int], theme: str, state: Path) -> str:
    """A reply, an edit, reactions, a deletion, a pin, an open question and a direct message."""
    async with BroadcastServer("localhost", 0) as server:
        app = make_app(server, "ana", state, theme)
        async with app.run_test(size=size) as pilot:
            await wait_for(pilot, app, "here")
            others = await post_all(server, TALK[:3])
            mira, ken, zoe = others
            runbook = await mira.post("lobby", "Runbook for 1.5: https://wiki.example.org/deploy")
            await mira.pin("lobby", runbook.post_id)
            first = await mira.post("lobby", "Yes, it runs first.")
            for client in (ken, zoe):
                await client.react("lobby", first.post_id, "👍")
            await mira.react("lobby", first.post_id, "✅")
            wrong = await ken.post("lobby", "SELECT * FROM invoices;")
            await ken.delete("lobby", wrong.post_id, "wrong room")
            reply = await zoe.reply("lobby", first.post_id, "Then I lock the tables")
            await zoe.edit("lobby", reply.post_id, "Then I lock the table.")
            question = await mira.ask("lobby", "Deploying 1.5 in 5 minutes", timeout_s=86_400)
            await ken.answer("lobby", question.post_id, "ok")
            direct = await ken.open_direct("ana")
            await ken.post(direct.room, "Lunch afterwards?")
            await wait_for(pilot, app, "@ken", "1/3", "Alt+R")
            await pilot.pause(2)
            svg = svg_of(app)
        for other in others:
            await other.close()
    return svg


async def conversation(state: Path) -> str:
    return await draw_conversation((100, 30), "", state)


async def conversation_light(state: Path) -> str:
    return await draw_conversation((100, 30), "textual-light", state)


async def conversation_narrow(state: Path) -> str:
    return await draw_conversation((40, 10), "", state)


async def dialog(state: Path) -> str:
    async with BroadcastServer("localhost", 0) as server:
        app = make_app(server, "", state)
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_for(pilot, app, "Enter Join")
            await pilot.press("ctrl+u", *"server")
            await pilot.pause(0.5)
            return svg_of(app)


async def reconnecting(state: Path) -> str:
    server = BroadcastServer("localhost", 0, limits=Limits())
    await server.start_server()
    app = make_app(server, "ana", state)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, app, "here")
        others = await post_all(server, TALK[:6])
        await wait_for(pilot, app, "error rate flat")
        for other in others:
            await other.close()
        await server.stop_server()
        await wait_for(pilot, app, "econnecting")
        await pilot.press(*"Written while the server was away", "enter")
        await wait_for(pilot, app, "away")
        return svg_of(app)


PICTURES: dict[str, Callable[[Path], Awaitable[str]]] = {
    "room": room,
    "conversation": conversation,
    "conversation-light": conversation_light,
    "conversation-narrow": conversation_narrow,
    "dialog": dialog,
    "reconnecting": reconnecting,
    "narrow": narrow,
    "light": light,
}


async def main(names: list[str]) -> None:
    for name in names or list(PICTURES):
        with tempfile.TemporaryDirectory() as state:
            svg = await PICTURES[name](Path(state))
        (HERE / f"{name}.svg").write_text(svg, "utf-8")
        print(f"screenshots/{name}.svg")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
