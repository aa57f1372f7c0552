"""The plain protocol with another WebSocket library, blocking and in its own thread."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import websocket

from tests.support.plain import plain_client
from tests.support.running import PATIENCE_S, in_time, running_server


def chat(url: str) -> list[dict[str, Any]]:
    """Connect, post one line and read until it is broadcast; returns the frames."""
    connection = websocket.create_connection(url, timeout=PATIENCE_S)
    try:
        frames = [json.loads(connection.recv())]
        connection.send('{"type":"message","message":"Hello, world!","sender":"Alice"}')
        while frames[-1]["type"] != "message":
            frames.append(json.loads(connection.recv()))
        return frames
    finally:
        connection.close()


async def test_websocket_client_chats_with_the_frames_of_the_plain_section() -> None:
    async with running_server() as server, plain_client(server.url) as ben:
        frames = await in_time(asyncio.to_thread(chat, server.url))
        assert frames[0]["message"] == (
            "Welcome! You are now connected to the broadcast server. 2 client(s) online."
        )
        assert [frame["type"] for frame in frames] == ["system", "message"]
        assert (frames[1]["message"], frames[1]["sender"]) == ("Hello, world!", "Alice")
        joined = await ben.next_frame()
        assert joined["message"] == "A new client has joined the chat. 2 client(s) online."
        post = await ben.next_of(type="message")
        assert (post["message"], post["sender"]) == ("Hello, world!", "Alice")
