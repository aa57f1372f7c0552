"""What the log tells of posts and frames: who, where, how many; what they say at DEBUG alone."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from broadcast_tui.core.codec import unframed
from broadcast_tui.core.peer import Peer
from broadcast_tui.core.post import Post
from broadcast_tui.core.rooms import Rooms
from broadcast_tui.core.text import log_safe

_ESCAPE = re.compile(r"\\u00([0-9a-fA-F]{2})")

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


def log_received(peer: Peer, data: bytes) -> None:
    """A line for a frame from a connection; nothing of one that may hold a token, however it is written."""
    text = data.decode(errors="replace")
    if (peer.v1 and not peer.welcomed) or "token" in _ESCAPE.sub(_unescaped, text).casefold():
        log.debug("< #%d a frame of %d bytes that may hold a token", peer.id, len(data))
    else:
        log.debug("< #%d %s", peer.id, log_safe(text))


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def log_frames(to: str, data: bytes) -> None:
    """A line for each frame in `data`."""
    for payload in unframed(data):
        log.debug("> %s %s", to, log_safe(payload.decode(errors="replace")))
