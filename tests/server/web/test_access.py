"""Callers who may not do everything: banned, muted, or with too many requests; and callers over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.limits import Limits
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.hook_store import HookStore
from broadcast_tui.server.tls import ServerTls
from broadcast_tui.server.token_store import TokenStore
from broadcast_tui.server.web import hook_posts
from tests.server.web.test_api import UNLIMITED, Answer, Script, script_for, scripted_server
from tests.server.web.test_events import following
from tests.support.certificates import Authority
from tests.support.plain import WireClient, v1_client
from tests.support.roles import promote
from tests.support.running import running_server

STREAM = {"Accept": "text/event-stream"}


@dataclass
class Moderated:
    """A server, its admin, and a script with the token of ken."""

    server: BroadcastServer
    script: Script
    admin: WireClient
    ken: dict[str, str]

    async def act(self, action: str, who: str = "ken") -> None:
        person = {"who" if action in ("ban", "unban") else "name": who}
        await self.admin.send(action, **person, seconds=600, reason="flood", ref="1")
        await self.admin.next_of(type="moderated", ref="1")

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.script.get(path, headers={**self.ken, **headers})


@asynccontextmanager
async def moderated_server(home: Path) -> AsyncIterator[Moderated]:
    store = TokenStore(home / "tokens.json")
    ada, ken = [store.create(*entry, None)[0] for entry in (("ada", Role.ADMIN), ("ken", Role.MEMBER))]
    authenticator = TokenAuthenticator(TokenStore(home / "tokens.json"), needs_token=False)
    async with (
        running_server(authenticator=authenticator, limits=UNLIMITED) as server,
        script_for(server) as script,
        v1_client(server.url, token=ada) as admin,
    ):
        yield Moderated(server, script, admin, {"Authorization": f"Bearer {ken}"})


def check_refusal(answer: Answer, status: int, code: str, text: str) -> None:
    """A refusal says in one line why, and until when."""
    assert (answer.status, answer.json["code"]) == (status, code)
    assert text in answer.json["message"]
    assert "\n" not in answer.json["message"]
    assert answer.text.count("\n") == 1
    assert 590 < int(answer.headers["Retry-After"]) <= 600


async def test_a_banned_caller_gets_403_whatever_it_asks_for(tmp_path: Path) -> None:
    async with moderated_server(tmp_path) as moderated:
        await moderated.act("ban")
        answers = [
            await moderated.script.post("x", headers=moderated.ken),
            await moderated.get("/rooms/ops"),
            await moderated.get("/rooms/ops?q=x"),
            await moderated.get("/rooms/ops", **STREAM),
            await moderated.get("/rooms"),
            await moderated.script.post("x", headers={"X-Name": "Ken"}),
        ]
        for answer in answers:
            check_refusal(answer, 403, "banned", "banned for another 10 min: flood")
        assert (await moderated.script.get("/rooms/ops")).text == "", (
            "nothing was posted, and others may read"
        )
        await moderated.act("unban")
        assert (await moderated.script.post("x", headers=moderated.ken)).status == 201


async def test_a_banned_name_of_an_open_server_cannot_post() -> None:
    async with scripted_server() as (server, script), v1_client(server.url, "ana") as ana:
        promote(server, "ana")
        await ana.send("ban", who="ken", seconds=600, reason="flood", ref="1")
        await ana.next_of(type="moderated")
        check_refusal(await script.post("x", headers={"X-Name": "Ken"}), 403, "banned", "flood")
        assert (await script.post("x", headers={"X-Name": "eve"})).status == 201


async def test_a_stream_ends_when_its_reader_is_banned(tmp_path: Path) -> None:
    async with (
        moderated_server(tmp_path) as moderated,
        following(moderated.script, **moderated.ken) as reader,
    ):
        await reader.next_of("synced")
        await moderated.act("ban")
        closed = await reader.next_of("closed")
        assert closed.data["code"] == "forbidden"
        assert "flood" in closed.data["message"]
        assert await reader.next() is None


async def test_a_muted_caller_can_read_but_not_post(tmp_path: Path) -> None:
    async with (
        moderated_server(tmp_path) as moderated,
        following(moderated.script, **moderated.ken) as before,
    ):
        await before.next_of("synced")
        await moderated.act("mute")
        answer = await moderated.script.post("x", headers=moderated.ken)
        check_refusal(answer, 403, "muted", "muted for another 10 min: flood")
        async with following(moderated.script, **moderated.ken) as after:
            await after.next_of("synced")
            assert (await moderated.script.post("by others")).status == 201
            for reader in (before, after):
                assert (await reader.next_of("message")).data["message"] == "by others"
        assert (await moderated.get("/rooms/ops")).messages == ["by others"]
        assert (await moderated.get("/rooms")).status == 200


async def test_readings_above_their_rate_are_answered_with_the_time_to_wait() -> None:
    async with scripted_server(Limits(history_rate=0.1)) as (_, script):
        answers = [await script.get("/rooms/ops") for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 429]
        assert answers[1].json["code"] == "rate_limited"
        assert 1 <= int(answers[1].headers["Retry-After"]) <= 10
        assert (await script.post("x")).status == 201


async def test_the_rate_of_a_hook_is_answered_with_the_time_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_posts, "BURST", 1)
    monkeypatch.setattr(hook_posts, "RATE_PER_S", 0.1)
    path = tmp_path / "tokens.hooks.json"
    authenticator = TokenAuthenticator(
        TokenStore(tmp_path / "tokens.json"), needs_token=True, hooks=HookStore(path)
    )
    secret = HookStore(path).create("ci", "ops", None)[0]
    async with running_server(authenticator=authenticator) as server, script_for(server) as script:
        answers = [await script.ask("POST", f"/hooks/{secret}", json={"text": "x"}) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 429]
        assert 1 <= int(answers[1].headers["Retry-After"]) <= 10


async def test_everything_works_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", "localhost", "127.0.0.1")
    context = ssl.create_default_context(cafile=str(authority.ca))
    async with (
        running_server(tls=ServerTls(pair.cert, pair.key)) as server,
        aiohttp.ClientSession(
            f"https://localhost:{server.port}", connector=aiohttp.TCPConnector(ssl=context)
        ) as session,
        v1_client(f"wss://localhost:{server.port}", "ana", rooms=[{"room": "ops"}], tls=context) as ana,
    ):
        script = Script(session)
        async with following(script) as reader:
            await reader.next_of("synced")
            answer = await script.post("x" * 15_000, headers={"X-Name": "ci"})
            assert answer.status == 201
            assert (await ana.next_of(type="message"))["id"] == answer.json["id"]
            message = await reader.next_of("message")
            assert (message.id, message.data["message"]) == (answer.json["id"], "x" * 15_000)
            page = await script.get("/rooms/ops", headers={"Accept": "text/html"})
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert (await script.get("/")).status == 200
            stop: asyncio.Task[Any] = asyncio.create_task(server.stop_server())
            await reader.next_of("drain")
            assert await reader.next() is None
            await stop
