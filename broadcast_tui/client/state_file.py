"""Small files of what the program remembers: JSON for the user alone, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path


def write_json(path: Path, value: object) -> None:
    """Replace what `path` holds, mode 600; its directory is made if need be.

    Raises:
        OSError: the directory cannot be written; what was there is as it was.
        UnicodeError: text in `value` has half of a surrogate pair.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file with mode 600.
    handle, written = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(value, indent=2) + "\n")
        os.replace(written, path)
    except (OSError, UnicodeError):
        os.unlink(written)
        raise


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
