"""What the log tells of names, posts and frames: who, where, how many; what they say at DEBUG alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from broadcast_tui.core.codec import text_frames
from broadcast_tui.core.peer import Peer
from broadcast_tui.core.post import Post
from broadcast_tui.core.rooms import Rooms
from broadcast_tui.core.text import log_safe
from broadcast_tui.server.frame_log import shown_sent

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
