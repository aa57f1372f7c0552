"""Small files of what the program remembers: for the user alone, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from broadcast_tui.private_file import write_private


def write_json(path: Path, value: object) -> None:
    """Replace what `path` holds by JSON, without waiting for the disk.

    Raises:
        OSError: the directory cannot be written; what was there is as it was.
    """
    write_private(path, json.dumps(value, indent=2) + "\n", sync=False)


def read_object(path: Path) -> tuple[dict[str, object], str]:
    """The JSON object that `path` holds, empty if there is none, and one sentence if it is not as written."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"Ignoring {path}, which cannot be read: {error}"
    if not isinstance(value, dict):
        return {}, f"Ignoring {path}, which is not what this program writes"
    return value, ""
