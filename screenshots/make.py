"""Draws the pictures of README.md as SVG: the real app, connected to a real server.

python screenshots/make.py [NAME…]      # the keys of PICTURES; all by default
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, tzinfo
from html import unescape
from pathlib import Path

# Draw all colors, whatever this terminal supports.
os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
os.environ.pop("NO_COLOR", None)
os.environ["TZ"] = "UTC"

from rich.cells import cell_len
from textual.pilot import Pilot

from broadcast_tui import BroadcastClient, BroadcastServer
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.limits import Limits
from broadcast_tui.tui.app import ChatApp

HERE = Path(__file__).parent
CODE = """Started. The client backs off now:
```python
def backoff(attempt: int) -> float:
    \"\"\"Full jitter, at most 30 s.\"\"\"
    return random() * min(30, 2 ** attempt)
```"""
TABLE = """| region | p50 | p99 | errors |
|---|--:|--:|--:|
| eu-west | 41 ms | 95 ms | 0.01 % |
| us-east | 38 ms | 88 ms | 0.00 % |"""
TALK = [
    ("ken", "Morning! **1.5.0** goes out at `10:30`, see the [runbook](https://wiki.example.org/deploy)"),
    (
        "zoë",
        "Is the migration in it? The one that adds the index took 40 s on my copy of the data, so we may "
        "want to run it first and watch the locks.",
    ),
    ("mira", "Yes, it runs first. Details in #deploys"),
    ("mira", CODE),
    ("ken", "```diff\n- retries: 3\n+ retries: 5\n```"),
    ("李雷", "staging 看起来正常 ✅"),
    ("Élodie", TABLE),
    ("zoë", "> watch the locks\nnone over 2 s, migration done in 31 s"),
    ("mira", "@ana all yours: production whenever you like, @ken watches the dashboards"),
]
STARTED = datetime(2026, 11, 27, 10, 2, 40)


class Clock(datetime):
    """The time in the pictures: it advances only between posts."""

    minutes = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Clock:
        return cls.fromtimestamp((STARTED + timedelta(minutes=Clock.minutes)).timestamp(), tz)

    @classmethod
    def use(cls) -> None:
        """Let the program use this clock."""
        time.tzset()
        for name, module in list(sys.modules.items()):
            if name.startswith("broadcast_tui") and vars(module).get("datetime") is datetime:
                vars(module)["datetime"] = cls


def svg_of(app: ChatApp) -> str:
    """The screen as SVG, without fonts from the network."""
    svg = app.export_screenshot(title="broadcast-tui")
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL).replace("&#160;", "\u00a0")
    svg = re.sub(r'textLength="([\d.]+)"([^>]*)>([^<]*)<', _fit_to_cells, svg)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def _fit_to_cells(found: re.Match[str]) -> str:
    """Give wide characters the width of two; Rich counts characters, and so draws them over each other."""
    text = unescape(found[3])
    if cell_len(text) <= len(text):
        return found[0]
    width = float(found[1]) * cell_len(text) / len(text)
    return f'textLength="{width:.1f}"{found[2]}>{found[3]}<'


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
        drawn = re.sub("&#160;|&nbsp;|\u00a0", " ", app.export_screenshot())
        if all(text in drawn for text in texts):
            return
    raise SystemExit(f"the screen never showed {texts}")


async def post_all(
    server: BroadcastServer, talk: list[tuple[str, str]], known: dict[str, BroadcastClient] | None = None
) -> list[BroadcastClient]:
    """Post lines in order, by a client for each name, of which some may be `known`; returns the clients."""
    clients = {} if known is None else known
    for name, text in talk:
        if name not in clients:
            clients[name] = BroadcastClient(server.url, name=name)
            await clients[name].connect()
        Clock.minutes += 1
        await clients[name].post("lobby", text)
    return list(clients.values())


async def post_elsewhere(server: BroadcastServer, posts: dict[str, list[str]]) -> BroadcastClient:
    """Post to other rooms."""
    client = BroadcastClient(server.url, name="ops-bot", rooms=posts)
    await client.connect()
    for name, texts in posts.items():
        for text in texts:
            await client.post(name, text)
    return client


ROOMS = ("deploys", "api", "data-platform", "oncall", "random")
NEWS = {
    "deploys": ["1.5.0 is on staging"] * 3,
    "api": ["ana, the new endpoint is documented"] + ["ok"] * 11,
    "oncall": ["Handover at noon"],
}


async def draw_room(size: tuple[int, int], theme: str, state: Path) -> str:
    is_wide = size[0] >= 100
    async with BroadcastServer("localhost", 0) as server:
        app = make_app(server, "ana", state, theme)
        async with app.run_test(size=size) as pilot:
            await wait_for(pilot, app, "Nobody else")
            if is_wide:
                for name in (*ROOMS, "lobby"):
                    await pilot.press(*f"/join {name}", "enter")
            others = await post_all(server, TALK)
            by_name = {other.name: other for other in others}
            first = await by_name["mira"].post("lobby", "I am around until noon.")
            for name, key in ("ken", "👍"), ("zoë", "👍"), ("李雷", "🎉"):
                await by_name[name].react("lobby", first.post_id, key)
            await wait_for(pilot, app, "until noon", "🎉")
            if is_wide:
                others.append(await post_elsewhere(server, NEWS))
                await wait_for(pilot, app, "@1")
            Clock.minutes += 1
            await pilot.press(*"On it, thanks everyone", "enter")
            await wait_for(pilot, app, "thanks")
            await pilot.pause(2)
            svg = svg_of(app)
        for other in others:
            await other.close()
    return svg


async def room(state: Path) -> str:
    return await draw_room((110, 32), "", state)


async def light(state: Path) -> str:
    return await draw_room((100, 30), "broadcast-light", state)


async def narrow(state: Path) -> str:
    return await draw_room((40, 20), "", state)


async def draw_conversation(size: tuple[int, int], theme: str, state: Path) -> str:
    """A reply, an edit, reactions, a deletion, a pin, an open question and a direct message."""
    async with BroadcastServer("localhost", 0) as server:
        app = make_app(server, "ana", state, theme)
        async with app.run_test(size=size) as pilot:
            await wait_for(pilot, app, "online")
            others = await post_all(server, TALK[:3])
            ken, zoe, mira = others
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
    return await draw_conversation((100, 30), "broadcast-light", state)


async def conversation_narrow(state: Path) -> str:
    return await draw_conversation((40, 10), "", state)


async def animated(state: Path) -> str:
    """A room fills: someone starts it, others join, and a message is answered."""
    frames: list[tuple[float, str]] = []
    async with BroadcastServer("localhost", 0) as server:
        app = make_app(server, "ana", state)
        async with app.run_test(size=(80, 24)) as pilot:

            async def shoot(seconds: float) -> None:
                await pilot.pause(0.3)
                frames.append((seconds, svg_of(app)))

            await wait_for(pilot, app, "broadcast-tui chat")
            await shoot(3)
            people: dict[str, BroadcastClient] = {}
            others = await post_all(server, TALK[:2], people)
            await wait_for(pilot, app, "Is the migration")
            await shoot(2.5)
            others = await post_all(server, TALK[2:4], people)
            await wait_for(pilot, app, "backoff")
            await shoot(2.5)
            others = await post_all(server, TALK[6:9:2], people)
            await wait_for(pilot, app, "dashboards")
            await shoot(3)
            await pilot.press(*"On it :tad")
            await pilot.pause(0.5)
            await shoot(1.5)
            await pilot.press("tab", "enter")
            await wait_for(pilot, app, "🎉")
            await shoot(3.5)
        for other in others:
            await other.close()
    return animation_of(frames)


def animation_of(frames: list[tuple[float, str]]) -> str:
    """One SVG that shows `frames`, pairs of seconds and SVG of one size, one after the other for ever."""
    total = sum(seconds for seconds, _ in frames)
    opening = re.match(r"<svg[^>]*>", frames[0][1])
    assert opening is not None
    styles, groups, begun = [], [], 0.0
    for number, (seconds, svg) in enumerate(frames):
        start, end = 100 * begun / total, 100 * (begun + seconds) / total
        before = f"0% {{ opacity: 0 }} {start:.2f}% {{ opacity: 0 }} " if start else ""
        after = f"{end:.2f}% {{ opacity: 0 }} 100% {{ opacity: 0 }}" if end < 100 else "100% { opacity: 1 }"
        styles.append(
            f"@keyframes f{number} {{ {before}{start + 0.01:.2f}% {{ opacity: 1 }} "
            f"{end - 0.01:.2f}% {{ opacity: 1 }} {after} }}\n"
            f".f{number} {{ animation: f{number} {total:g}s infinite step-end }}"
        )
        groups.append(f'<g class="f{number}">{svg[svg.index(">") + 1 : svg.rindex("</svg>")]}</g>')
        begun += seconds
    return "\n".join([opening[0], f"<style>{' '.join(styles)}</style>", *groups, "</svg>", ""])


async def dialog(state: Path) -> str:
    async with BroadcastServer("localhost", 0) as server:
        app = make_app(server, "", state)
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_for(pilot, app, "Join")
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
        await wait_for(pilot, app, "staging")
        for other in others:
            await other.close()
        await server.stop_server()
        await wait_for(pilot, app, "econnecting")
        await pilot.press(*"Written while the server was away", "enter")
        await wait_for(pilot, app, "away")
        return svg_of(app)


PICTURES: dict[str, Callable[[Path], Awaitable[str]]] = {
    "room": room,
    "animated": animated,
    "conversation": conversation,
    "conversation-light": conversation_light,
    "conversation-narrow": conversation_narrow,
    "dialog": dialog,
    "reconnecting": reconnecting,
    "narrow": narrow,
    "light": light,
}


async def main(names: list[str]) -> None:
    Clock.use()
    for name in names or list(PICTURES):
        with tempfile.TemporaryDirectory() as state:
            svg = await PICTURES[name](Path(state))
        (HERE / f"{name}.svg").write_text(svg, "utf-8")
        print(f"screenshots/{name}.svg")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
