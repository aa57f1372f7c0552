"""Files for the user alone: mode 600, written whole or not at all, one writer at a time.

A leaf of its own: it imports nothing of the package, so that server and client can both use it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


def write_private(path: Path, content: str | bytes, *, sync: bool = True) -> None:
    """Replace `path` by `content` in one step; its directory is made (mode 700) if need be.

    With `sync` it is on the disk before this returns, which may take long: not for a screen's loop.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file with mode 600.
    handle, written = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(written, path)
    except (OSError, UnicodeError):
        with contextlib.suppress(OSError):
            os.unlink(written)
        raise


def readable_by_others(path: Path) -> bool:
    """Whether more than its owner may read or write the file; False where the system has no such modes."""
    if sys.platform == "win32":
        return False
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False


@contextlib.contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Keep other processes from changing `path` meanwhile; waits for one that does.

    Raises:
        OSError: the directory cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
