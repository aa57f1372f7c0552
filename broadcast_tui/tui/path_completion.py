"""Completion of file paths, for /export."""

from __future__ import annotations

import os
from itertools import islice

from broadcast_tui.core.text import visible_line

ENTRIES_MAX = 2_000
"""Directory entries read at most, so that Tab responds at once."""


def complete_path(typed: str) -> tuple[str, ...]:
    """Return the paths that start with `typed`, sorted, in the form typed; directories end with `/`.

    Hidden files are included only if the dot is typed. Names with unprintable characters are skipped.
    Empty if the directory cannot be read.
    """
    directory, prefix = os.path.split(typed)
    head = typed[: len(typed) - len(prefix)]
    try:
        with os.scandir(os.path.expanduser(directory) or ".") as entries:
            names = [
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry in islice(entries, ENTRIES_MAX)
                if entry.name.startswith(prefix) and (prefix or not entry.name.startswith("."))
            ]
    except (OSError, ValueError):
        return ()
    return tuple(f"{head}{name}" for name in sorted(names) if visible_line(name) == name)
