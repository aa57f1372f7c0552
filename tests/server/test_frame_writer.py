"""Connections that get the same frames share one call, and each gets its frames once and in order."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import pytest

from broadcast_tui.core.limits import Limits
from broadcast_tui.server import batch_send, fan_out
from tests.support.plain import V1, v1_client
from tests.support.raw_socket import deaf_client
from tests.support.running import eventually, running_server

NAMES = ("bob", "cid", "dan", "eve")
LONG_TEXT = "x" * 4_000


class Calls:
    """The calls that send bytes: number of sockets and bytes of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[int, bytes]] = []
        monkeypatch.setattr(fan_out, "send_each", self._send_each)

    def _send_each(self, filenos: list[int], data: bytes) -> list[tuple[int, int]]:
        self.made.append((len(filenos), data))
        return batch_send.send_each(filenos, data)

    def with_text(self, text: str) -> list[int]:
        """The numbers of sockets that were sent a text."""
        return sorted(count for count, data in self.made if text.encode() in data)


async def test_a_line_is_sent_to_all_members_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana, AsyncExitStack() as stack:
        others = [await stack.enter_async_context(v1_client(server.url, name)) for name in NAMES]
        for other in others:
            await other.settle()
        calls = Calls(monkeypatch)
        await ana.send("topic", topic="Soup", ref="t")
        for client in (ana, *others):
            await client.until(type="topic", topic="Soup")
        assert calls.with_text("Soup") == [1, len(NAMES)]  # the reply to ana has a `ref`


async def test_a_line_and_posts_are_sent_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana, AsyncExitStack() as stack:
        others = [await stack.enter_async_context(v1_client(server.url, name)) for name in NAMES]
        await ana.say("one", nonce="n1")
        for client in (ana, *others):
            await client.until(message="one")
            await client.settle()
        calls = Calls(monkeypatch)
        runner = server._runner
        room = runner.hub.rooms.by_name["lobby"]
        runner.hub.broadcaster.broadcast_topic(room, "Soup", "ana")
        for subscription in room.subscriptions.values():
            subscription.cursor -= 1
        runner.wake()
        for client in (ana, *others):
            line, post = await client.until(message="one")
            assert line["topic"] == "Soup"
            assert post["message"] == "one"
        assert calls.with_text("Soup") == calls.with_text("one") == [1 + len(NAMES)]


@pytest.mark.skipif(not batch_send.IS_SUPPORTED, reason="sockets have no file descriptors here")
@pytest.mark.usefixtures("used_send_each")
async def test_a_slow_reader_gets_lines_and_posts_once_and_in_order() -> None:
    async with (
        running_server(limits=Limits(message_rate=0)) as server,
        deaf_client(server.port, V1) as slow,
        v1_client(server.url, "ana") as ana,
    ):
        await slow.send_text(json.dumps({"type": "hello", "name": "bob", "rooms": [{"room": "lobby"}]}))
        runner = server._runner
        await eventually(lambda: any(peer.name == "bob" for peer in runner.connections))
        room = runner.hub.rooms.by_name["lobby"]
        for number in range(100):
            await ana.say(f"{number} {LONG_TEXT}", nonce=f"n{number}")
            await ana.until(message=f"{number} {LONG_TEXT}")
            runner.hub.broadcaster.broadcast_topic(room, f"{number}", "ana")
            runner.wake()
        assert any(peer.blocked for peer in runner.connections)
        posts: list[int] = []
        lines: list[int] = []
        while len(posts) < 100:
            _, payload = await slow.read_frame()
            event = json.loads(payload)
            if event["type"] == "message":
                posts.append(int(event["message"].split()[0]))
            elif event["type"] == "topic":
                lines.append(int(event["topic"]))
        assert posts == list(range(100))
        assert lines == sorted(set(lines))
        assert lines, "the reader was not blocked all the time"
