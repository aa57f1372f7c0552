"""Opening the history file: ours, undamaged, of a version we know, and of no other server; or an error.

Nothing is written to a file that is not ours.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

from broadcast_tui.core.errors import EngineError

APPLICATION_ID = 0x62637431
"""`bct1`: marks the file as a history of ours (SQLite's `application_id`)."""
VERSION = 1
LOCK_WAIT_S = 2.0

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE rooms (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, topic TEXT NOT NULL DEFAULT '')",
    "CREATE TABLE posts (id INTEGER PRIMARY KEY, room_id INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " at_us INTEGER NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL, client_id TEXT NOT NULL,"
    " nonce TEXT NOT NULL, UNIQUE (room_id, seq))",
    "CREATE VIRTUAL TABLE posts_fts USING fts5 (text, content='posts', content_rowid='id',"
    " tokenize='unicode61 remove_diacritics 2', columnsize=0)",
    "CREATE TRIGGER posts_added AFTER INSERT ON posts BEGIN"
    " INSERT INTO posts_fts (rowid, text) VALUES (new.id, new.text); END",
    "CREATE TRIGGER posts_deleted AFTER DELETE ON posts BEGIN"
    " INSERT INTO posts_fts (posts_fts, rowid, text) VALUES ('delete', old.id, old.text); END",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)


def open_file(path: Path) -> sqlite3.Connection:
    """A connection that holds the file for itself, with the schema in place.

    Raises:
        EngineError: the sentence says what is wrong with the file and what to do.
    """
    instead = "choose another with --history PATH, or --history memory to keep nothing"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise EngineError(f"The history {path} cannot be opened ({error}); {instead}.") from error
    try:
        _check(connection, path, instead)
        _prepare(connection)
    except sqlite3.OperationalError as error:
        connection.close()
        text = str(error)
        if "locked" in text:
            raise EngineError(f"The history {path} is in use by another server; {instead}.") from error
        if "readonly" in text or "read-only" in text:
            raise EngineError(
                f"The history {path} cannot be written; change its rights, or {instead}."
            ) from error
        raise EngineError(f"The history {path} cannot be used ({text}); {instead}.") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise EngineError(
            f"The history {path} is damaged or no history ({error}); move it away, or {instead}."
        ) from error
    except EngineError:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path, instead: str) -> None:
    """Look before anything is written."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application_id != APPLICATION_ID:
        raise EngineError(f"{path} is a database of another program; {instead}.")
    if version > VERSION:
        raise EngineError(
            f"The history {path} was made by a newer version of this program; update it, or {instead}."
        )
    if tables:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("BEGIN IMMEDIATE")
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('epoch', ?)", (secrets.token_hex(4),))
    connection.execute("COMMIT")
