"""Checks of files: configuration, directories, secrets, saved state, histories and free space."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from broadcast_tui.cli.diagnosis import Check, Status, failed, ok, skipped, warning
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.text import log_safe
from broadcast_tui.engine.sqlite_schema import FULL_BYTES, find_fault
from broadcast_tui.private_file import readable_by_others

FREE_BYTES = 100_000_000
"""Free space from which a disk counts as nearly full."""
HISTORY_LIMIT_S = 5.0
"""Longest check of one history."""
SECRETS = ("credentials.json", "*secret*", "tokens.json", "*.hooks.json", "*.pem")
LIST_MAX = 20
"""Maximum number of files of one kind to check."""


def check_configuration(path: Path, load: Callable[[], object]) -> Check:
    """Check the user's configuration file; `load` raises BroadcastError for its first mistake."""
    try:
        load()
    except BroadcastError as error:
        return failed("config", log_safe(str(error).rstrip("."), 400), f"Edit {path}")
    return ok("config", f"{path} {'is valid' if path.exists() else 'does not exist: all defaults'}")


def check_directory(id: str, what: str, path: Path) -> Iterator[Check]:
    """Check that files can be written to `path`, which is created when it is needed."""
    existing = next((parent for parent in (path, *path.parents) if parent.exists()), path)
    if not existing.is_dir() or not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        yield failed(id, f"{what}: {existing} cannot be written", f"Check owner and mode: ls -ld {existing}")
        return
    free = shutil.disk_usage(existing).free
    if free < FULL_BYTES:
        yield failed(id, f"{what}: the disk of {existing} is full", "Free some space.")
    elif free < FREE_BYTES:
        yield warning(id, f"{what}: {path}, {free // 1_000_000} MB free", "Free some space.")
    else:
        yield ok(id, f"{what}: {path}, {size_text(free)} free")


def check_secrets(directories: Iterable[Path]) -> Iterator[Check]:
    """Check that only their owner can read files with secrets."""
    found = [
        path
        for directory in dict.fromkeys(directories)
        for pattern in SECRETS
        for path in _files(directory, pattern)
    ]
    exposed = [path for path in found if readable_by_others(path)]
    for path in exposed:
        yield warning("secrets", f"Other users can read {path}", f"Run: chmod 600 {path}")
    if not exposed:
        yield ok("secrets", "Only you can read the files with secrets" if found else "No files with secrets")


def check_json(directories: Iterable[Path]) -> Iterator[Check]:
    """Check that saved files can be read; a damaged one is ignored, or stops a server."""
    broken = False
    for directory in dict.fromkeys(directories):
        for path in _files(directory, "*.json"):
            if reason := _json_fault(path):
                broken = True
                advice = f"Restore a copy of it, or move it away: mv {path} {path}.damaged"
                yield warning("saved", f"{path} is damaged: {reason}", advice)
    if not broken:
        yield ok("saved", "The saved files are readable")


def _json_fault(path: Path) -> str:
    try:
        json.loads(path.read_bytes())
    except OSError as error:
        return log_safe(error.strerror or str(error))
    except (ValueError, RecursionError):
        return "not JSON"
    return ""


def check_histories(directory: Path, given: Path | None, limit_s: float = HISTORY_LIMIT_S) -> Iterator[Check]:
    """Check a history file, or all those in the data directory."""
    paths = [given] if given is not None else _files(directory, "history-*.db")
    intact = 0
    for path in paths:
        check = check_history(path, limit_s)
        intact += check.status is Status.OK
        if check.status is not Status.OK or len(paths) == 1:
            yield check
    if not paths:
        yield skipped("history", "No histories on this machine")
    elif len(paths) > 1 and intact:
        yield ok("history", f"{intact} of {len(paths)} histories in {directory} are intact")


def check_history(path: Path, limit_s: float) -> Check:
    """Check one history file; nothing is written to it."""
    try:
        size = size_text(path.stat().st_size)
    except OSError as error:
        return failed("history", f"{path}: {log_safe(error.strerror or str(error))}", "Check the path.")
    try:
        fault = find_fault(path, limit_s)
    except TimeoutError:
        return skipped("history", f"{path} has {size}: not checked to the end within {limit_s:g} s")
    if fault:
        advice = "Restore a copy of it, or move it away and start the server with an empty history."
        return failed("history", log_safe(fault.rstrip("."), 400), advice)
    return ok("history", f"{path} is intact ({size})")


def size_text(size_bytes: int) -> str:
    """`312 kB`, `4.2 MB`, `120.0 GB`."""
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1_000:.0f} kB"
    if size_bytes < 1_000_000_000:
        return f"{size_bytes / 1_000_000:.1f} MB"
    return f"{size_bytes / 1_000_000_000:.1f} GB"


def _files(directory: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in directory.glob(pattern) if path.is_file())[:LIST_MAX]
    except OSError:
        return []
