"""What admins did, into the log and into the file that keeps it.

Invariant: what could not be written is tried again until it is, at the latest when the server stops.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.hub.moderation import Moderation
from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.core.text import log_safe
from broadcast_tui.private_file import write_private

RETRY_S = 5.0
"""How long to wait after the file could not be written."""


audit = logging.getLogger("broadcast_tui.audit")


class SanctionStore:
    """Looks after the moderation of a hub; without a file, what is decided ends with the server."""

    def __init__(self, moderation: Moderation, file: SanctionFile | None) -> None:
        self._moderation = moderation
        self._file = file
        self._saving: asyncio.Task[None] | None = None
        self._has_failed = False
        self._retry_at = 0.0

    @property
    def unsaved(self) -> bool:
        """Whether something was decided that is not in the file yet."""
        return self._file is not None and (self._moderation.sanctions.changed or self._saving is not None)

    def look(self) -> None:
        """Log and keep what is new. Returns at once."""
        moderation, loop = self._moderation, asyncio.get_running_loop()
        lines, moderation.audit = moderation.audit, []
        for line in lines:
            audit.warning("%s", line)
        if moderation.sanctions.changed and self._saving is None and loop.time() >= self._retry_at:
            self._saving = loop.create_task(self._save())

    async def finish(self) -> None:
        """Wait until all is kept, or is lost, which is logged."""
        if self._saving is not None:
            await self._saving
        if self._moderation.sanctions.changed:
            await self._save()
            if self.unsaved:
                audit.error("the bans and mutes that could not be kept end with the server")

    async def _save(self) -> None:
        sanctions = self._moderation.sanctions
        sanctions.changed = False
        try:
            if self._file is not None:
                await self._file.save(sanctions.all(datetime.now(UTC)))
        except SanctionFileError as error:
            sanctions.changed = True
            self._retry_at = asyncio.get_running_loop().time() + RETRY_S
            if not self._has_failed:
                audit.error("%s They hold all the same; it is tried again.", log_safe(str(error), 400))
            self._has_failed = True
        else:
            if self._has_failed:
                audit.warning("the bans are kept again")
            self._has_failed = False
        finally:
            self._saving = None


_decoder = msgspec.json.Decoder(list[Sanction])


class SanctionFileError(BroadcastError):
    """The file cannot be read or written; the environment's fault. What was in it still is."""


class SanctionFile:
    """A JSON list of `Sanction` at `path`; none there is an empty one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = asyncio.Lock()

    def load(self) -> list[Sanction]:
        """What the file holds. Raises SanctionFileError."""
        try:
            return _decoder.decode(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SanctionFileError(f"The bans in {self.path} cannot be read: {error.strerror}.") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SanctionFileError(
                f"{self.path} is no list of bans ({error}); mend it, or move it away."
            ) from error

    async def save(self, sanctions: Sequence[Sanction]) -> None:
        """Put these in its place, one call after another. Raises SanctionFileError."""
        async with self._writing:
            await asyncio.to_thread(self._write, list(sanctions))

    def _write(self, sanctions: list[Sanction]) -> None:
        data = msgspec.json.format(msgspec.json.encode(sanctions), indent=2) + b"\n"
        try:
            write_private(self.path, data)
        except OSError as error:
            raise SanctionFileError(f"The bans cannot be kept in {self.path}: {error.strerror}.") from error
