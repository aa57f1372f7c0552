"""What the hub leaves to its shell besides reading: posts to append, topics to keep."""

from __future__ import annotations

from dataclasses import dataclass

from broadcast_tui.core.peer import Peer
from broadcast_tui.core.post import Draft


@dataclass(frozen=True, slots=True)
class Submission:
    """A post to be appended, and the connection that waits for the acknowledgement."""

    peer: Peer
    draft: Draft


@dataclass(frozen=True, slots=True)
class TopicChange:
    """A topic to be kept by the engine, then told to the room."""

    peer: Peer
    ref: str
    room: str
    topic: str
    name: str
