"""A client without a server: it plays a recording, and answers requests from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from time import monotonic

from broadcast_tui.client.requests import LEAVE_TIMEOUT_S, ClientRequests
from broadcast_tui.core.notes import Note
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    NoteArrived,
    NoteRejected,
    Noticed,
    PostArrived,
    PostRejected,
    RoomRewound,
    Update,
    Welcomed,
)
from broadcast_tui.tui.model.recorded_room import RecordedRoom
from broadcast_tui.tui.model.replay import Playback

READ_ONLY = "This is a replay: nothing can be sent."


class ReplayClient(ClientRequests):
    """Plays `playback`, whose position the user changes with `seek`, `step` and `toggle`.

    Args:
        title: What is displayed in place of the server's address.
        now: Returns monotonic seconds.
    """

    read_only = READ_ONLY
    hint = "Replay, read-only. /at 14:05 goes to a time, Space pauses"

    def __init__(self, playback: Playback, title: str, now: Callable[[], float] = monotonic) -> None:
        self.playback = playback
        self._title = title
        self._now = now
        self._room = RecordedRoom(playback.recording)
        self._answers: list[Update] = []
        self._changed = asyncio.Event()
        self._is_rewound = False
        self._closed = False
        self._ref_count = 0

    # -- playback

    def toggle(self) -> None:
        """Pause or go on; at the end, begin again."""
        was_at_end = self.playback.is_at_end
        self.playback.tick(self._now())
        self.playback.toggle()
        self._jumped(was_at_end)

    def step(self, direction: int) -> None:
        self.playback.step(direction)
        self._jumped(True)

    def seek(self, position_s: float) -> None:
        self.playback.seek(position_s)
        self._jumped(True)

    def change_speed(self, factor: float) -> None:
        self.playback.tick(self._now())
        self.playback.change_speed(factor)
        self._changed.set()

    def tick(self) -> None:
        """Move the position to the current time."""
        if not self._is_rewound:
            self.playback.tick(self._now())

    def _jumped(self, is_rewound: bool) -> None:
        self._is_rewound |= is_rewound
        self._changed.set()

    # -- interface of ClientRequests

    @property
    def url(self) -> str:
        return self._title

    @property
    def name(self) -> str:
        return ""

    @property
    def state(self) -> ConnectionState:
        return ConnectionState.CLOSED if self._closed else ConnectionState.ONLINE

    @property
    def rooms(self) -> tuple[str, ...]:
        return (self.playback.recording.room,)

    @property
    def unacknowledged(self) -> int:
        return 0

    def start(self) -> None:
        """Do nothing: the playback begins with `batches`."""

    async def batches(self) -> AsyncIterator[list[Update]]:
        welcomed = Welcomed("", "", self.rooms, 0)
        opening = self._room.opening(self.playback.count)
        yield [ConnectionChanged(ConnectionState.ONLINE), welcomed, *opening]
        while not self._closed:
            if batch := self._due():
                yield batch
                continue
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.playback.delay_s()):
                    await self._changed.wait()

    def reconnect_now(self) -> None:
        """Do nothing: there is no connection."""

    def disconnect(self) -> None:
        """Do nothing: there is no connection."""

    async def close(self, reason: str = "", timeout_s: float = LEAVE_TIMEOUT_S) -> None:
        self._closed = True
        self._changed.set()

    def say(self, room: str, text: str, *, re: str = "", ask: commands.Question | None = None) -> str:
        nonce = self._next_ref()
        self._answer(PostRejected(room, nonce, "", READ_ONLY, text, re))
        return nonce

    def send_note(self, room: str, re: str, kind: NoteKind, *, text: str = "", on: bool = True) -> str:
        nonce = self._next_ref()
        self._answer(NoteRejected(room, nonce, re, kind, "", READ_ONLY))
        return nonce

    def send_typing(self, room: str) -> None:
        """Do nothing: nobody else is there."""

    def authenticate(self, token: str) -> None:
        """Do nothing: there is no server."""

    def _request(self, build: Callable[[str], commands.Request]) -> str:
        command = build(self._next_ref())
        self._answer(self._room.answer(command) or Noticed(READ_ONLY, True, "", command.ref))
        return command.ref

    def _next_ref(self) -> str:
        self._ref_count += 1
        return f"r{self._ref_count}"

    def _answer(self, update: Update) -> None:
        self._answers.append(update)
        self._changed.set()

    # -- updates

    def _due(self) -> list[Update]:
        """The answers and entries that are due, or the posts at the new position after a jump."""
        updates, self._answers = self._answers, []
        if self._is_rewound:
            self._is_rewound = False
            self.playback.restart_clock(self._now())
            return [*updates, RoomRewound(*self.rooms), *self._room.opening(self.playback.count)]
        for entry in self.playback.advance(self._now()):
            self._room.apply(entry)
            updates.append(
                NoteArrived(entry, True, False)
                if isinstance(entry, Note)
                else PostArrived(entry, True, False)
            )
        return updates
