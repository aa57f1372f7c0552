"""Private files: mode 600, written atomically, with one writer at a time.

It imports nothing from the package, so that both server and client can use it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Some network file systems have no locks."""


def write_private(path: Path, content: str | bytes, *, sync: bool = True, replace: bool = True) -> None:
    """Replace the content of `path` atomically; creates its directory (mode 700) if needed.

    Args:
        sync: Wait until the data is on disk. That may take long: do not use it in an event loop.
        replace: Replace a file that exists; otherwise FileExistsError is raised.

    Raises:
        OSError: It cannot be written; the old content is unchanged.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp creates the file with mode 600.
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            _publish(temporary, path)
    except (OSError, UnicodeError):
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _publish(temporary: str, path: Path) -> None:
    """Give a temporary file its name. Raises FileExistsError if there is such a file."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # some file systems have no hard links
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.replace(temporary, path)
    else:
        os.unlink(temporary)


def readable_by_others(path: Path) -> bool:
    """Whether users other than the owner can read or write the file; False on systems without file modes."""
    if sys.platform == "win32":
        return False
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False


@contextlib.contextmanager
def sole_writer(path: Path, *, timeout_s: float | None = None) -> Iterator[None]:
    """Lock `path` against other writers; waits for the current one.

    Args:
        timeout_s: Longest wait; None: unlimited.

    Raises:
        OSError: The directory is not writable, or (TimeoutError) another process holds the lock.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
        else:
            _lock(handle, timeout_s)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, timeout_s: float | None) -> None:
    """Lock an open file exclusively."""
    import fcntl

    if timeout_s is None:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process is writing it") from None
            time.sleep(0.01)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
            raise
