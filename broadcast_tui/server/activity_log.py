"""Log lines for posts, names, frames and event loop errors. Content is logged at DEBUG only."""

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

_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")

log = logging.getLogger("broadcast_tui.server")


class _Kind(msgspec.Struct):
    type: str = ""


_kind_decoder = msgspec.json.Decoder(_Kind)


def log_broadcast(posts: Sequence[Post], rooms: Rooms) -> None:
    """Log a line for each room of `posts`, which are in order."""
    by_room: dict[str, list[Post]] = {}
    for post in posts:
        by_room.setdefault(post.room, []).append(post)
    for room_name, room_posts in by_room.items():
        room = rooms.by_name.get(room_name)
        first, last = room_posts[0], room_posts[-1]
        senders = {post.sender for post in room_posts}
        log.info(
            "broadcast %s%s from %s in %s to %d client(s)",
            first.position,
            f"…{last.position.seq}" if last is not first else "",
            log_safe(first.sender, 40) if last is first else f"{len(senders)} sender(s)",
            log_safe(room_name, 60),
            len(room.subscriptions) if room is not None else 0,
        )


def log_name(peer: Peer, old_name: str) -> None:
    """Log a line about a changed or first name of a connection."""
    if old_name:
        log.info("#%d %s is now %s", peer.id, log_safe(old_name, 40), log_safe(peer.name, 40))
    else:
        log.info("#%d is %s", peer.id, log_safe(peer.name, 40))


def log_frames(recipient: str, data: bytes) -> None:
    """Log a line for each frame in `data`."""
    for payload in text_frames(data)[0]:
        log.debug("> %s %s", recipient, describe_sent(payload))


def describe_received(data: bytes, *, welcomed: bool) -> str:
    """Text for a frame from a peer.

    A frame that may be a hello is shown by size, since it may contain a token.
    """
    try:
        is_hello = _kind_decoder.decode(data).type == "hello"
    except (msgspec.MsgspecError, ValueError, RecursionError):
        is_hello = not welcomed
    if is_hello:
        return f"a hello, {len(data)} bytes"
    return describe_sent(data)


def describe_sent(payload: bytes) -> str:
    """Text for a frame to a peer, with tokens redacted."""
    return log_safe(redact(_ESCAPED.sub(_unescape, payload.decode(errors="replace"))))


def _unescape(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


class LoopErrors:
    """Exception handler of an event loop, with limited repetition.

    At the open file limit, asyncio reports each failed `accept` with a traceback: about 4,000 lines per
    second.
    """

    def __init__(self) -> None:
        self._log_limiter = LogLimiter()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        text = str(context.get("message", ""))
        number = error.errno if isinstance(error, OSError) else None
        out_of_resources = number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
        if "_start_serving" in text and isinstance(error, ValueError):
            return  # asyncio 3.11 retries a listener a second after the failure, even if it has been closed
        suppressed = self._log_limiter.allow(f"{type(error).__name__} {number} {text[:80]}", loop.time())
        if suppressed is None:
            return
        more = f" ({suppressed} more since the last line)" if suppressed else ""
        if out_of_resources:
            log.error("cannot accept new connections: %s%s", error, more)
        else:
            log.error("event loop error: %s%s", text, more, exc_info=error)
