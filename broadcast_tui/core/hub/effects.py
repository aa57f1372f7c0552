"""The hub's output: everything that it leaves to I/O, collected in one object."""

from __future__ import annotations

import msgspec

from broadcast_tui.core.hub.history import Read
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.pending_entries import PendingEntries
from broadcast_tui.core.hub.room import Room


class TopicChange(msgspec.Struct, frozen=True):
    """A topic to store in the engine before it is announced in the room."""

    peer: Peer
    ref: str
    room: str
    topic: str
    name: str


class AuditLine(msgspec.Struct, frozen=True):
    """A log line about an admin's action, safe to log as it is, and the fields of its record."""

    text: str
    fields: dict[str, str | float]


class Effects:
    """Pending work. The parts of the hub add to it; the runner takes it after each call to the hub.

    The posts of `dirty_rooms` are found by the cursors of their subscriptions, the frames for `dirty_peers`
    in `Peer.control` and their subscriptions, and the close code of `closing_peers` in `Peer.closing`.
    """

    __slots__ = (
        "audit_lines",
        "closing_peers",
        "dirty_peers",
        "dirty_rooms",
        "pending_entries",
        "reads",
        "sanctions_changed",
        "topic_changes",
    )

    def __init__(self) -> None:
        self.pending_entries = PendingEntries()
        """Posts and notes to append."""
        self.topic_changes: list[TopicChange] = []
        """Topics to store, in order of arrival."""
        self.reads: list[Read] = []
        """Log ranges to read, in any order."""
        self.dirty_rooms: set[Room] = set()
        """Rooms with posts that have not been written to all their connections."""
        self.dirty_peers: set[Peer] = set()
        """Connections with frames to write."""
        self.closing_peers: set[Peer] = set()
        """Connections to close once their frames are written."""
        self.audit_lines: list[AuditLine] = []
        """Log lines about admin actions."""
        self.sanctions_changed = False
        """Whether bans or mutes have changed since they were last saved."""

    @property
    def needs_flush(self) -> bool:
        """Whether there are frames to write or connections to close."""
        return bool(self.dirty_rooms or self.dirty_peers or self.closing_peers)

    def take_topic_change(self) -> TopicChange:
        """Remove and return the first topic to store."""
        return self.topic_changes.pop(0)

    def take_reads(self) -> list[Read]:
        """Remove and return the log ranges to read."""
        reads, self.reads = self.reads, []
        return reads

    def take_dirty_peers(self) -> set[Peer]:
        """Remove and return the connections with frames to write."""
        peers, self.dirty_peers = self.dirty_peers, set()
        return peers

    def take_audit_lines(self) -> list[AuditLine]:
        """Remove and return the log lines about admin actions."""
        lines, self.audit_lines = self.audit_lines, []
        return lines
