"""Direct messages over sockets, with a client of another library: nobody else sees anything of them."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import websocket

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.token_store import TokenStore
from tests.server.test_metrics import ask, listening
from tests.support.running import PATIENCE_S, in_time, running_server

Frame = dict[str, Any]

LIMITS = Limits(message_rate=0, message_burst=0, history_rate=0)
SECRETS = ("xylophone", "zeppelin", "quagmire", "flamingo")
"""Words of direct messages: a post, an edit, a topic, and a search."""


class Person:
    """A blocking v1 client; `frames` are all that it has received."""

    def __init__(self, url: str, name: str, tokens: dict[str, str]) -> None:
        self._socket = websocket.create_connection(url, timeout=PATIENCE_S, subprotocols=[SUBPROTOCOL])
        self.frames: list[Frame] = []
        hello = {"name": name, "client_id": f"id-{name}", "notes": True}
        self.send("hello", **hello, **({"token": tokens[name]} if tokens else {}))
        self.welcome = self.wait(type="welcome")

    def send(self, type: str, **fields: object) -> None:
        self._socket.send(json.dumps({"type": type, **fields}))

    def wait(self, **fields: object) -> Frame:
        """Read until a frame has these fields."""
        while True:
            frame: Frame = json.loads(self._socket.recv())
            self.frames.append(frame)
            if all(frame.get(key) == value for key, value in fields.items()):
                return frame

    def request(self, type: str, **fields: object) -> Frame:
        """Send a request and return its reply."""
        ref = f"r{len(self.frames)}"
        self.send(type, ref=ref, **fields)
        return self.wait(ref=ref)

    def post(self, room: str, message: str) -> Frame:
        self.send("message", room=room, message=message, nonce=message)
        return self.wait(type="ack", nonce=message)

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def talk(url: str, tokens: dict[str, str]) -> tuple[str, list[Frame]]:
    """Let ana and bob write to each other, and mia, an admin if there are tokens, try to see something."""
    with (
        Person(url, "ana", tokens) as ana,
        Person(url, "bob", tokens) as bob,
        Person(url, "mia", tokens) as mia,
    ):
        return talk_of(ana, bob, mia, is_admin=bool(tokens)), mia.frames


def talk_of(ana: Person, bob: Person, mia: Person, *, is_admin: bool) -> str:
    room = ana.request("direct", name="bob")["room"]
    ana.request("join", room=room)
    first = ana.post(room, "xylophone")
    assert bob.wait(type="direct")["room"] == room
    bob.request("join", room=room, last=10)
    assert bob.wait(type="message")["message"] == "xylophone"
    ana.send("note", note="edit", re=first["id"], room=room, message="zeppelin", nonce="e")
    assert bob.wait(type="note")["now"]["message"] == "zeppelin"
    ana.request("topic", room=room, topic="quagmire")
    assert bob.request("search", room=room, query="zeppelin")["items"][0]["id"] == first["id"]
    assert bob.request("search", room=room, query="flamingo")["items"] == []
    ana.send("typing", room=room)
    bob.wait(type="typing")
    ana.send("message", room=room, message=f'{{"room":"{room}', nonce="n")
    for name in (room, f"{room}x"):
        for type, fields in (
            ("join", {"last": 10}),
            ("history", {}),
            ("search", {"query": "zeppelin"}),
            ("presence", {}),
            ("topic", {"topic": "mine"}),
            ("leave", {}),
        ):
            assert mia.request(type, room=name, **fields)["type"] == "error"
    mia.request("list")
    mia.request("presence", room="lobby")
    if is_admin:
        mia.request("kick", name="bob")
        mia.request("bans")
    mia.post("lobby", "nothing to see")
    return str(room)


@pytest.mark.parametrize("has_tokens", [False, True])
async def test_nobody_else_sees_anything(
    has_tokens: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    book = TokenStore(tmp_path / "tokens.json")
    names = {"ana": Role.MEMBER, "bob": Role.MEMBER, "mia": Role.ADMIN} if has_tokens else {}
    tokens = {name: book.create(name, role, None)[0] for name, role in names.items()}
    authenticator = TokenAuthenticator(book, needs_token=True) if has_tokens else None
    engine = SqliteEngine(tmp_path / "history.db")
    async with (
        running_server(limits=LIMITS, engine=engine, authenticator=authenticator) as server,
        listening(server) as metrics,
    ):
        room, frames = await in_time(asyncio.to_thread(talk, server.url, tokens))
        seen = json.dumps(frames) + await ask(metrics)
    seen += caplog.text
    assert "nothing to see" in seen
    for secret in (*SECRETS, "@ana"):
        assert secret not in seen
    assert '"direct"' not in caplog.text
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"nothing to see" in stored
    if not has_tokens:
        assert room.startswith("@ana+bob~")
        for word in ("xylophone", "zeppelin", "quagmire", "@ana"):
            assert word.encode() not in stored


def write_once(url: str, tokens: dict[str, str]) -> Frame:
    """Write to bob, who is away; returns the reply to `direct`."""
    with Person(url, "ana", tokens) as ana:
        opened = ana.request("direct", name="BOB")
        ana.request("join", room=opened["room"])
        ana.post(opened["room"], "for later")
        return opened


def read_later(url: str, tokens: dict[str, str]) -> tuple[Frame, Frame]:
    """The welcome of bob, and the first post of his first direct messages."""
    with Person(url, "bob", tokens) as bob:
        bob.request("join", room=bob.welcome["directs"][0]["room"], last=10)
        return bob.welcome, bob.wait(type="message")


async def test_messages_of_token_holders_survive_a_restart(tmp_path: Path) -> None:
    book = TokenStore(tmp_path / "tokens.json")
    tokens = {name: book.create(name, Role.MEMBER, None)[0] for name in ("ana", "bob")}
    path = tmp_path / "history.db"
    authenticator = TokenAuthenticator(book, needs_token=True)
    async with running_server(engine=SqliteEngine(path), authenticator=authenticator) as server:
        opened = await in_time(asyncio.to_thread(write_once, server.url, tokens))
    assert (opened["room"], opened["with"], opened["durable"]) == ("@ana+bob", "bob", True)
    authenticator = TokenAuthenticator(book, needs_token=True)
    async with running_server(engine=SqliteEngine(path), authenticator=authenticator) as server:
        welcome, post = await in_time(asyncio.to_thread(read_later, server.url, tokens))
    assert [(info["room"], info["with"]) for info in welcome["directs"]] == [("@ana+bob", "ana")]
    assert (post["message"], post["sender"]) == ("for later", "ana")
