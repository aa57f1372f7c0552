"""The lock that lets only one server open a history file.

SQLite's own exclusive mode would also shut out the reading connections of the server itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

LOCK_OFFSET = 0x40000000 + 1024
"""Offset of the locked byte. SQLite stores nothing in the page around 1 GiB, where its own lock bytes are,
and uses the first 512 bytes after this limit for them."""
RETRY_S = 0.05

_open_files: set[tuple[int, int]] = set()
"""Device and inode of the files locked by this process, which POSIX locks do not exclude."""
_registry = threading.Lock()


class FileLock:
    """An exclusive lock of a file, whatever its path, until `release`.

    A process loses all POSIX locks of a file when it closes *any* descriptor of it. SQLite therefore must
    have closed its connections before `release`. In turn, `acquire` must be repeated when SQLite has begun
    to hold a lock, since SQLite releases all of them together at the end of its last lock.

    Args:
        path: An existing file.

    Raises:
        OSError: The file cannot be opened.
        BlockingIOError: The file is locked, and still is after `wait_s` seconds.
    """

    def __init__(self, path: Path, *, wait_s: float = 0.0) -> None:
        deadline = time.monotonic() + wait_s
        while not self._try_open(path):
            if time.monotonic() >= deadline:
                raise BlockingIOError("locked")
            time.sleep(RETRY_S)

    def _try_open(self, path: Path) -> bool:
        status = path.stat()
        self._key = status.st_dev, status.st_ino
        with _registry:
            if self._key in _open_files:
                return False
            self._descriptor = os.open(path, os.O_RDWR)
            try:
                self.acquire()
            except BlockingIOError:
                os.close(self._descriptor)
                return False
            _open_files.add(self._key)
        return True

    def acquire(self) -> None:
        """Lock the file again if needed.

        Raises:
            BlockingIOError: Another process has locked it.
        """
        os.lseek(self._descriptor, LOCK_OFFSET, os.SEEK_SET)
        if sys.platform == "win32":
            import msvcrt

            with contextlib.suppress(OSError):
                msvcrt.locking(self._descriptor, msvcrt.LK_UNLCK, 1)
            try:
                msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)
            except OSError as error:
                raise BlockingIOError("locked") from error
        else:
            import fcntl

            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
            except PermissionError as error:  # EACCES means the same as EAGAIN
                raise BlockingIOError("locked") from error

    def release(self) -> None:
        """Unlock the file. Every SQLite connection to it must be closed."""
        with _registry:
            os.close(self._descriptor)
            _open_files.discard(self._key)
