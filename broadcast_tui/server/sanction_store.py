"""Persistence of bans and mutes, and the audit log of admin actions.

Invariant: a failed save is retried until it succeeds, and once more when the server stops.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.sanctions import Sanction, Sanctions
from broadcast_tui.core.text import log_safe
from broadcast_tui.private_file import write_private

RETRY_S = 5.0
"""Delay before a failed save is retried."""

audit = logging.getLogger("broadcast_tui.audit")
_decoder = msgspec.json.Decoder(list[Sanction])


class SanctionFileError(BroadcastError):
    """The file cannot be read or written; its content is unchanged."""


class SanctionFile:
    """A JSON list of `Sanction` at `path`. A missing file is an empty list."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = asyncio.Lock()

    def load(self) -> list[Sanction]:
        """Read the file. Raises SanctionFileError."""
        try:
            return _decoder.decode(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SanctionFileError(f"Cannot read the bans in {self.path}: {error.strerror}.") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SanctionFileError(
                f"{self.path} is not a valid list of bans ({error}). Repair it or move it away."
            ) from error

    async def save(self, sanctions: Sequence[Sanction]) -> None:
        """Replace the content of the file. Raises SanctionFileError."""
        async with self._lock:
            await asyncio.to_thread(self._write, list(sanctions))

    def _write(self, sanctions: list[Sanction]) -> None:
        data = msgspec.json.format(msgspec.json.encode(sanctions), indent=2) + b"\n"
        try:
            write_private(self.path, data)
        except OSError as error:
            raise SanctionFileError(f"Cannot save the bans to {self.path}: {error.strerror}.") from error


class SanctionSaver(Protocol):
    """Where sanctions are saved."""

    async def save(self, sanctions: Sequence[Sanction]) -> None:
        """Replace the saved sanctions. Raises SanctionFileError."""
        ...


class SanctionStore:
    """Saves the sanctions of a hub after each change, and logs its audit lines.

    Args:
        file: Where to save; otherwise, bans and mutes are lost on restart.
    """

    def __init__(self, sanctions: Sanctions, effects: Effects, file: SanctionSaver | None) -> None:
        self._sanctions = sanctions
        self._effects = effects
        self._file = file
        self._saving: asyncio.Task[None] | None = None
        self._has_failed = False
        self._retry_at = 0.0

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that have not been saved yet."""
        return self._file is not None and (self._effects.sanctions_changed or self._saving is not None)

    def poll(self) -> None:
        """Log new audit lines and start to save changes. Returns at once."""
        loop = asyncio.get_running_loop()
        for line in self._effects.take_audit_lines():
            audit.warning("%s", line.text, extra=line.fields)
        if self._effects.sanctions_changed and self._saving is None and loop.time() >= self._retry_at:
            self._saving = loop.create_task(self._save())

    async def drain(self) -> None:
        """Wait until all changes have been saved; if that fails, logs that they are lost."""
        if self._saving is not None:
            await self._saving
        if self._effects.sanctions_changed:
            await self._save()
            if self.unsaved:
                audit.error("bans and mutes that could not be saved are lost")

    async def _save(self) -> None:
        self._effects.sanctions_changed = False
        try:
            if self._file is not None:
                await self._file.save(self._sanctions.all(datetime.now(UTC)))
        except SanctionFileError as error:
            self._effects.sanctions_changed = True
            self._retry_at = asyncio.get_running_loop().time() + RETRY_S
            if not self._has_failed:
                audit.error("%s They stay in force; saving will be retried.", log_safe(str(error), 400))
            self._has_failed = True
        else:
            if self._has_failed:
                audit.warning("the bans have been saved")
            self._has_failed = False
        finally:
            self._saving = None
