"""The former epochs of the rooms of a SQLite history that was copied from another history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from broadcast_tui.engine.copying import StoredRoom

FORKS_MAX = 16
"""Maximum number of former epochs of a room."""
OTHER_ROOMS = ""
"""Stands for every room without a row of its own."""

_CREATE = (
    "CREATE TABLE IF NOT EXISTS forks (room TEXT NOT NULL, number INTEGER NOT NULL, epoch TEXT NOT NULL,"
    " seq INTEGER NOT NULL, PRIMARY KEY (room, number)) WITHOUT ROWID"
)


class Forks:
    """The former epochs of rooms, with the seqs up to which their logs had the same entries.

    Args:
        by_room: For each room, the epochs and seqs, oldest first.
    """

    def __init__(self, by_room: Mapping[str, Mapping[str, int]]) -> None:
        self._by_room = by_room

    def of(self, room: str) -> Mapping[str, int]:
        """The epochs and seqs of a room, oldest first."""
        known = self._by_room.get(room)
        return self._by_room.get(OTHER_ROOMS, {}) if known is None else known


def read_forks(connection: sqlite3.Connection) -> Forks:
    """The former epochs in a file; there are none if it is not a copy."""
    by_room: dict[str, dict[str, int]] = {}
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'forks'").fetchone():
        for room, epoch, seq in connection.execute(
            "SELECT room, epoch, seq FROM forks ORDER BY room, number"
        ):
            by_room.setdefault(room, {})[epoch] = seq
    return Forks(by_room)


def write_forks(connection: sqlite3.Connection, rooms: Iterable[StoredRoom]) -> None:
    """Replace the former epochs in the current transaction by those of the rooms of another history."""
    connection.execute(_CREATE)
    connection.execute("DELETE FROM forks")
    connection.executemany(
        "INSERT INTO forks VALUES (?, ?, ?, ?)",
        [
            (room.name, number, epoch, seq)
            for room in rooms
            for number, (epoch, seq) in enumerate(room.forks[-FORKS_MAX:])
        ],
    )
