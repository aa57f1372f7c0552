"""Bans and mutes in a file of the operator's, to be kept over restarts, read by people and edited by hand.

Invariants: the file is whole at any time, whenever the power goes; nobody else may read it, for it holds
addresses and client ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.sanctions import Sanction
from broadcast_tui.private_file import write_private

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
