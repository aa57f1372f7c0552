"""Reads of the log for clients and rooms, performed by an engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import assert_never

from broadcast_tui.core.errors import EngineError, SearchTooCostlyError
from broadcast_tui.core.hub.history import PAGE_BYTES, BackfillRead, HistoryRead, Read, SearchRead
from broadcast_tui.core.names import is_direct
from broadcast_tui.core.notes import Entry
from broadcast_tui.core.text import log_safe
from broadcast_tui.engine.base import Engine

log = logging.getLogger("broadcast_tui.server")


async def read_log(read: Read, engine: Engine) -> Sequence[Entry]:
    """Read entries from the engine, in ascending order; if the engine fails, logs it and returns none.

    Raises:
        SearchTooCostlyError: The search exceeded its deadline.
    """
    try:
        match read:
            case BackfillRead():
                return await engine.read(
                    read.room,
                    before=read.before,
                    limit=read.limit,
                    from_end=True,
                    max_bytes=read.max_bytes,
                )
            case HistoryRead(pinned=True):
                return await _read_pins(read, engine)
            case HistoryRead():
                return await engine.read(
                    read.room,
                    after=read.after,
                    before=read.before,
                    limit=read.limit,
                    from_end=read.from_end,
                    max_bytes=PAGE_BYTES,
                    root=read.root,
                )
            case SearchRead():
                return await engine.search(
                    read.room, read.query, before=read.before, limit=read.limit, root=read.root
                )
            case _:
                assert_never(read)
    except SearchTooCostlyError:
        raise
    except EngineError as error:
        extra = {"event": "not_read", "reason": str(error)}
        room = "a room"
        if not is_direct(read.room):
            room = log_safe(read.room, 60)
            extra["room"] = read.room
        log.error("history of %s could not be read: %s", room, log_safe(str(error)), extra=extra)
        return []


async def _read_pins(read: HistoryRead, engine: Engine) -> Sequence[Entry]:
    """The pinned posts in the range of a read, in ascending order. Raises EngineError."""
    seqs = [
        seq
        for seq in engine.pins(read.room)
        if read.after < seq and (read.before is None or seq < read.before)
    ]
    return await engine.posts(read.room, seqs[-read.limit :] if read.from_end else seqs[: read.limit])
