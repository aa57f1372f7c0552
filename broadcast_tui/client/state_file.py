"""Small files of what the program remembers: for the user alone, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_json(path: Path, value: object) -> None:
    """Replace what `path` holds by JSON, as `replace` does.

    Raises:
        OSError: the directory cannot be written; what was there is as it was.
    """
    replace(path, json.dumps(value, indent=2).encode("ascii") + b"\n")


def replace(path: Path, data: bytes) -> None:
    """Replace what `path` holds, mode 600; its directory is made if need be.

    Raises:
        OSError: the directory cannot be written; what was there is as it was.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file with mode 600.
    handle, written = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(written, path)
    except OSError:
        with suppress(OSError):
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
