"""What was typed, on disk: one JSON object a line, oldest first, in a file for the user alone (mode 600).

Invariants: two chats may add at the same time and neither loses a line; a line that cannot be read costs
that line only; the file is rewritten, whole or not at all, only when a chat starts and finds it too long.
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
"""Characters of the longest entry that is kept on disk."""
FILE_BYTES = 1_000_000
"""Size to which the file is brought down, and twice which it may reach in between."""


class HistoryFile:
    """The file in `directory`, which is made when the first entry is kept.

    `notice` is one sentence about what could not be read or written; empty if all is well. What cannot be
    written is not tried again.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME
        self.notice = ""
        self._broken = False

    def load(self) -> list[Entry]:
        """The entries, oldest first, at most `HISTORY_LIMIT`; a file that grew too long is shortened."""
        try:
            with _locked(self.path.parent, alone=True):
                data = _tail(self.path)
                with suppress(OSError):
                    self.path.chmod(0o600)
                entries = [entry for line in data.split(b"\n") if (entry := _entry(line)) is not None]
                kept = _newest(entries)
                unfinished = bool(data) and not data.endswith(b"\n")
                if unfinished or len(data) > 2 * FILE_BYTES or data.count(b"\n") > 2 * HISTORY_LIMIT:
                    write_private(self.path, b"".join(map(_line, kept)), sync=False)
        except FileNotFoundError:
            return []
        except OSError as error:
            self.notice = visible_line(f"{self.path} cannot be read: {error}")
            return []
        return kept

    def append(self, entry: Entry) -> None:
        """Keep `entry`, unless it is too long for the file."""
        if self._broken or len(entry.text) > ENTRY_MAX:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self.path.parent, alone=False):
                handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    # One write a line: those of two chats never mix.
                    os.write(handle, _line(entry))
                finally:
                    os.close(handle)
        except OSError as error:
            self._broken = True
            self.notice = visible_line(f"{self.path} cannot be written: {error}")


def _line(entry: Entry) -> bytes:
    # Escapes keep a lone surrogate, which UTF-8 cannot carry, from ending the program.
    return json.dumps({"room": entry.room, "text": entry.text}).encode("ascii") + b"\n"


def _entry(line: bytes) -> Entry | None:
    """The entry of a line, safe to draw, or None if it is not one."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    room, text = fields.get("room"), fields.get("text")
    if not isinstance(room, str) or not isinstance(text, str) or not text.strip() or len(text) > ENTRY_MAX:
        return None
    return Entry(visible_line(room), visible(text))


def _newest(entries: list[Entry]) -> list[Entry]:
    """The newest entries that fit into the limits, oldest first."""
    left = FILE_BYTES
    kept: list[Entry] = []
    for entry in reversed(entries[-HISTORY_LIMIT:]):
        left -= len(_line(entry))
        if left < 0:
            break
        kept.append(entry)
    return kept[::-1]


def _tail(path: Path) -> bytes:
    """The file's content; of one that is far too long its end, from the start of a line."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - 4 * FILE_BYTES)
        file.seek(start)
        data = file.read()
    return data.partition(b"\n")[2] if start else data


@contextmanager
def _locked(directory: Path, *, alone: bool) -> Iterator[None]:
    """Keep those who add (together) and those who rewrite (alone) out of each other's way."""
    if sys.platform == "win32":
        # Two chats that start in the same instant there may lose a line.
        yield
        return
    import fcntl

    handle = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            # Some network file systems have no locks.
            fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)
