"""Input history on disk: one JSON object a line, oldest first, readable by the user only (mode 600).

Invariants: two chats can append at the same time and neither loses a line. A line that cannot be read is
skipped, the others are loaded. The file is rewritten atomically, and only when a chat starts and finds it too
long.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from broadcast_tui.core.text import visible, visible_line
from broadcast_tui.private_file import write_private
from broadcast_tui.tui.model.input.history import HISTORY_LIMIT, Entry

FILE_NAME = "input-history.jsonl"
ENTRY_MAX = 20_000
"""Longest entry that is saved, in characters."""
FILE_BYTES = 1_000_000
"""Size after a rewrite. The file is rewritten when it is more than twice as large."""


class InputHistoryFile:
    """History file in `directory`, created with the first entry.

    `notice` is one sentence about a file that cannot be read or written, or "". After a failed write,
    no more entries are written.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME
        self.notice = ""
        self._has_failed = False

    def load(self) -> list[Entry]:
        """Load the newest entries, oldest first, at most `HISTORY_LIMIT`; shorten a file that is too long."""
        try:
            with _locked(self.path.parent, exclusive=True):
                data = _tail(self.path)
                with suppress(OSError):
                    self.path.chmod(0o600)
                entries = [entry for line in data.split(b"\n") if (entry := _entry(line)) is not None]
                newest = _newest(entries)
                truncated = bool(data) and not data.endswith(b"\n")
                if truncated or len(data) > 2 * FILE_BYTES or data.count(b"\n") > 2 * HISTORY_LIMIT:
                    write_private(self.path, b"".join(map(_line, newest)), sync=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self.notice = visible_line(f"Cannot read {self.path}: {error}")
            return []
        return newest

    def append(self, entry: Entry) -> None:
        """Append `entry` to the file unless it is longer than `ENTRY_MAX`."""
        if self._has_failed or len(entry.text) > ENTRY_MAX:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self.path.parent, exclusive=False):
                handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    # A single write, so that lines of two chats never mix.
                    os.write(handle, _line(entry))
                finally:
                    os.close(handle)
        except OSError as error:
            self._has_failed = True
            self.notice = visible_line(f"Cannot write {self.path}: {error}")


def _line(entry: Entry) -> bytes:
    # ASCII with escapes, because UTF-8 cannot encode a lone surrogate.
    server = {"server": entry.server} if entry.server else {}
    return json.dumps({"room": entry.room, "text": entry.text, **server}).encode("ascii") + b"\n"


def _entry(line: bytes) -> Entry | None:
    """Parse a line into an entry that is safe to display; None if it is malformed."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    room, text, server = fields.get("room"), fields.get("text"), fields.get("server")
    if not isinstance(room, str) or not isinstance(text, str) or not text.strip() or len(text) > ENTRY_MAX:
        return None
    return Entry(visible_line(room), visible(text), visible_line(server) if isinstance(server, str) else "")


def _newest(entries: list[Entry]) -> list[Entry]:
    """The newest entries within both limits, oldest first."""
    free_bytes = FILE_BYTES
    newest: list[Entry] = []
    for entry in reversed(entries[-HISTORY_LIMIT:]):
        free_bytes -= len(_line(entry))
        if free_bytes < 0:
            break
        newest.append(entry)
    return newest[::-1]


def _tail(path: Path) -> bytes:
    """The content of the file; of a very long one only the end, from the start of a line."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - 4 * FILE_BYTES)
        file.seek(start)
        data = file.read()
    return data.partition(b"\n")[2] if start else data


@contextmanager
def _locked(directory: Path, *, exclusive: bool) -> Iterator[None]:
    """Lock `directory`: shared to append, exclusive to rewrite."""
    if sys.platform == "win32":
        # Without locks, two chats that start at the same moment can lose a line.
        yield
        return
    import fcntl

    handle = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            # Some network file systems do not support locks.
            fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)
