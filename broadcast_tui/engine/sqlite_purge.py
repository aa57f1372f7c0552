"""Removes all copies of deleted and replaced texts from a SQLite history.

SQLite zeroes deleted rows and pages (`secure_delete`). Three kinds of copies remain, and are removed later:

- The search index only appends. Removed words stay in its older segments until they are merged.
- The write-ahead log contains former versions of pages until it is truncated.
- When SQLite splits a page, it does not zero the part that becomes unused. Only `VACUUM` removes these rare
  copies. It blocks appends while it rewrites the file, so it runs at once only in a small file, and otherwise
  when the server stops, unless the file is very large.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from broadcast_tui.engine.sqlite_index import SearchIndex

MERGE_PAGES = 16
"""Pages of the search index that are written in one step: a few milliseconds."""
MERGE_ROUNDS = 2
"""Merges of all segments. The first one may only complete a merge that was under way."""
VACUUM_MAX_BYTES = 2_097_152
"""Size above which a file is not rewritten while appends may wait: below it, that takes some 20 ms."""
FINAL_VACUUM_MAX_BYTES = 67_108_864
"""Size above which it is not rewritten when the server stops: below it, that takes less than a second."""


class TextPurge:
    """The work that is left after texts were removed. Used by the writing thread only."""

    def __init__(self, connection: sqlite3.Connection, index: SearchIndex, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._index = index
        stored = dict(connection.execute("SELECT key, value FROM meta WHERE key IN ('purge', 'vacuum')"))
        self.is_pending = "purge" in stored
        """Whether `step` has work to do."""
        self.is_blocked = False
        """Whether a read prevented the last step from emptying the write-ahead log."""
        self._needs_vacuum = "vacuum" in stored
        self._round = 0
        self._is_merging = False

    def mark(self) -> None:
        """Record in the current transaction that it removes texts, so that `step` removes their copies."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('purge', '1'), ('vacuum', '1')")
        self.is_pending = self._needs_vacuum = True
        self._round = 0
        self._is_merging = False

    def step(self) -> bool:
        """Do some of the work, in a transaction of its own; returns whether there is more to do."""
        if not self.is_pending:
            return False
        if self._round < MERGE_ROUNDS:
            self._is_merging = self._index.merge(MERGE_PAGES, begin=not self._is_merging)
            if not self._is_merging:
                self._round += 1
            return True
        self._vacuum(VACUUM_MAX_BYTES)
        self.is_blocked = not self._truncate_log()
        if self.is_blocked:
            return True
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM meta WHERE key = 'purge'")
        self.is_pending = False
        return False

    def _truncate_log(self) -> bool:
        """Empty the write-ahead log; returns whether it is empty. It does not wait for reads."""
        [(timeout_ms,)] = self._connection.execute("PRAGMA busy_timeout").fetchall()
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            [(busy, _, _)] = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")
        return not busy

    def finish(self) -> None:
        """Do what is left when the server stops."""
        if not self.is_pending:
            self._vacuum(FINAL_VACUUM_MAX_BYTES)

    def _vacuum(self, max_bytes: int) -> None:
        """Rewrite the file, if texts were removed and it has at most `max_bytes`."""
        if self._needs_vacuum and self._path.stat().st_size <= max_bytes:
            self._connection.execute("VACUUM")
            self._connection.execute("DELETE FROM meta WHERE key = 'vacuum'")
            self._needs_vacuum = False
