"""Which files there are, for a path of which the beginning is typed."""

from __future__ import annotations

import os
from itertools import islice

from broadcast_tui.core.text import visible_line

ENTRIES_MAX = 2_000
"""Entries of a directory that are looked at: Tab is answered at once, however many there are."""


def paths_like(typed: str) -> tuple[str, ...]:
    """The paths that begin with `typed`, by name, as they would be typed; directories end with `/`.

    Hidden files only if their dot is typed; none whose names cannot be drawn as they are. Empty if the
    directory cannot be read.
    """
    directory, begun = os.path.split(typed)
    head = typed[: len(typed) - len(begun)]
    try:
        with os.scandir(os.path.expanduser(directory) or ".") as entries:
            found = [
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry in islice(entries, ENTRIES_MAX)
                if entry.name.startswith(begun) and (begun or not entry.name.startswith("."))
            ]
    except (OSError, ValueError):
        return ()
    return tuple(f"{head}{name}" for name in sorted(found) if visible_line(name) == name)
