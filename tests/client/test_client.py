"""`BroadcastClient` with a real server: posting, listening, leaving."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import broadcast_tui
from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.core.errors import BroadcastError, RequestError
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    HistoryFetched,
    NameChanged,
    NameDenied,
    Noticed,
    PostArrived,
    PostDelivered,
    PostRejected,
    PresenceChanged,
    RoomEntered,
    RoomLeft,
    Welcomed,
)
from tests.client.watching import online, started
from tests.support.plain import plain_client, v1_client
from tests.support.ports import unused_port
from tests.support.proxy import running_proxy
from tests.support.running import in_time, running_server


@asynccontextmanager
async def online_without_answers() -> AsyncIterator[BroadcastClient]:
    """A connected client whose connection passes nothing on any more, in either direction."""
    async with (
        running_server() as server,
        running_proxy(server.port) as proxy,
        online(proxy.port, "ana") as (client, _),
    ):
        proxy.flowing.clear()
        yield client


def test_package_exports_the_client() -> None:
    assert broadcast_tui.BroadcastClient is BroadcastClient


async def test_connect_returns_after_the_welcome() -> None:
    async with running_server() as server:
        client = BroadcastClient("127.0.0.1", server.port, name="ana")
        states = [client.state]
        await in_time(client.connect())
        states.append(client.state)
        assert client.name == "ana"
        await client.close()
        states.append(client.state)
        assert states == [ConnectionState.CLOSED, ConnectionState.ONLINE, ConnectionState.CLOSED]


async def test_updates_arrive_in_order() -> None:
    async with running_server() as server, started(server.port, "ana") as (_, watcher):
        await watcher.next_of(CaughtUp)
        kinds = [type(update) for update in watcher.seen]
        assert [kind.__name__ for kind in kinds] == [
            "ConnectionChanged", "ConnectionChanged", "Welcomed", "RoomEntered", "CaughtUp",
        ]  # fmt: skip
        [welcomed] = [update for update in watcher.seen if isinstance(update, Welcomed)]
        assert (welcomed.name, welcomed.rooms, welcomed.message_bytes) == ("ana", ("lobby",), 16_384)


async def test_own_post_is_acknowledged_and_received() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ben") as ben,
        online(server.port, "ana") as (
            client,
            watcher,
        ),
    ):
        delivered = await in_time(client.post("lobby", "Hello!"))
        assert isinstance(delivered, PostDelivered)
        arrived = await watcher.next_of(PostArrived)
        assert arrived.own
        assert arrived.live
        assert (str(arrived.post.position), arrived.post.nonce) == (delivered.post_id, delivered.nonce)
        assert (arrived.post.sender, arrived.post.text, arrived.post.at) == ("ana", "Hello!", delivered.at)
        assert (await ben.next_of(type="message"))["id"] == delivered.post_id


async def test_rejected_post_raises_the_reason() -> None:
    async with running_server() as server, online(server.port, "ana") as (client, watcher):
        with pytest.raises(RequestError, match="bytes"):
            await in_time(client.post("lobby", "x" * 20_000))
        refused = await watcher.next_of(PostRejected)
        assert (refused.code, len(refused.text)) == ("too_long", 20_000)
        await in_time(client.post("lobby", "shorter"))


async def test_posts_above_the_rate_limit_are_delivered_in_order() -> None:
    limits = Limits(message_rate=40.0, message_burst=4)
    async with running_server(limits=limits) as server, online(server.port, "ana") as (client, watcher):
        for number in range(20):
            client.say("lobby", str(number))
        await watcher.post("19")
        assert watcher.posts == [str(number) for number in range(20)]
        assert not any(isinstance(update, PostRejected | Noticed) for update in watcher.seen)


async def test_posting_to_an_unjoined_room_is_rejected() -> None:
    async with running_server() as server, online(server.port, "ana") as (client, _):
        with pytest.raises(BroadcastError):
            async with asyncio.timeout(5.0):
                await client.post("elsewhere", "is anybody there?")


async def test_listening_yields_all_posts_in_order() -> None:
    async with running_server() as server, plain_client(server.url) as ben:
        async with BroadcastClient("127.0.0.1", server.port, name="ana") as client:
            stream = aiter(client.listen_for_messages())
            await ben.say("from Ben", sender="Ben")
            first = await in_time(anext(stream))
            await client.post("lobby", "from ana")
            second = await in_time(anext(stream))
            assert [(post.sender, post.text) for post in (first, second)] == [
                ("Ben", "from Ben"),
                ("ana", "from ana"),
            ]
            assert first.position.seq + 1 == second.position.seq
        assert await in_time(anext(stream, None)) is None, "closing ends it"


async def test_new_client_gets_the_latest_posts_first() -> None:
    async with running_server(limits=Limits(message_rate=0)) as server, plain_client(server.url) as ben:
        for number in range(10):
            await ben.say(str(number), sender="Ben")
        await ben.next_of(message="9")
        async with started(server.port, "ana", last=3) as (_, watcher):
            entered = await watcher.next_of(RoomEntered)
            assert entered.missed == 3
            await watcher.next_of(CaughtUp)
            assert watcher.posts == ["7", "8", "9"]
            assert not any(update.live for update in watcher.seen if isinstance(update, PostArrived))


async def test_awaited_listening_prints_sanitized_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with running_server() as server, plain_client(server.url) as ben:
        async with BroadcastClient("127.0.0.1", server.port, name="ana") as client:

            async def listen() -> None:
                await client.listen_for_messages()

            printing = asyncio.create_task(listen())
            await ben.say("two\nlines [red]\x1b[31m", sender="Ben")
            await ben.say("the end")
            printed = ""
            async with asyncio.timeout(10.0):
                while "the end" not in printed:
                    await asyncio.sleep(0.01)
                    printed += capsys.readouterr().out
        await in_time(printing)
        assert "Ben: two\nlines [red]" in printed
        assert "\x1b" not in printed


async def test_sending_accepts_an_iterable_and_returns_ids() -> None:
    async with running_server() as server, plain_client(server.url) as ben:
        async with BroadcastClient("127.0.0.1", server.port, name="ana") as client:
            ids = await in_time(client.send_messages(["one", "", "  \n", "two\n"]))
        seen = [await ben.next_of(type="message") for _ in range(2)]
        assert [frame["message"] for frame in seen] == ["one", "two"]
        assert [frame["id"] for frame in seen] == ids


async def test_sending_accepts_an_async_iterable() -> None:
    async def texts() -> AsyncIterator[str]:
        for text in ("one", "two"):
            await asyncio.sleep(0)
            yield text

    async with running_server() as server, plain_client(server.url) as ben:
        async with BroadcastClient("127.0.0.1", server.port, name="ana") as client:
            assert len(await in_time(client.send_messages(texts()))) == 2
        assert [(await ben.next_of(type="message"))["message"] for _ in range(2)] == ["one", "two"]


async def test_sending_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("first line\n\nlast line"))
    async with running_server() as server, plain_client(server.url) as ben:
        async with BroadcastClient("127.0.0.1", server.port, name="ana") as client:
            assert len(await in_time(client.send_messages())) == 2
        assert [(await ben.next_of(type="message"))["message"] for _ in range(2)] == [
            "first line",
            "last line",
        ]


async def test_sending_stops_at_the_first_rejection() -> None:
    async with running_server() as server, plain_client(server.url) as ben:
        async with BroadcastClient("127.0.0.1", server.port, name="ana") as client:
            with pytest.raises(RequestError):
                await in_time(client.send_messages(["good", "x" * 20_000, "never sent"]))
            await client.post("lobby", "end")
        frames = await ben.until(message="end")
        assert [frame["message"] for frame in frames if frame["type"] == "message"] == ["good", "end"]


async def test_sending_to_another_room() -> None:
    async with running_server() as server, v1_client(server.url, "ben", rooms=[{"room": "dev"}]) as ben:
        async with BroadcastClient("127.0.0.1", server.port, name="ana", rooms=["lobby", "dev"]) as client:
            await in_time(client.send_messages(["hi"], room="dev"))
        assert (await ben.next_of(type="message"))["room"] == "dev"


async def test_rooms_can_be_joined_and_left_later() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ben", rooms=[{"room": "dev"}]) as ben,
        online(server.port, "ana") as (client, watcher),
    ):
        await ben.say("before", room="dev")
        await ben.next_of(type="message")
        client.join("dev")
        entered = await watcher.next_of(RoomEntered, lambda update: update.room == "dev")
        assert (entered.online, entered.missed) == (2, 1)
        assert (await watcher.post("before")).post.room == "dev"
        assert list(client.rooms) == ["lobby", "dev"]
        client.leave("dev")
        await watcher.next_of(RoomLeft)
        assert list(client.rooms) == ["lobby"]
        assert (await ben.next_of(event="leave"))["name"] == "ana"


async def test_rejoining_a_room_replays_missed_posts() -> None:
    async with (
        running_server() as server,
        online(server.port, "ana") as (ana, watcher),
        online(server.port, "bob", rooms=("dev",)) as (bob, _),
    ):
        ana.join("dev")
        await watcher.next_of(RoomEntered)
        await in_time(bob.post("dev", "before"))
        await watcher.next_of(PostArrived)
        ana.leave("dev")
        await watcher.next_of(RoomLeft)
        await in_time(bob.post("dev", "meanwhile"))
        ana.join("dev")
        assert (await watcher.next_of(RoomEntered)).missed == 1
        assert (await watcher.next_of(PostArrived)).post.text == "meanwhile"


async def test_away_status_is_received_and_listed() -> None:
    async with (
        running_server() as server,
        online(server.port, "ana") as (ana, watcher),
        online(server.port, "bob") as (bob, bobs),
    ):
        await watcher.next_of(PresenceChanged)
        ana.set_away(True, "lunch")
        assert await bobs.next_of(events.Away) == events.Away("ana", True, "lunch")
        assert await watcher.next_of(events.Away) == events.Away("ana", True, "lunch", "r1")
        bob.list_members("lobby")
        assert [member.away for member in (await bobs.next_of(events.Presence)).members] == ["lunch", None]
        ana.set_away(False)
        assert await bobs.next_of(events.Away) == events.Away("ana", False)


async def test_disconnect_and_reconnect_replays_missed_posts() -> None:
    async with running_server() as server, online(server.port, "ana") as (ana, watcher):
        ana.disconnect()
        await watcher.state(ConnectionState.CLOSED)
        ana.say("lobby", "kept")
        assert ana.unacknowledged == 1
        ana.reconnect_now()
        assert (await watcher.next_of(PostDelivered)).room == "lobby"
        ana.disconnect()
        ana.reconnect_now()
        await watcher.state(ConnectionState.WAITING)
        await watcher.state(ConnectionState.ONLINE)


async def test_rename_while_disconnected_applies_on_reconnect() -> None:
    async with running_server() as server, online(server.port, "ana") as (ana, watcher):
        ana.disconnect()
        await watcher.state(ConnectionState.CLOSED)
        ana.rename("ana2")
        # A loop that was woken would report CLOSED again.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        ana.reconnect_now()
        change = await watcher.next_of(ConnectionChanged)
        assert change.state is ConnectionState.CONNECTING
        assert (await watcher.next_of(Welcomed)).name == "ana2"


async def test_disconnecting_stops_reconnect_attempts() -> None:
    async with started(9, "ana") as (ana, watcher):
        await watcher.state(ConnectionState.WAITING)
        ana.disconnect()
        await watcher.state(ConnectionState.CLOSED)


async def test_failed_join_is_reported_with_its_ref() -> None:
    async with running_server() as server, online(server.port, "ana") as (client, watcher):
        ref = client.join("a b")
        noticed = await watcher.next_of(Noticed)
        assert (noticed.error, noticed.code, noticed.ref) == (True, "bad_room", ref)
        assert client.rooms == ("lobby",)


async def test_history_is_paged() -> None:
    async with running_server(limits=Limits(message_rate=0)) as server, plain_client(server.url) as ben:
        for number in range(10):
            await ben.say(str(number))
        await ben.next_of(message="9")
        async with online(server.port, "ana", last=2) as (client, watcher):
            oldest = await watcher.post("8")
            ref = client.fetch_history("lobby", before=str(oldest.post.position), limit=5)
            page = await watcher.next_of(HistoryFetched)
            assert (page.ref, page.room, page.more) == (ref, "lobby", True)
            assert [post.text for post in page.posts] == ["3", "4", "5", "6", "7"]
            client.fetch_history("lobby", before=str(page.posts[0].position))
            page = await watcher.next_of(HistoryFetched)
            assert ([post.text for post in page.posts], page.more) == (["0", "1", "2"], False)


async def test_members_and_presence_are_reported() -> None:
    async with (
        running_server() as server,
        online(server.port, "ana") as (client, watcher),
        v1_client(server.url, "ben") as ben,
    ):
        came = await watcher.next_of(PresenceChanged)
        assert (came.event, came.names, came.online, came.room) == ("join", ("ben",), 2, "lobby")
        ref = client.list_members("lobby")
        listed = await watcher.next_of(events.Presence)
        assert (listed.ref, listed.online, listed.truncated) == (ref, 2, False)
        assert [member.name for member in listed.members] == ["ana", "ben"]
        await ben.send("typing", room="lobby")
        assert (await watcher.next_of(events.Typing)).name == "ben"
        await ben.send("rename", name="benno")
        assert (await watcher.next_of(PresenceChanged)).names == ("ben", "benno")
        client.send_typing("lobby")
        assert (await ben.next_of(type="typing"))["name"] == "ana"
        await ben.send("leave", room="lobby")
        assert (await watcher.next_of(PresenceChanged)).event == "leave"


async def test_server_notice_is_passed_on() -> None:
    async with running_server() as server, online(server.port, "ana") as (_, watcher):
        await server.broadcast_to_all("Maintenance at noon.")
        noticed = await watcher.next_of(Noticed)
        assert (noticed.text, noticed.error) == ("Maintenance at noon.", False)


async def test_rename_is_confirmed_or_rejected() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ben"),
        online(server.port, "ana") as (
            client,
            watcher,
        ),
    ):
        client.rename("Ben")
        denied = await watcher.next_of(NameDenied)
        assert (denied.name, denied.code) == ("Ben", "name_taken")
        assert client.state is ConnectionState.ONLINE
        assert client.name == "ana"
        client.rename("ana2")
        assert (await watcher.next_of(NameChanged)).name == "ana2"
        assert client.name == "ana2"
        await client.post("lobby", "under the new name")
        arrived = await watcher.post("under the new name")
        assert (arrived.post.sender, arrived.own) == ("ana2", True)


async def test_posts_before_a_rename_stay_own_posts() -> None:
    async with running_server() as server, online(server.port, "ana") as (client, watcher):
        client.rename("ana2")
        client.say("lobby", "just after asking")
        assert (await watcher.post("just after asking")).own


# -- leaving


async def test_closing_leaves_without_a_grace_period() -> None:
    async with (
        running_server(limits=Limits(leave_grace_s=60.0)) as server,
        v1_client(server.url, "ben") as ben,
    ):
        client = BroadcastClient("127.0.0.1", server.port, name="ana", rooms=["lobby", "dev"])
        await in_time(client.connect())
        await ben.next_of(event="join")
        await in_time(client.close())
        left = await ben.next_of(event="leave")
        assert (left["name"], left["online"]) == ("ana", 1)


async def test_name_is_free_after_closing() -> None:
    async with running_server(limits=Limits(leave_grace_s=60.0)) as server:
        for _ in range(3):
            async with BroadcastClient("127.0.0.1", server.port, name="ana") as client:
                await in_time(client.post("lobby", "hi"))


async def test_closing_sends_pending_posts() -> None:
    async with running_server() as server, plain_client(server.url) as ben:
        client = BroadcastClient("127.0.0.1", server.port, name="ana")
        await in_time(client.connect())
        client.say("lobby", "last words")
        await in_time(client.close())
        await ben.next_of(message="last words")


async def test_closing_does_not_wait_for_a_dead_connection() -> None:
    async with online_without_answers() as client:
        client.say("lobby", "into the void")
        async with asyncio.timeout(8.0):
            await client.close()
        assert client.state is ConnectionState.CLOSED


async def test_closing_aborts_a_connection_that_takes_no_data() -> None:
    async with online_without_answers() as client:
        for _ in range(1_000):
            client.say("lobby", "into the void" * 500)
        lost = client._connection._socket.connection_lost_waiter  # type: ignore[union-attr]
        await in_time(client.close(timeout_s=0.01))
        assert lost.done()
        assert client.unacknowledged == 1_000


async def test_closing_twice_ends_the_batches() -> None:
    async with running_server() as server:
        client = BroadcastClient("127.0.0.1", server.port, name="ana")
        await in_time(client.connect())

        async def read_all() -> int:
            return sum([len(batch) async for batch in client.batches()])

        reading = asyncio.create_task(read_all())
        await in_time(client.close())
        await in_time(client.close())
        assert await in_time(reading) > 3


async def test_unstarted_client_can_be_closed() -> None:
    client = BroadcastClient("127.0.0.1", 9)
    await in_time(client.close())
    assert client.state is ConnectionState.CLOSED


async def test_pending_post_fails_when_the_client_closes() -> None:
    async with online_without_answers() as client:
        posting = asyncio.create_task(client.post("lobby", "into the void"))
        await asyncio.sleep(0)
        await in_time(client.close())
        [outcome] = await in_time(asyncio.gather(posting, return_exceptions=True))
        assert isinstance(outcome, BroadcastError)


async def test_connecting_a_closed_client_fails() -> None:
    async with running_server() as server:
        client = BroadcastClient("127.0.0.1", server.port, name="ana")
        await in_time(client.connect())
        await client.close()
        with pytest.raises(BroadcastError):
            async with asyncio.timeout(5.0):
                await client.connect()


async def test_connecting_twice_returns_at_once() -> None:
    async with running_server() as server, BroadcastClient("127.0.0.1", server.port, name="ana") as client:
        async with asyncio.timeout(5.0):
            await client.connect()
        assert client.state is ConnectionState.ONLINE


async def test_a_closed_client_posts_nothing() -> None:
    async with running_server() as server:
        client = BroadcastClient("127.0.0.1", server.port, name="ana")
        await in_time(client.connect())
        await in_time(client.close())
        with pytest.raises(ConnectError, match="create a new one"):
            await in_time(client.post("lobby", "too late"))


async def test_closing_ends_a_pending_connect() -> None:
    client = BroadcastClient("127.0.0.1", unused_port())
    connecting = asyncio.create_task(client.connect(retry=True))
    await asyncio.sleep(0)
    await in_time(client.close())
    with pytest.raises(ConnectError, match="closed before"):
        await in_time(connecting)


async def test_cancelling_connect_closes_the_client() -> None:
    client = BroadcastClient("127.0.0.1", unused_port())
    connecting = asyncio.create_task(client.connect(retry=True))
    await asyncio.sleep(0)
    connecting.cancel()
    await in_time(asyncio.wait({connecting}))
    assert connecting.cancelled()
    with pytest.raises(ConnectError, match="create a new one"):
        await in_time(client.connect())
    await in_time(anext(client.batches(), None))


async def test_a_cancelled_close_ends_pending_posts() -> None:
    async with online_without_answers() as client:
        posting = asyncio.create_task(client.post("lobby", "into the void"))
        closing = asyncio.create_task(client.close(timeout_s=0.1))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(ConnectError, match="closed before"):
            await in_time(posting)
        await in_time(client.close())
        assert client.state is ConnectionState.CLOSED
