"""What admins did, into the log and into the file that keeps it."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from broadcast_tui.core.moderation import Moderation
from broadcast_tui.core.text import log_safe
from broadcast_tui.server.sanction_file import SanctionFile, SanctionFileError

audit = logging.getLogger("broadcast_tui.audit")


class ModerationKeeper:
    """Looks after the moderation of a hub; without a file, what is decided ends with the server."""

    def __init__(self, moderation: Moderation, file: SanctionFile | None) -> None:
        self._moderation = moderation
        self._file = file
        self._saving: set[asyncio.Task[None]] = set()

    def look(self) -> None:
        """Log and keep what is new. Returns at once."""
        moderation = self._moderation
        lines, moderation.audit = moderation.audit, []
        for line in lines:
            audit.info("%s", line)
        if moderation.sanctions.changed:
            moderation.sanctions.changed = False
            if self._file is not None:
                saving = asyncio.get_running_loop().create_task(self._save(self._file))
                self._saving.add(saving)
                saving.add_done_callback(self._saving.discard)

    async def finish(self) -> None:
        """Wait until all is kept."""
        if self._saving:
            await asyncio.gather(*self._saving)

    async def _save(self, file: SanctionFile) -> None:
        try:
            await file.save(self._moderation.sanctions.all(datetime.now(UTC)))
        except SanctionFileError as error:
            audit.error("%s They hold until the server stops.", log_safe(str(error), 400))
