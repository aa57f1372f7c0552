"""Rooms followed over HTTP as server-sent events."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from broadcast_tui.core.errors import CloseCode
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.protocol.codec import encode, frame
from broadcast_tui.core.protocol.events import Gap
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.token_store import TokenStore
from broadcast_tui.server.web import events
from tests.server.web.test_api import UNLIMITED, Script, script_for, scripted_server
from tests.support.plain import v1_client
from tests.support.raw_socket import RECEIVE_BUFFER_BYTES, RawSocket, raw_socket
from tests.support.running import PATIENCE_S, eventually, running_server


class StreamEvent(NamedTuple):
    """One event of a stream."""

    type: str
    id: str
    data: Any


class Reader:
    """The events of one stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments = 0

    async def next(self) -> StreamEvent | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            while True:
                line = (await self.response.content.readline()).decode()
                if not line:
                    return None
                name, _, value = line.rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                    self.comments += name == ":"
                elif "data" in fields:
                    return StreamEvent(fields["event"], fields.get("id", ""), json.loads(fields["data"]))
                else:
                    fields = {}

    async def next_of(self, kind: str) -> StreamEvent:
        """The next event of a type; those before it are skipped."""
        while (found := await self.next()) is not None:
            if found.type == kind:
                return found
        raise AssertionError(f"the stream ended before an event of type {kind}")


@asynccontextmanager
async def following(script: Script, path: str = "/rooms/ops", **headers: str) -> AsyncIterator[Reader]:
    headers = {"Accept": "text/event-stream", **headers}
    async with script.session.get(path, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield Reader(response)


async def test_events_have_the_ids_of_posts_and_notes() -> None:
    async with scripted_server() as (server, script):
        old = (await script.post("old")).json["id"]
        async with following(script, "/rooms/ops?last=1") as reader:
            message = await reader.next_of("message")
            assert (message.id, message.data["message"]) == (old, "old")
            assert (await reader.next_of("synced")).id == old
            new = (await script.post("new\nlines", headers={"X-Name": "ci"})).json["id"]
            message = await reader.next_of("message")
            assert (message.id, message.data["message"], message.data["sender"]) == (new, "new\nlines", "ci")
            async with v1_client(server.url, "ana", rooms=[{"room": "ops"}]) as ana:
                await ana.send("note", note="pin", re=new, room="ops", nonce="1")
                note = await reader.next_of("note")
                assert (note.id, note.data["re"]) == (note.data["id"], new)
            assert reader.comments >= 1


async def test_a_reader_that_returns_gets_what_it_has_missed() -> None:
    async with scripted_server() as (_, script):
        async with following(script) as reader:
            first = (await reader.next_of("synced")).id
        for number in range(3):
            await script.post(f"post {number}")
        headers = {"Last-Event-ID": first}
        async with following(script, "/rooms/ops?after=ignored", **headers) as reader:
            posts = [(await reader.next_of("message")).data["message"] for _ in range(3)]
            assert posts == ["post 0", "post 1", "post 2"]


async def test_gaps_are_events() -> None:
    async with scripted_server() as (_, script):
        await script.post("x")
        async with following(script, **{"Last-Event-ID": "zzzz-7"}) as reader:
            gap = await reader.next_of("gap")
            assert (gap.data["reason"], gap.id) == ("epoch", gap.data["to"])


def test_frames_are_converted_once_for_all_readers() -> None:
    gap = encode(Gap("ops", "k-1", "k-9", "lagged"))
    frames = frame(gap) + frame(b'{"type":"typing","room":"ops","name":"ana"}')
    assert events.convert(frames) == b"event: gap\nid: k-9\ndata: " + gap + b"\n\n"
    assert events.convert(frames) is events.convert(frames)


async def test_readers_are_not_present_and_take_no_name() -> None:
    async with scripted_server() as (server, script), following(script, **{"X-Name": "ana"}) as reader:
        await reader.next_of("synced")
        async with v1_client(server.url, "ana", rooms=[{"room": "ops"}]) as ana:
            await ana.send("presence", room="ops", ref="1")
            assert (await ana.next_of(type="presence"))["online"] == 1


async def test_streams_end_when_the_client_leaves_or_the_server_stops() -> None:
    async with scripted_server() as (server, script):
        async with following(script) as reader:
            await reader.next_of("synced")
            assert len(server._runner.hub.peers) == 1
        await eventually(lambda: not server._runner.hub.peers)
        async with following(script) as reader:
            await reader.next_of("synced")
            stop = asyncio.create_task(server.stop_server())
            await reader.next_of("drain")
            assert await reader.next() is None
            await stop


async def test_the_last_event_says_why_the_server_closes_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = TokenStore(path).create("ken", Role.MEMBER, None)[0]
    authenticator = TokenAuthenticator(TokenStore(path), needs_token=True)
    async with (
        running_server(authenticator=authenticator) as server,
        script_for(server) as script,
        following(script, Authorization=f"Bearer {token}") as reader,
    ):
        await reader.next_of("synced")
        assert TokenStore(path).revoke("ken")
        closed = await reader.next_of("closed")
        assert closed.data["code"] == "unauthorised"
        assert await reader.next() is None


async def test_heartbeats_are_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.01)
    async with scripted_server() as (_, script), following(script) as reader:
        await reader.next_of("synced")
        while reader.comments < 3:
            line = await reader.response.content.readline()
            reader.comments += line == b":\n"


async def test_http_1_0_gets_a_body_without_chunks() -> None:
    async with scripted_server() as (server, script), raw_socket(server.port) as socket:
        await socket.send(b"GET /rooms/ops HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")
        assert "chunked" not in (await socket.read_head()).lower()
        assert await socket.read(6) == b"retry:"
        await script.post("x")
        received = b""
        while b'"message":"x"' not in received:
            received += await socket.read(1)
        assert b"\nevent: message\nid: " in received


@asynccontextmanager
async def silent_reader(server: BroadcastServer) -> AsyncIterator[RawSocket]:
    """A reader with a small receive buffer that has read only the head of the response."""
    async with raw_socket(server.port, receive_buffer_bytes=RECEIVE_BUFFER_BYTES) as socket:
        await socket.send(b"GET /rooms/ops HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")
        await socket.read_head()
        yield socket


async def fill(server: BroadcastServer, peer: Peer) -> int:
    """Post until the write buffer of a reader is full; returns the number of posts."""
    number = 0
    async with v1_client(server.url, "ana", rooms=[{"room": "ops"}]) as ana:
        while not peer.blocked:
            number += 1
            await ana.say(f"post {number} " + "x" * 15_000, room="ops", nonce=str(number))
            await ana.next_of(type="ack", nonce=str(number))
    return number


async def test_a_reader_that_stops_reading_is_dropped() -> None:
    limits = Limits(message_rate=0, stall_timeout_s=0.2)
    async with running_server(limits=limits) as server, silent_reader(server):
        [stalled] = server._runner.hub.peers.values()
        await fill(server, stalled)
        await eventually(lambda: stalled not in server._runner.hub.peers.values())


async def test_a_slow_reader_gets_everything_in_order() -> None:
    limits = Limits(message_rate=0, ring_bytes=20_000_000)
    async with running_server(limits=limits) as server, silent_reader(server) as socket:
        [slow] = server._runner.hub.peers.values()
        count = await fill(server, slow)
        received = b""
        while f"post {count} ".encode() not in received:
            received += await socket.read(1_000)
        numbers = [int(number) for number in re.findall(rb'"post (\d+) ', received)]
        assert numbers == list(range(1, count + 1))


async def test_readers_are_closed_by_the_hub() -> None:
    async with scripted_server(UNLIMITED) as (server, script), following(script) as reader:
        await reader.next_of("synced")
        [peer] = server._runner.hub.peers.values()
        server._runner.hub.rejections.close_later(peer, CloseCode.KICKED, "Kicked by ana.")
        server._runner.wake()
        closed = await reader.next_of("closed")
        assert closed.data == {"code": "forbidden", "message": "Kicked by ana."}
