"""The schema of the SQLite file, and the checks before it is opened.

Invariant: nothing is written to a file that is not a valid history.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from broadcast_tui.core.errors import EngineError
from broadcast_tui.engine.file_lock import FileLock

APPLICATION_ID = 0x62637431
"""`bct1`: marks the file as a history (SQLite's `application_id`)."""
VERSION = 3
"""Version 1 had a different search index, updated by triggers. Version 2 had posts without notes."""
SYNCHRONOUS = "FULL"
"""Every commit is synced, so that acknowledged posts survive a power failure."""
LOG_KEEP_BYTES = 8_388_608
"""Size to which the write-ahead log is cut when SQLite starts it again."""
LOCK_WAIT_S = 2.0
FULL_BYTES = 131_072
"""Free space with which a disk counts as full. SQLite needs more to open a file."""
CHECK_STEPS = 10_000
"""Instructions of SQLite between two looks at the clock, less than a millisecond."""
HEADER_BYTES = 100
"""Size of the header of a SQLite file. SQLite would overwrite a shorter file as an empty database."""

NOTE_COLUMNS = (
    "kind TEXT NOT NULL DEFAULT ''",
    "re INTEGER NOT NULL DEFAULT 0",
    "root INTEGER NOT NULL DEFAULT 0",
    "author TEXT NOT NULL DEFAULT ''",
    "state TEXT",
    "flags INTEGER NOT NULL DEFAULT 0",
)
"""Columns since version 3: the kind of a note, or '' in a post; the seq that it is about, or to which it
replies; the first seq of its thread; the key of its author; the state of a post with notes as JSON; and the
flags of `sqlite_rows`."""
NOTE_INDEXES = (
    "CREATE INDEX posts_in_threads ON posts (room_id, root, seq) WHERE root != 0",
    "CREATE INDEX posts_flagged ON posts (room_id, seq) WHERE flags != 0",
)

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE rooms (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, topic TEXT NOT NULL DEFAULT '')",
    "CREATE TABLE posts (id INTEGER PRIMARY KEY, room_id INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " at_us INTEGER NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL, client_id TEXT NOT NULL,"
    f" nonce TEXT NOT NULL, {', '.join(NOTE_COLUMNS)}, UNIQUE (room_id, seq))",
    *NOTE_INDEXES,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)

DROP_TRIGGERS = ("DROP TRIGGER posts_added", "DROP TRIGGER posts_deleted")
"""From version 1. `SearchIndex` replaces the index."""
ADD_NOTES = (
    *(f"ALTER TABLE posts ADD COLUMN {column}" for column in NOTE_COLUMNS),
    *NOTE_INDEXES,
    "INSERT INTO meta VALUES ('vacuum', '1')",
    f"PRAGMA user_version = {VERSION}",
)
"""From version 2, which did not zero unused pages. `TextPurge` rewrites the file."""

COPY_KEY = "copy"
"""Key of the `meta` table in an unfinished copy; its value identifies the history that is being copied."""


def open_file(path: Path) -> tuple[sqlite3.Connection, FileLock]:
    """Open the file for writing and lock it; creates the schema if needed.

    Raises:
        EngineError: The file cannot be used.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(path if path.exists() else path.parent, os.R_OK | os.W_OK):
            raise sqlite3.OperationalError("readonly")
        _make_private(path)
        lock = FileLock(path, wait_s=LOCK_WAIT_S)
        try:
            connection = _open_locked(path, lock)
        except BaseException:
            lock.release()
            raise
    except BlockingIOError as error:
        raise EngineError(f"The history {path} is in use by another server.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineError(f"Cannot open the history {path}: {reason}.") from error
    except sqlite3.DatabaseError as error:
        raise open_error(path, error) from error
    return connection, lock


def open_error(path: Path, error: sqlite3.DatabaseError) -> EngineError:
    """The error that says in one sentence why a file cannot be opened."""
    text, name = str(error), getattr(error, "sqlite_errorname", "")
    if not isinstance(error, sqlite3.OperationalError):
        return EngineError(f"The history {path} is damaged or not a history ({text}). Move it away.")
    if "locked" in text:
        return EngineError(f"The history {path} is in use by another server.")
    if "readonly" in text or "read-only" in text:
        return EngineError(f"Cannot write the history {path}: permission denied or read-only file system.")
    # SQLite reports a full disk as an I/O error if it cannot extend its shared memory file.
    is_full = shutil.disk_usage(path.parent).free < FULL_BYTES
    if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and is_full):
        return EngineError(f"Cannot write the history {path}: the disk is full.")
    return EngineError(f"Cannot use the history {path}: {text}.")


def _open_locked(path: Path, lock: FileLock) -> sqlite3.Connection:
    if path.stat().st_size:
        _check_file(path)
    connection = connect(path, "rwc")
    try:
        _prepare(connection)
        # SQLite has released all locks of this process at the end of its own first lock. From now on, it
        # holds a shared lock until it closes its last connection.
        lock.acquire()
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    """Create the file with mode 600, unless it exists. SQLite uses the same mode for its log and index.

    SQLite follows a symbolic link and would create a missing target itself, readable by others.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection to the file for any thread, in autocommit mode. `mode` as in SQLite's URIs."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=LOCK_WAIT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def find_fault(path: Path, limit_s: float) -> str:
    """Why a history file cannot be used, as a sentence; empty if it is valid. Does not write to it.

    Raises TimeoutError if that takes longer than `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    try:
        _check_file(path, lambda: time.monotonic() > deadline)
    except EngineError as error:
        return str(error)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
            raise TimeoutError from None
        return str(open_error(path, error))
    except OSError as error:
        return f"Cannot open the history {path}: {error.strerror or error}."
    return ""


def _check_file(path: Path, must_stop: Callable[[], bool] | None = None) -> None:
    """Validate the file without writing to it; even closing a connection may write a write-ahead log.

    `must_stop` is called now and then, and interrupts the check.

    Without a write-ahead log, no server has the file open, and it can be read without lock and index files
    (`immutable`).
    """
    if path.stat().st_size < HEADER_BYTES:
        raise sqlite3.DatabaseError("it is too short")
    has_log = Path(f"{os.path.realpath(path)}-wal").exists()
    with closing(connect(path, "ro" if has_log else "ro&immutable=1")) as connection:
        connection.set_progress_handler(must_stop, CHECK_STEPS)
        _check(connection, path)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if (tables or application_id) and application_id != APPLICATION_ID:
        raise EngineError(f"{path} is a database of another program.")
    if version > VERSION:
        raise EngineError(f"The history {path} was created by a newer version of broadcast-tui.")
    if tables:
        result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if result != "ok":
            raise sqlite3.DatabaseError(" ".join(str(result).split()))
        if meta_value(connection, "epoch") is None:
            raise sqlite3.DatabaseError("it has no epoch")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_KEEP_BYTES}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA secure_delete = ON")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('epoch', ?)", (secrets.token_hex(4),))
            return
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for statement in (*(DROP_TRIGGERS if version < 2 else ()), *(ADD_NOTES if version < 3 else ())):
            connection.execute(statement)


def meta_value(connection: sqlite3.Connection, key: str) -> str | None:
    """A value of the `meta` table; None if there is none."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def check_complete(connection: sqlite3.Connection, path: Path) -> None:
    """Raise EngineError if the file is an unfinished copy."""
    if meta_value(connection, COPY_KEY) is not None:
        raise EngineError(f"{path} is an unfinished copy. Run history copy again.")
