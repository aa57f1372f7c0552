"""A client's position in one room: detects gaps, orders entries and drops duplicates.

Invariants: everything up to and including `position` was released; entries, that is posts and notes, are
released in order, each once; a gap is filled from history or reported, never skipped silently.
"""

from __future__ import annotations

from collections.abc import Iterable

from broadcast_tui.core.notes import Entry, in_epoch
from broadcast_tui.core.post import Position
from broadcast_tui.core.session.bounds import entry_chars
from broadcast_tui.core.session.updates import EpochChanged, GapFound, Withdrawn

REPLAY_MAX = 1_000
"""Maximum number of entries a server replays when a room is entered; the rest comes from history."""
AHEAD_MAX = 5_000
"""Maximum number of live entries buffered while a gap before them is filled; later ones are fetched again."""
AHEAD_CHARS = 8_388_608
"""The same in characters of text and names."""


class RoomCursor:
    """Cursor of a client session in `room`. `last`: number of entries to request while it has no position."""

    def __init__(self, room: str, last: int) -> None:
        self.room = room
        self.last = last
        self.position: Position | None = None
        self.entered = False
        """Whether the server confirmed on this connection that the client is in the room."""
        self.synced = False
        """Whether the replay is complete on this connection. Own posts are sent only then."""
        self.reported_caught_up = False
        """Whether `CaughtUp` was reported on this connection."""
        self._gap_end: int | None = None
        self._buffered: list[Entry] = []
        self._buffered_chars = 0
        self._backfilling = False
        """The position was requested, not confirmed: a gap right after it is not an error."""

    @property
    def filling(self) -> bool:
        """Whether a gap is being filled; the caller then requests history after `position`."""
        return self._gap_end is not None

    def disconnected(self) -> None:
        """Reset the state of the connection; buffered entries will be replayed."""
        self.entered = self.synced = self.reported_caught_up = False
        self._gap_end = None
        self._clear_buffered()

    def entered_at(self, head: Position, missed: int) -> None:
        """The server confirmed entry. A new cursor starts `missed` entries before `head`.

        If more entries than `REPLAY_MAX` were requested, the cursor starts further back and fills the gap.
        """
        self.entered = True
        self.synced = self.reported_caught_up = False
        missed = max(0, min(missed, head.seq))
        if self.position is None:
            self._backfilling = self.last > REPLAY_MAX and 0 < missed < self.last
            back = min(self.last, head.seq) if self._backfilling else missed
            self.position = Position(head.epoch, head.seq - back)

    def newly_caught_up(self) -> bool:
        """Whether nothing is missing and `CaughtUp` was not reported yet. Marks it as reported."""
        if self.reported_caught_up or not self.synced or self.filling:
            return False
        self.reported_caught_up = True
        return True

    def received(self, entry: Entry) -> list[Entry | GapFound]:
        """Add a live or replayed entry; returns what can be released now, in order."""
        released: list[Entry | GapFound] = []
        position = self.position
        if position is None or position.epoch != entry.position.epoch:
            if position is not None:
                released.append(GapFound(self.room, None, "epoch"))
            self.position = entry.position
            self._gap_end = None
            self._clear_buffered()
            return [*released, entry]
        if entry.position.seq <= position.seq:
            return []
        if self._gap_end is not None:
            self._buffer(entry)
        elif entry.position.seq > position.seq + 1:
            self._gap_end = entry.position.seq - 1
            self._buffer(entry)
        else:
            self.position = entry.position
            return [entry]
        return []

    def gap(self, end: Position, reason: str) -> list[GapFound]:
        """The server skips the entries up to and including `end`; returns the gap to report, if any."""
        position = self.position
        if reason == "lagged" and position is not None and position.epoch == end.epoch:
            if end.seq > position.seq:
                self._gap_end = max(end.seq, self._gap_end or 0)
            return []
        known = position is not None and position.epoch == end.epoch
        count = end.seq - position.seq if known and position is not None else None
        if count is not None and count <= 0:
            return []
        self.position = end
        self._gap_end = None
        self._clear_buffered()
        return [GapFound(self.room, count, reason)]

    def fork(
        self, change: EpochChanged, end: int, lost_nonces: tuple[str, ...] = ()
    ) -> list[EpochChanged | Withdrawn | GapFound]:
        """Follow the room to another epoch, in which the server continues after seq `end`.

        Args:
            change: The new epoch. It is the same one if the server never had what the client has.
            end: Seq after which the server continues.
            lost_nonces: Own posts that are lost and have not arrived.

        Returns:
            What to report, in order; nothing if the room is not in the former epoch.
        """
        position, seq, epoch = self.position, change.seq, change.epoch
        if position is None or position.epoch != change.former:
            return []
        updates: list[EpochChanged | Withdrawn | GapFound] = [change] if epoch != change.former else []
        self.position = Position(epoch, min(position.seq, seq))
        self._buffered = [in_epoch(entry, epoch) for entry in self._buffered if entry.position.seq <= seq]
        self._buffered_chars = sum(map(entry_chars, self._buffered))
        if position.seq > seq or lost_nonces:
            lost = max(0, position.seq - seq)
            updates.append(Withdrawn(self.room, Position(epoch, seq + 1), lost, lost_nonces))
        if position.seq > seq:
            self._gap_end = None
        if self._gap_end is not None:
            last = end if end > seq else min(self._gap_end, seq)
            self._gap_end = last if last > self.position.seq else None
        elif end > seq:
            self.position = Position(epoch, end)
            updates.append(GapFound(self.room, end - seq, "epoch"))
        return updates

    def filled(self, entries: Iterable[Entry]) -> list[Entry | GapFound]:
        """Add a page of history after `position`, ascending; an empty page means that no more is available.

        Returns:
            What can be released now, in order. `filling` is then true if more history is needed.
        """
        assert self.position is not None
        released: list[Entry | GapFound] = []
        fresh = [
            entry
            for entry in entries
            if entry.position.epoch == self.position.epoch and entry.position.seq > self.position.seq
        ]
        for entry in fresh:
            if entry.position.seq <= self.position.seq:
                continue  # twice, or not in ascending order: the server's fault
            released += self._jump_to(entry.position.seq - 1)
            released.append(entry)
            self.position = entry.position
        if self._gap_end is None:
            return released
        if not fresh:
            released += self._jump_to(self._gap_end)
        if self.position.seq >= self._gap_end:
            self._gap_end = None
            released += self._release_buffered()
        return released

    def _jump_to(self, seq: int) -> list[GapFound]:
        assert self.position is not None
        missing = seq - self.position.seq
        backfilling, self._backfilling = self._backfilling, False
        if missing <= 0:
            return []
        self.position = Position(self.position.epoch, seq)
        return [] if backfilling else [GapFound(self.room, missing, "trimmed")]

    def _buffer(self, entry: Entry) -> None:
        self._buffered.append(entry)
        self._buffered_chars += entry_chars(entry)
        if len(self._buffered) > AHEAD_MAX or self._buffered_chars > AHEAD_CHARS:
            self._gap_end = entry.position.seq
            self._clear_buffered()

    def _clear_buffered(self) -> None:
        self._buffered.clear()
        self._buffered_chars = 0

    def _release_buffered(self) -> list[Entry | GapFound]:
        ahead, self._buffered, self._buffered_chars = self._buffered, [], 0
        released: list[Entry | GapFound] = []
        for entry in ahead:
            released += self.received(entry)
        return released
