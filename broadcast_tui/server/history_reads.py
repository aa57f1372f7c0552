"""What the hub wants to read of a room's log, asked of the engine."""

from __future__ import annotations

import logging
from typing import assert_never

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.post import Post
from broadcast_tui.core.reading import HistoryRead, Read, SearchRead, WarmRead
from broadcast_tui.core.text import log_safe
from broadcast_tui.engine.base import Engine

log = logging.getLogger("broadcast_tui.server")


async def posts_for(read: Read, engine: Engine) -> list[Post]:
    """The posts, oldest first; none, and a line in the log, if the engine cannot read."""
    try:
        match read:
            case WarmRead():
                return await engine.read(read.room, before=read.before, limit=read.limit, from_end=True)
            case HistoryRead():
                return await engine.read(
                    read.room, after=read.after, before=read.before, limit=read.limit, from_end=read.from_end
                )
            case SearchRead():
                return await engine.search(read.room, read.query, before=read.before, limit=read.limit)
            case _:
                assert_never(read)
    except EngineError as error:
        log.error("history of %s could not be read: %s", log_safe(read.room, 60), log_safe(str(error)))
        return []
