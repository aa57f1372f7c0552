"""A file beside a history that tells whether the history is older than what was sent to clients.

If an older copy of a history is put back, or its write-ahead log is lost, the next posts get seqs that other
posts already had. Clients could not notice. The epoch file contains the id of the newest post that was sent,
so that such a history starts a new epoch, and clients learn that their positions are gone.

The file is written after every commit, which costs a few microseconds, and synced every few seconds. After a
power failure, it may therefore name an older post than the newest one, but never a newer one, since a commit
is on disk before it is written. A copy of both files is noticed by its inode or modification time, unless
the copy preserved both. An image of a whole disk cannot be noticed.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import msgspec

RECORD_BYTES = 256
"""Size of the file. A disk writes it as a whole."""
SYNC_EVERY_S = 5.0
MODIFIED_AFTER_S = 120.0
"""Longest time between a write and the file's modification time. They differ after a power failure, when one
may be on disk without the other."""


class Record(msgspec.Struct, frozen=True):
    """The content of the file."""

    epoch: str
    last_id: int
    """Id of the newest post that was sent."""
    inode: int
    written_at: float
    """Unix time."""


class EpochFile:
    """The epoch file of a history. Used by the writing thread only.

    Args:
        history: The history file; symbolic links are followed.
    """

    def __init__(self, history: Path) -> None:
        self.path = Path(f"{os.path.realpath(history)}-epoch")
        self._descriptor = -1
        self._epoch = ""
        self._inode = 0
        self._synced_at = 0.0

    def load(self) -> Record | None:
        """The current content; None if the file does not exist or is invalid."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return None

    def is_from(self, epoch: str) -> bool:
        """Whether the file belongs to the epoch."""
        record = self.load()
        return record is not None and record.epoch == epoch

    def fault(self, epoch: str, last_id: int, *, required: bool) -> str:
        """Why a history with this epoch and newest post must start a new epoch; empty if it need not.

        Args:
            required: Whether the history is known to have an epoch file. Otherwise, none need exist: the
                history is new, is from a version without epoch files, or has lost its log.
        """
        record = self.load()
        if record is None:
            return f"{self.path.name} is missing or damaged" if required else ""
        if record.epoch != epoch:
            return f"{self.path.name} belongs to another history"
        if record.last_id > last_id:
            return f"{record.last_id - last_id} post(s) that were sent are missing"
        status = self.path.stat()
        if status.st_ino != record.inode or status.st_mtime > record.written_at + MODIFIED_AFTER_S:
            return f"{self.path.name} is a copy"
        return ""

    def create(self, epoch: str, last_id: int) -> None:
        """Create or replace the file, and sync it. Raises OSError."""
        self.close()
        temporary = self.path.with_name(f"{self.path.name}-new")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        self._open(temporary, epoch, os.O_CREAT | os.O_EXCL)
        self.write(last_id)
        self.close()  # Windows cannot rename an open file
        temporary.replace(self.path)
        self.open(epoch)

    def open(self, epoch: str) -> None:
        """Open the existing file. Raises OSError."""
        self._open(self.path, epoch, 0)

    def _open(self, path: Path, epoch: str, flags: int) -> None:
        self._descriptor = os.open(path, os.O_RDWR | flags | getattr(os, "O_BINARY", 0), 0o600)
        self._epoch = epoch
        self._inode = os.fstat(self._descriptor).st_ino

    def write(self, last_id: int) -> None:
        """Record the newest post before it is sent. Raises OSError."""
        record = Record(self._epoch, last_id, self._inode, time.time())
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, msgspec.json.encode(record).ljust(RECORD_BYTES - 1) + b"\n")
        if time.monotonic() - self._synced_at >= SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Wait until the file is on disk."""
        os.fsync(self._descriptor)
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Sync and close the file, if it is open."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self.sync()
            os.close(self._descriptor)
            self._descriptor = -1
