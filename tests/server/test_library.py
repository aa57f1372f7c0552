"""`BroadcastServer` as a library: the methods that docs/library.md promises."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

import broadcast_tui
from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.limits import Limits
from broadcast_tui.server import BroadcastServer, ListenError
from tests.support.plain import plain_client, silent_v1_client, v1_client
from tests.support.running import eventually, in_time, running_server


def test_the_package_root_offers_the_server() -> None:
    assert broadcast_tui.BroadcastServer is BroadcastServer


async def test_notice_reaches_every_client_and_is_not_stored() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as plain,
        v1_client(server.url, "ana") as ana,
    ):
        assert await server.broadcast_to_all("Maintenance at noon.") == 2
        for client in (plain, ana):
            notice = await client.next_of(event="notice")
            assert (notice["type"], notice["message"]) == ("system", "Maintenance at noon.")
        async with silent_v1_client(server.url) as late:
            await late.send("hello", name="late", rooms=[{"room": "lobby", "last": 10}])
            assert "notice" not in {frame.get("event") for frame in await late.until(type="synced")}


async def test_a_post_of_the_server_enters_the_log() -> None:
    async with running_server() as server, plain_client(server.url) as plain:
        assert await server.broadcast_to_all({"sender": "Weather bot", "message": "Rain."}) == 1
        post = await plain.next_of(type="message")
        assert (post["sender"], post["message"]) == ("Weather bot", "Rain.")
        async with silent_v1_client(server.url) as late:
            await late.send("hello", name="late", rooms=[{"room": "lobby", "last": 10}])
            assert (await late.next_of(type="message"))["id"] == post["id"]


async def test_a_post_of_the_server_goes_to_the_room_as_clients_name_it() -> None:
    async with running_server() as server, v1_client(server.url, "ana", rooms=[{"room": "dev"}]) as ana:
        assert await server.broadcast_to_all({"sender": "bot", "message": "hi", "room": "#Dev"}) == 1
        assert (await ana.next_of(type="message"))["room"] == "dev"


@pytest.mark.parametrize(
    "message",
    [{"sender": "SYSTEM", "message": "x"}, {"sender": "bot", "message": ""}, {"sender": "", "message": "x"},
     {"sender": "bot", "message": "x" * 20_000}, "", "x" * 20_000],
    ids=["reserved", "empty", "no name", "long", "empty notice", "long notice"],
)  # fmt: skip
async def test_invalid_text_or_name_raises(message: str | dict[str, str]) -> None:
    async with running_server() as server:
        with pytest.raises(RequestError):
            await server.broadcast_to_all(message)


async def test_excluded_connection_gets_no_message() -> None:
    registered: list[ServerConnection] = []

    class Watching(BroadcastServer):
        def register_client(self, websocket: ServerConnection) -> None:
            registered.append(websocket)
            super().register_client(websocket)

    async with (
        Watching("127.0.0.1", 0) as server,
        plain_client(server.url) as ana,
        plain_client(server.url) as ben,
    ):
        await eventually(lambda: server.connection_count == 2)
        assert await server.broadcast_to_others("for the others", registered[0]) == 1
        assert (await ben.next_of(event="notice"))["message"] == "for the others"
        receiver_count = await server.broadcast_to_others(
            {"sender": "bot", "message": "by hand"}, registered[1]
        )
        assert receiver_count == 1
        frames = await ana.until(type="message")
        assert (frames[-1]["message"], frames[-1]["sender"]) == ("by hand", "bot")
        assert "for the others" not in [frame["message"] for frame in frames]


async def test_clients_can_be_registered_and_unregistered_manually() -> None:
    class Manual(BroadcastServer):
        async def handle_client(self, websocket: ServerConnection) -> None:
            self.register_client(websocket)
            self.register_client(websocket)
            try:
                await websocket.wait_closed()
            finally:
                self.unregister_client(websocket)
                self.unregister_client(websocket)

    async with Manual("127.0.0.1", 0) as server, plain_client(server.url) as ana:
        async with plain_client(server.url) as ben:
            await ben.say("hi")
            assert (await ana.next_of(type="message"))["message"] == "hi"
        assert (await ana.next_of(event="leave"))["online"] == 1
        await eventually(lambda: server.connection_count == 1)


async def test_a_registered_connection_can_be_used_as_one_of_the_library() -> None:
    registered: list[ServerConnection] = []

    class Watching(BroadcastServer):
        def register_client(self, websocket: ServerConnection) -> None:
            registered.append(websocket)
            super().register_client(websocket)

    async with Watching("127.0.0.1", 0) as server, plain_client(server.url) as ana:
        await ana.say("hi")
        await ana.next_of(type="message")
        await registered[0].send('{"type":"own"}')
        await ana.next_of(type="own")
        assert await in_time(await registered[0].ping()) >= 0
        closing = asyncio.create_task(registered[0].close(4000, "enough"))
        assert (await ana.closed()) == (4000, "enough")
        await in_time(closing)
        await eventually(lambda: server.connection_count == 0)
        assert registered[0].close_code == 4000


async def test_a_connection_of_another_server_cannot_be_registered() -> None:
    outcome: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async with running_server() as server:

        async def handler(websocket: ServerConnection) -> None:
            try:
                server.register_client(websocket)
            except TypeError as error:
                outcome.set_result(error)

        async with serve(handler, "127.0.0.1", 0) as foreign:
            from websockets.asyncio.client import connect

            port = foreign.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", proxy=None):
                assert "PeerConnection" in str(await in_time(outcome))


async def test_port_in_use_raises_listen_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"Port {port} on 127.0.0.1 is in use"):
            await BroadcastServer("127.0.0.1", port).start_server()


@pytest.mark.parametrize("port", [-1, 65_536])
async def test_a_port_out_of_range_raises_listen_error(port: int) -> None:
    with pytest.raises(ListenError, match=f"Invalid port: {port}") as raised:
        await BroadcastServer("127.0.0.1", port).start_server()
    assert raised.value.fault == "port"


async def test_the_exception_handler_of_an_application_remains() -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    async with running_server():
        loop.call_soon(int, "x")
        await eventually(lambda: bool(errors))
    assert isinstance(errors[0]["exception"], ValueError)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_unusable_host_raises_listen_error(host: str) -> None:
    with pytest.raises(ListenError) as raised:
        await BroadcastServer(host, 0).start_server()
    assert raised.value.fault == "host"


async def test_localhost_listens_on_every_address_it_has_with_one_port() -> None:
    async with BroadcastServer("localhost", 0) as server:
        found = await asyncio.get_running_loop().getaddrinfo(
            "localhost", server.port, type=socket.SOCK_STREAM
        )
        for host in {str(info[4][0]) for info in found}:
            url = f"ws://[{host}]:{server.port}" if ":" in host else f"ws://{host}:{server.port}"
            try:
                async with plain_client(url):
                    pass
            except OSError:
                assert ":" in host, "only IPv6 may be missing on a machine"


async def test_limits_reach_the_welcome() -> None:
    limits = Limits(max_message_bytes=100, message_rate=3.0, message_burst=7)
    async with running_server(limits=limits) as server, silent_v1_client(server.url) as ana:
        await ana.send("hello", name="ana")
        view = (await ana.next_of(type="welcome"))["limits"]
        assert (view["message_bytes"], view["rate"], view["burst"]) == (100, 3.0, 7)
