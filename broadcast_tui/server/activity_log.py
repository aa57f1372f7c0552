"""What the log tells of names, posts and frames: who, where, how many; what they say at DEBUG alone."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.rooms import Rooms
from broadcast_tui.core.post import Post
from broadcast_tui.core.protocol.codec import text_frames
from broadcast_tui.core.rate_limit import LogLimiter
from broadcast_tui.core.redaction import redact
from broadcast_tui.core.text import log_safe

log = logging.getLogger("broadcast_tui.server")


def log_broadcast(posts: Sequence[Post], rooms: Rooms) -> None:
    """A line for each room that `posts`, in order, go to."""
    by_room: dict[str, list[Post]] = {}
    for post in posts:
        by_room.setdefault(post.room, []).append(post)
    for room_name, of_room in by_room.items():
        room = rooms.by_name.get(room_name)
        first, last = of_room[0], of_room[-1]
        senders = {post.sender for post in of_room}
        log.info(
            "broadcast %s%s from %s in %s to %d client(s)",
            first.position,
            f"…{last.position.seq}" if last is not first else "",
            log_safe(first.sender, 40) if last is first else f"{len(senders)} sender(s)",
            log_safe(room_name, 60),
            len(room.subscriptions) if room is not None else 0,
        )


def log_name(peer: Peer, before: str) -> None:
    """A line when a connection has a name, or another one than `before`."""
    if before:
        log.info("#%d %s is now %s", peer.id, log_safe(before, 40), log_safe(peer.name, 40))
    else:
        log.info("#%d is %s", peer.id, log_safe(peer.name, 40))


def log_frames(to: str, data: bytes) -> None:
    """A line for each frame in `data`."""
    for payload in text_frames(data)[0]:
        log.debug("> %s %s", to, shown_sent(payload))


_ESCAPED_ASCII = re.compile(r"\\u00([2-7][0-9a-fA-F])")


class _Kind(msgspec.Struct):
    type: str = ""


_kind = msgspec.json.Decoder(_Kind)


def shown_received(data: bytes, *, welcomed: bool) -> str:
    """A frame from a peer. One that is or may be a hello is told by its size: it may hold a token."""
    try:
        is_hello = _kind.decode(data).type == "hello"
    except (msgspec.MsgspecError, ValueError, RecursionError):
        is_hello = not welcomed
    if is_hello:
        return f"a hello, {len(data)} bytes"
    return shown_sent(data)


def shown_sent(payload: bytes) -> str:
    """A frame to a peer."""
    return log_safe(redact(_ESCAPED_ASCII.sub(_plain, payload.decode(errors="replace"))))


def _plain(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


class LoopErrors:
    """A loop's exception handler. asyncio reports each failed `accept` of a full process with a traceback:
    some 4,000 lines a second.
    """

    def __init__(self) -> None:
        self._repeats = LogLimiter()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        text = str(context.get("message", ""))
        number = error.errno if isinstance(error, OSError) else None
        full = number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
        if "_start_serving" in text and isinstance(error, ValueError):
            return  # asyncio 3.11 tries a listener again a second after it was full, closed or not
        held = self._repeats.allow(f"{type(error).__name__} {number} {text[:80]}", loop.time())
        if held is None:
            return
        also = f" ({held} more like it before)" if held else ""
        if full:
            log.error("no new connection can be taken: %s%s", error, also)
        else:
            log.error("the event loop reports: %s%s", text, also, exc_info=error)
