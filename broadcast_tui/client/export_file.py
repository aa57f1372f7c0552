"""Files of exports: readable only by the user, complete or absent, and never overwritten by accident."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.private_file import write_private


class ExportFileError(BroadcastError):
    """A file cannot be written; the text says why. `exists` if another one is in the way."""

    def __init__(self, text: str, *, exists: bool = False) -> None:
        super().__init__(text)
        self.exists = exists


def check_target(path: Path, *, force: bool) -> None:
    """Check that an export can be written to `path`, before the history is read.

    Raises:
        ExportFileError: There is no such directory, or a file that must not be replaced.
    """
    if not path.parent.is_dir():
        raise ExportFileError(f"No such directory: {path.parent}")
    if path.is_dir():
        raise ExportFileError(f"{path} is a directory")
    if path.exists() and not force:
        raise ExportFileError(f"{path} already exists", exists=True)


def write_lines(path: Path, lines: Iterable[str], *, force: bool) -> None:
    """Write lines as UTF-8 to a file, or with `force` in place of one.

    Raises:
        ExportFileError: It cannot be written; a former file is unchanged.
    """
    content = "".join(f"{line}\n" for line in lines)
    check_target(path, force=force)
    try:
        if path.exists() and not path.is_file():  # such as /dev/null or a named pipe
            path.write_text(content, encoding="utf-8", newline="\n")
        else:
            write_private(path.resolve() if path.is_symlink() else path, content, replace=force)
    except FileExistsError as error:
        raise ExportFileError(f"{path} already exists", exists=True) from error
    except OSError as error:
        raise ExportFileError(f"Cannot write {path}: {error.strerror or error}") from error
