"""The full-text index of the SQLite engine: folded words by post, in an FTS5 table.

The index stores no text. Its entries can only be removed with the text they were made from, folded in the
same way. If the folding changes (a new version of the file or of Unicode), an index is therefore built
beside the old one, newest posts first, in small steps. Until then, searches read older posts one by one.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence

from broadcast_tui.engine.fulltext import Matcher, fold, words_of
from broadcast_tui.engine.sqlite_rows import COLUMNS, Row

FOLDING = f"1/{unicodedata.unidata_version}"
"""Version of `index_text`."""
OPTIONS = "content='', columnsize=0, detail=none, tokenize='ascii', prefix='1 2 3'"
"""With 200,000 posts of 10 words, the prefix index takes 12 µs per post and 33 of 57 bytes, and a search for
one letter takes 0.5 ms instead of 130 ms, for three letters 0.6 ms instead of 12 ms, for eight letters 53 ms
instead of 960 ms. `detail=none` saves half of the size: words have no positions. The text is folded already,
so the tokenizer only has to split it."""
ROOM_TOKENS = 65_000
FIRST_ROOM_TOKEN = 0xF0000
"""First of the private-use characters that stand for rooms."""
BUILD_POSTS = 256
BUILD_BYTES = 65_536
"""Posts, and bytes of text, indexed in one step: about 10 ms."""
DROP_BLOCKS = 64
"""Blocks of an old index deleted in one step."""
SHADOW_RESERVED = 10
"""Highest id of the rows of FTS5's data table that are not blocks."""
MAX_ID = 2**63 - 1


def room_token(room_id: int) -> str:
    """The word that stands for a room in the index. Few rooms share one."""
    return chr(FIRST_ROOM_TOKEN + room_id % ROOM_TOKENS)


def index_text(room_id: int, text: str) -> str:
    """The words to index for a post. SQLite folds ASCII itself, in the same way."""
    return f"{room_token(room_id)} {text if text.isascii() else ' '.join(words_of(text))}"


class SearchIndex:
    """The index, for the writing thread. All methods except `step` need a transaction.

    Invariant: it contains exactly the posts with an id of at least `_first_id`. Entries without a text, such
    as notes and deleted posts, are not in it.
    """

    def __init__(self, connection: sqlite3.Connection, last_id: int) -> None:
        self._connection = connection
        self._table = ""
        self._first_id = 0
        self._open(last_id)

    def _open(self, last_id: int) -> None:
        table, first_id, folding = _meta(self._connection)
        if folding != FOLDING:
            table = f"search_{int(table.rpartition('_')[2]) + 1 if table else 1}"
            first_id = last_id + 1 if last_id else 0
            self._connection.execute(f"CREATE VIRTUAL TABLE {table} USING fts5 (text, {OPTIONS})")
            self._connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [("search_table", table), ("search_first_id", first_id), ("search_folding", FOLDING)],
            )
        self._table, self._first_id = table, first_id

    def add(self, posts: Iterable[tuple[int, int, str]]) -> None:
        """Add posts: id, room id and text, by ascending id."""
        self._connection.executemany(
            f"INSERT INTO {self._table} (rowid, text) VALUES (?, ?)",
            [(post_id, index_text(room_id, text)) for post_id, room_id, text in posts if text],
        )

    def replace(self, post_id: int, room_id: int, before: str, text: str) -> None:
        """Follow a post whose text changes."""
        if post_id >= self._first_id:
            self.remove(post_id, room_id, before)
            self.add([(post_id, room_id, text)])

    def remove(self, post_id: int, room_id: int, text: str) -> None:
        """Remove a post that is about to be deleted."""
        if text and post_id >= self._first_id:
            self._connection.execute(
                f"INSERT INTO {self._table} ({self._table}, rowid, text) VALUES ('delete', ?, ?)",
                (post_id, index_text(room_id, text)),
            )

    def step(self) -> bool:
        """Index some older posts, or delete a part of an old index; returns whether there is more to do."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            if not self._first_id:
                return self._drop_old()
            first_id = self._build()
        self._first_id = first_id
        return True

    def merge(self, pages: int, *, begin: bool) -> bool:
        """Write about this many pages of a merge of all segments; returns whether there is more to do.

        Removed words stay in the index until the segments that contain them have been merged.

        Args:
            begin: Begin a new merge, of all segments that there are now.
        """
        before = self._connection.total_changes
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                f"INSERT INTO {self._table} ({self._table}, rank) VALUES ('merge', ?)",
                (-pages if begin else pages,),
            )
        # The command itself counts as one change (https://www.sqlite.org/fts5.html#the_merge_command).
        return self._connection.total_changes - before >= 2

    def _build(self) -> int:
        """Index some older posts; returns the new lowest id."""
        posts: list[tuple[int, int, str]] = []
        size_bytes = 0
        for post in self._connection.execute(
            "SELECT id, room_id, text FROM posts WHERE id < ? ORDER BY id DESC LIMIT ?",
            (self._first_id, BUILD_POSTS),
        ):
            posts.append(post)
            size_bytes += len(post[2])
            if size_bytes >= BUILD_BYTES:
                break
        self.add(reversed(posts))
        first_id = posts[-1][0] if posts else 0
        self._connection.execute("UPDATE meta SET value = ? WHERE key = 'search_first_id'", (first_id,))
        return first_id

    def _drop_old(self) -> bool:
        """Delete a part of an old index: at once, it would take seconds."""
        row = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%' AND name != ? LIMIT 1",
            (self._table,),
        ).fetchone()
        if row is None:
            return False
        table = str(row[0])
        deleted = self._connection.execute(
            f"DELETE FROM {table}_data WHERE id IN (SELECT id FROM {table}_data WHERE id > ? LIMIT ?)",
            (SHADOW_RESERVED, DROP_BLOCKS),
        ).rowcount
        if not deleted:
            self._connection.execute(f"DROP TABLE {table}")
        return True


def search(
    connection: sqlite3.Connection,
    room_id: int,
    terms: Sequence[str],
    *,
    before: int,
    limit: int,
    root: int = 0,
) -> list[Row]:
    """The newest `limit` posts of a room with seq < `before` that match all of `terms`, newest first.

    The index yields posts from the newest one backward, so that a common word costs no more than the page.
    With `root`, only the posts of that thread, which are read one by one. `connection` must be in a
    transaction.
    """
    if not terms or limit <= 0:
        return []
    if root:
        return _search_thread(connection, room_id, terms, root=root, before=before, limit=limit)
    table, first_id, _ = _meta(connection)
    end = connection.execute(
        "SELECT id FROM posts WHERE room_id = ? AND seq >= ? ORDER BY seq LIMIT 1", (room_id, before)
    ).fetchone()
    end_id = int(end[0]) if end else MAX_ID
    expression = " AND ".join([f'"{room_token(room_id)}"', *(f'"{term}" *' for term in terms)])
    hits: list[Row] = connection.execute(
        f"SELECT {COLUMNS} FROM {table} AS found"
        " CROSS JOIN posts ON posts.id = found.rowid"
        f" WHERE found.{table} MATCH ? AND found.rowid < ? AND posts.room_id = ?"
        " ORDER BY found.rowid DESC LIMIT ?",
        (expression, end_id, room_id, limit),
    ).fetchall()
    if len(hits) < limit and first_id:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM posts WHERE id < ? AND room_id + 0 = ? ORDER BY id DESC",
            (min(first_id, end_id), room_id),
        )
        hits += _matching(rows, terms, limit - len(hits))
    return hits


def _search_thread(
    connection: sqlite3.Connection, room_id: int, terms: Sequence[str], *, root: int, before: int, limit: int
) -> list[Row]:
    replies = connection.execute(
        f"SELECT {COLUMNS} FROM posts WHERE room_id = ? AND root = ? AND root != 0 AND seq < ?"
        " ORDER BY seq DESC",
        (room_id, root, before),
    )
    hits = _matching(replies, terms, limit)
    if len(hits) < limit and root < before:
        first = connection.execute(
            f"SELECT {COLUMNS} FROM posts WHERE room_id = ? AND seq = ?", (room_id, root)
        )
        hits += _matching(first, terms, 1)
    return hits


def _matching(rows: Iterable[Row], terms: Sequence[str], limit: int) -> list[Row]:
    """The first `limit` rows that match, without the index."""
    matcher = Matcher(list(terms))
    hits: list[Row] = []
    for row in rows:
        if matcher.matches(fold(row[3])):
            hits.append(row)
            if len(hits) >= limit:
                break
    return hits


def _meta(connection: sqlite3.Connection) -> tuple[str, int, str]:
    """Name, lowest indexed id (0: all posts are indexed) and folding of the index; empty without one."""
    values = dict(connection.execute("SELECT key, value FROM meta WHERE key LIKE 'search_%'").fetchall())
    return (
        str(values.get("search_table", "")),
        int(values.get("search_first_id", 0)),
        str(values.get("search_folding", "")),
    )
