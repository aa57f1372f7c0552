"""A `ClientRequests` without a network: tests deliver updates and check the recorded requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import msgspec

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, NoteKind, PostState
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    NoteArrived,
    PostArrived,
    PostDelivered,
    RoomEntered,
    Update,
    Welcomed,
)
from tests.support.running import PATIENCE_S

AT = datetime(2025, 8, 30, 10, 30, 40, tzinfo=UTC)


def member_list(
    room: str,
    ref: str,
    online: int,
    names: tuple[str, ...],
    truncated: bool = False,
    away: tuple[tuple[str, str], ...] = (),
) -> events.Presence:
    """Members of a room, each with one connection; `away` lists those who are away, with the reason."""
    reasons = dict(away)
    members = tuple(events.MemberInfo(name, 1, reasons.get(name)) for name in names)
    return events.Presence(ref, room, online, members, truncated)


def room_list(ref: str, rooms: tuple[tuple[str, int, str], ...], truncated: bool = False) -> events.RoomList:
    """Rooms, each as name, people online and topic."""
    return events.RoomList(ref, tuple(events.RoomInfo(*room) for room in rooms), truncated)


def _call(command: commands.Request) -> tuple[str, ...]:
    """A request as its method and arguments."""
    match command:
        case commands.FetchHistory(room=room, around=around, limit=limit) if around:
            return "fetch_around", room, around, str(limit)
        case commands.FetchHistory(room=room, limit=limit, pinned=True):
            return "fetch_pinned", room, str(limit)
        case commands.FetchHistory(room=room, before=before, limit=limit, root=root):
            return "fetch_history", room, before, str(limit), *filter(None, [root])
        case commands.Search(query=query, room=room, before=before, root=root):
            return "search", room, query, before, *filter(None, [root])
        case commands.SetTopic(topic=topic, room=room):
            return "set_topic", room, topic
        case commands.SetAway(away=away, text=text):
            return "set_away", "away" if away else "back", text
        case commands.Join(room=room, last=last):
            return "join", room, str(last)
        case commands.Leave(room=room, reason=reason):
            return "leave", room, *filter(None, [reason])
        case commands.ListRooms(after=after):
            return "list_rooms", *filter(None, [after])
        case commands.ListBans():
            return ("bans",)
    method = "_".join(word.lower() for word in re.findall("[A-Z][a-z]+", type(command).__name__))
    return method, *(str(value) for key, value in msgspec.structs.asdict(command).items() if key != "ref")


class FakeClient(ClientRequests):
    """Records calls in `calls`; `deliver` passes a batch to the reader and waits until it is processed."""

    url = ""
    name = ""
    state = ConnectionState.CONNECTING
    rooms: tuple[str, ...] = ()
    unacknowledged = 0

    def __init__(self, name: str = "ana", url: str = "ws://localhost:8765", room: str = "lobby") -> None:
        self.url = url
        self.name = name
        self.rooms = (room,)
        self.calls: list[tuple[str, ...]] = []
        self.closed = False
        self.leave_reason = ""
        self.close_timeout_s = 0.0
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

    def say(self, room: str, text: str, *, re: str = "", ask: commands.Question | None = None) -> str:
        """Recorded as room and text, for a reply also its target, for a question `ask`, choices and names."""
        question = () if ask is None else ("ask", *ask.choices, f"{ask.until_s:g}", *ask.to)
        return self._called("say", room, text, *filter(None, [re]), *question)

    def send_note(self, room: str, re: str, kind: NoteKind, *, text: str = "", on: bool = True) -> str:
        """Recorded as room, post, kind, and the text if there is one; `off` if it removes something."""
        return self._called(
            "send_note", room, re, kind.value, *filter(None, [text]), *([] if on else ["off"])
        )

    def authenticate(self, token: str) -> None:
        self._called("authenticate", token)

    def send_typing(self, room: str) -> None:
        self._called("send_typing", room)

    def reconnect_now(self) -> None:
        self._called("reconnect_now")

    def disconnect(self) -> None:
        self._called("disconnect")

    async def close(self, reason: str = "", timeout_s: float = 0.0) -> None:
        self.closed = True
        self.leave_reason = reason
        self.close_timeout_s = timeout_s
        self._batches.put_nowait(None)

    def _called(self, *call: str) -> str:
        self._count += 1
        self.calls.append(call)
        return f"n{self._count}"

    def _request(self, build: Callable[[str], commands.Request]) -> str:
        command = build(f"n{self._count + 1}")
        return self._called(*_call(command))

    def called(self, method: str) -> list[tuple[str, ...]]:
        """The arguments of all calls of `method`, in order."""
        return [call[1:] for call in self.calls if call[0] == method]

    def ref_of(self, *call: str) -> str:
        """The nonce or ref that a recorded call returned."""
        return f"n{self.calls.index(call)}"  # `start` is a call too, but returns nothing

    def feed(self, *updates: Update) -> None:
        """Deliver a batch without waiting."""
        for update in updates:
            if isinstance(update, ConnectionChanged):
                self.state = update.state
        self._idle.clear()
        self._batches.put_nowait(list(updates))

    async def deliver(self, *updates: Update) -> None:
        """Deliver a batch and wait until the reader asks for the next one."""
        self.feed(*updates)
        async with asyncio.timeout(PATIENCE_S):
            await self._idle.wait()

    def online(self, *people: str, room: str = "lobby") -> list[Update]:
        """The updates after connecting, with `people` in the room."""
        return [
            ConnectionChanged(ConnectionState.ONLINE),
            Welcomed(self.name, "n1", (room,), 16_384),
            RoomEntered(room, len(people), 0),
            member_list(room, "", len(people), tuple(sorted(people)), False),
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
        re: int = 0,
        root: int = 0,
        state: PostState = NO_STATE,
    ) -> PostArrived:
        """The next post of the room; a post with a nonce is an own post."""
        self._seq += 1
        post = Post(
            room,
            Position("k3f9", self._seq),
            sender,
            text,
            at,
            nonce,
            re=re,
            root=root or re,
            state=state,
        )
        return PostArrived(post, live, bool(nonce))

    def note(
        self,
        kind: NoteKind,
        re: int,
        *,
        by: str = "",
        text: str = "",
        nonce: str = "",
        live: bool = True,
        at: datetime = AT,
        room: str = "lobby",
        state: PostState = NO_STATE,
    ) -> NoteArrived:
        """The next note of the room, about the post with seq `re`, which has `text` and `state` after it."""
        self._seq += 1
        post = Post(room, Position("k3f9", re), "", text, at, state=state)
        note = Note(room, Position("k3f9", self._seq), kind, re, by, at, post, nonce)
        return NoteArrived(note, live, bool(nonce))

    def echo(self, nonce: str, text: str) -> list[Update]:
        """The updates for an accepted own post."""
        arrived = self.post(self.name, text, nonce=nonce)
        return [PostDelivered("lobby", nonce, str(arrived.post.position), AT), arrived]
