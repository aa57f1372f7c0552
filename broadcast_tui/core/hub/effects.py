"""What the hub leaves to its shell besides reading: posts to append, topics to keep."""

from __future__ import annotations

import msgspec

from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.post import NewPost


class PendingPost(msgspec.Struct, frozen=True):
    """A post to be appended, and the connection that waits for the acknowledgement."""

    peer: Peer
    draft: NewPost


class TopicChange(msgspec.Struct, frozen=True):
    """A topic to be kept by the engine, then told to the room."""

    peer: Peer
    ref: str
    room: str
    topic: str
    name: str
