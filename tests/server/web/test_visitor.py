"""Visitors of the hub: connections of HTTP requests, with the rules of WebSocket clients."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from broadcast_tui.core.errors import CloseCode, ErrorCode, RequestError
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import NewEntry
from broadcast_tui.core.post import AppendResult
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import text_frames
from broadcast_tui.core.protocol.handshake import WEB_CLIENT_PREFIX
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.web.visitor import BUFFER_BYTES, Visitor, VisitorClosedError, Visitors
from tests.support.plain import v1_client
from tests.support.running import eventually, in_time, running_server

ADDRESS = "192.0.2.7:5000"
ROOM = commands.RoomRequest("ops")


def visitors_of(server: BroadcastServer) -> Visitors:
    return Visitors(server._runner)


async def publish(
    visitors: Visitors, text: str, *, name: str = "", nonce: str = "", address: str = ADDRESS
) -> events.Ack:
    """Post to the room as one request does."""
    async with visitors.open(address) as visitor:
        await visitor.enter(ROOM, name=name)
        return await in_time(visitor.publish(commands.Say(text, room="ops", nonce=nonce)))


async def test_posts_reach_members_and_are_stored_before_the_reply() -> None:
    async with running_server() as server, v1_client(server.url, "ana", rooms=[{"room": "ops"}]) as ana:
        ack = await publish(visitors_of(server), "Deploy done", name="ci")
        post = await ana.next_of(type="message")
        assert (post["id"], post["sender"], post["message"]) == (ack.id, "ci", "Deploy done")
        async with visitors_of(server).open(ADDRESS) as visitor:
            await visitor.enter(ROOM)
            page = await in_time(visitor.request(commands.FetchHistory("ops", latest=True)))
        assert isinstance(page, events.History)
        assert [item.id for item in page.items] == [ack.id]


async def test_visitors_are_not_present_and_free_their_name_at_once() -> None:
    async with running_server() as server, v1_client(server.url, "ana", rooms=[{"room": "ops"}]) as ana:
        await publish(visitors_of(server), "one", name="ben")
        async with v1_client(server.url, "ben", rooms=[{"room": "ops"}]):
            line = await ana.next_of(type="system")
            assert (line["event"], line["name"], line["online"]) == ("join", "ben", 2)
            with pytest.raises(RequestError) as caught:
                await publish(visitors_of(server), "two", name="ben")
            assert caught.value.code is ErrorCode.NAME_TAKEN
        assert len(server._runner.hub.peers) <= 2


@pytest.mark.parametrize("name", ["ci", ""])
async def test_repeated_nonces_are_stored_once_per_address_and_name(name: str) -> None:
    async with running_server() as server:
        visitors = visitors_of(server)
        first = await publish(visitors, "one", name=name, nonce="d15")
        again = await publish(visitors, "one", name=name, nonce="d15", address="192.0.2.7:6000")
        other = await publish(visitors, "one", name="other", nonce="d15")
        assert (again.id, again.dup, first.dup, other.dup) == (first.id, True, False, False)


async def test_client_ids_of_visitors_are_refused_from_websockets() -> None:
    async with running_server() as server, v1_client(server.url, "ana", hello=False) as ana:
        await ana.send("hello", name="ana", client_id=f"{WEB_CLIENT_PREFIX}1")
        assert (await ana.next_of(type="error"))["code"] == "bad_frame"


async def test_rejections_are_raised_with_the_code_of_the_protocol() -> None:
    async with running_server() as server:
        async with visitors_of(server).open(ADDRESS) as visitor:
            with pytest.raises(RequestError) as caught:
                await visitor.enter(commands.RoomRequest("no room"))
            assert caught.value.code is ErrorCode.BAD_ROOM
        async with visitors_of(server).open(ADDRESS) as visitor:
            with pytest.raises(RequestError) as caught:
                await visitor.enter(commands.RoomRequest("@abc"))
            assert caught.value.code is ErrorCode.BAD_ROOM
        with pytest.raises(RequestError) as caught:
            await publish(visitors_of(server), "\x00")
        assert caught.value.code is ErrorCode.EMPTY
        assert not server._runner.hub.peers


async def test_rate_limits_are_shared_by_the_requests_of_a_token_or_address() -> None:
    async with running_server(limits=Limits(message_rate=0.001, message_burst=2)) as server:
        visitors = visitors_of(server)
        for number in range(2):
            await publish(visitors, str(number), name=f"n{number}")
        with pytest.raises(RequestError) as caught:
            await publish(visitors, "3", name="n3")
        assert caught.value.code is ErrorCode.RATE_LIMITED
        assert caught.value.retry_after
        await publish(visitors, "elsewhere", address="192.0.2.8:1")
        identity = Identity("t1", "ken", Role.MEMBER)
        async with visitors.open(ADDRESS, identity=identity) as visitor:
            await visitor.enter(ROOM)
            await visitor.publish(commands.Say("by token", room="ops"))
        server.set_limits(Limits(), server._admission.limits)
        await publish(visitors, "after a change of the limits")


async def test_slow_readers_get_their_posts_later() -> None:
    async with running_server(limits=Limits(message_rate=0)) as server:
        visitors = visitors_of(server)
        async with visitors.open(ADDRESS) as reader, visitors.open("192.0.2.9:1") as writer:
            await reader.enter(ROOM)
            await writer.enter(ROOM)
            size, count = 8_000, 2 * BUFFER_BYTES // 8_000
            for _ in range(count):
                await writer.publish(commands.Say("x" * size, room="ops"))
            assert reader.peer.blocked
            posts = 0
            while posts < count:
                event = await in_time(reader.next_event())
                posts += isinstance(event, events.Message)
            assert not reader.peer.blocked


async def test_the_hub_closes_visitors() -> None:
    async with running_server() as server, visitors_of(server).open(ADDRESS) as visitor:
        await visitor.enter(ROOM, name="ken")
        server._runner.hub.rejections.close_later(visitor.peer, CloseCode.KICKED, "Kicked by ana.")
        server._runner.wake()
        with pytest.raises(VisitorClosedError) as caught:
            await in_time(read_all(visitor))
        assert (caught.value.code, caught.value.text) == (ErrorCode.FORBIDDEN, "Kicked by ana.")


async def read_all(visitor: Visitor) -> None:
    """Read until the hub closes the visitor."""
    while True:
        await visitor.next_event()


class _StuckEngine(MemoryEngine):
    """An engine that never returns from `append`, but stores what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.proceed = asyncio.Event()

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        await self.proceed.wait()
        return await super().append(entries)


async def test_posts_of_canceled_requests_leave_no_visitor() -> None:
    engine = _StuckEngine()
    async with running_server(engine=engine) as server:
        task = asyncio.create_task(publish(visitors_of(server), "one", nonce="d15"))
        await eventually(lambda: bool(server._runner._appends))
        task.cancel()
        await asyncio.wait([task])
        assert not server._runner.hub.peers
        engine.proceed.set()
        assert (await publish(visitors_of(server), "one", nonce="d15")).dup


async def test_streams_deliver_what_was_missed_and_then_what_is_new() -> None:
    async with running_server() as server:
        visitors = visitors_of(server)
        first = await publish(visitors, "one")
        await publish(visitors, "two")
        async with visitors.open(ADDRESS) as reader:
            state = await reader.enter(commands.RoomRequest("ops", since=first.id))
            assert (state.recovered, state.missed) == (True, 1)
            await publish(visitors, "three")
            data = b""
            while data.count(b'"message":"') < 2:
                data += await in_time(reader.read())
            assert b'"synced"' in b"".join(text_frames(data)[0])
