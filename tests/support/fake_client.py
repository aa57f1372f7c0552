"""A `ChatClient` without a network: tests give it updates and read off what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    MembersListed,
    PostArrived,
    PostDelivered,
    RoomEntered,
    Update,
    Welcomed,
)

AT = datetime(2025, 8, 30, 10, 30, 40, tzinfo=UTC)


class FakeClient:
    """Records calls in `calls`; `deliver` hands a batch to the reader and waits until it is taken in."""

    def __init__(self, name: str = "ana", url: str = "ws://localhost:8765", room: str = "lobby") -> None:
        self.url = url
        self.name = name
        self.state = ConnectionState.CONNECTING
        self.rooms: tuple[str, ...] = (room,)
        self.calls: list[tuple[str, ...]] = []
        self.closed = False
        self.unacknowledged = 0
        self.leave_reason = ""
        self._batches: asyncio.Queue[list[Update] | None] = asyncio.Queue()
        self._idle = asyncio.Event()
        self._count = 0
        self._seq = 0

    def start(self) -> None:
        self.calls.append(("start",))

    async def batches(self) -> AsyncIterator[list[Update]]:
        while True:
            if self._batches.empty():
                self._idle.set()
            batch = await self._batches.get()
            if batch is None:
                return
            yield batch

    def say(self, room: str, text: str) -> str:
        return self._called("say", room, text)

    def rename(self, name: str) -> str:
        return self._called("rename", name)

    def authenticate(self, token: str) -> None:
        self._called("authenticate", token)

    def join(self, room: str, last: int = 50) -> str:
        return self._called("join", room, str(last))

    def leave(self, room: str, reason: str = "") -> str:
        return self._called("leave", room, *filter(None, [reason]))

    def fetch_history(self, room: str, *, before: str = "", around: str = "", limit: int = 50) -> str:
        if around:
            return self._called("fetch_around", room, around, str(limit))
        return self._called("fetch_history", room, before, str(limit))

    def search(self, room: str, query: str, *, before: str = "", limit: int = 20) -> str:
        return self._called("search", room, query, before)

    def list_members(self, room: str) -> str:
        return self._called("list_members", room)

    def list_rooms(self) -> str:
        return self._called("list_rooms")

    def set_topic(self, room: str, topic: str) -> str:
        return self._called("set_topic", room, topic)

    def set_away(self, away: bool, text: str = "") -> str:
        return self._called("set_away", "away" if away else "back", text)

    def kick(self, name: str, reason: str = "") -> str:
        return self._called("kick", name, reason)

    def ban(self, who: str, seconds: float = 0.0, reason: str = "") -> str:
        return self._called("ban", who, str(seconds), reason)

    def unban(self, who: str) -> str:
        return self._called("unban", who)

    def mute(self, name: str, seconds: float = 0.0, reason: str = "") -> str:
        return self._called("mute", name, str(seconds), reason)

    def unmute(self, name: str) -> str:
        return self._called("unmute", name)

    def bans(self) -> str:
        return self._called("bans")

    def send_typing(self, room: str) -> None:
        self._called("send_typing", room)

    def reconnect_now(self) -> None:
        self._called("reconnect_now")

    def disconnect(self) -> None:
        self._called("disconnect")

    async def close(self, reason: str = "") -> None:
        self.closed = True
        self.leave_reason = reason
        self._batches.put_nowait(None)

    def _called(self, *call: str) -> str:
        self._count += 1
        self.calls.append(call)
        return f"n{self._count}"

    def called(self, method: str) -> list[tuple[str, ...]]:
        """The arguments of all calls of `method`, in order."""
        return [call[1:] for call in self.calls if call[0] == method]

    def feed(self, *updates: Update) -> None:
        """Hand over a batch without waiting."""
        for update in updates:
            if isinstance(update, ConnectionChanged):
                self.state = update.state
        self._idle.clear()
        self._batches.put_nowait(list(updates))

    async def deliver(self, *updates: Update) -> None:
        """Hand over a batch and wait until its reader comes back for the next one."""
        self.feed(*updates)
        async with asyncio.timeout(5):
            await self._idle.wait()

    def online(self, *people: str, room: str = "lobby") -> list[Update]:
        """The updates of a connection that came up, with `people` in the room."""
        return [
            ConnectionChanged(ConnectionState.ONLINE),
            Welcomed(self.name, "n1", (room,), 16_384),
            RoomEntered(room, len(people), 0),
            MembersListed(room, "", len(people), tuple(sorted(people)), False),
            CaughtUp(room),
        ]

    def post(
        self,
        sender: str,
        text: str,
        *,
        nonce: str = "",
        live: bool = True,
        at: datetime = AT,
        room: str = "lobby",
    ) -> PostArrived:
        """The next post of the room; one with a nonce is our own."""
        self._seq += 1
        return PostArrived(
            Post(room, Position("k3f9", self._seq), sender, text, at, nonce), live, bool(nonce)
        )

    def echo(self, nonce: str, text: str) -> list[Update]:
        """What comes back for a post of ours."""
        arrived = self.post(self.name, text, nonce=nonce)
        return [PostDelivered("lobby", nonce, str(arrived.post.position), AT), arrived]
