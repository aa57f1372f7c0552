"""A post and the `message` event that carries it, both ways."""

from __future__ import annotations

from datetime import UTC, datetime

from broadcast_tui.core.events import Message
from broadcast_tui.core.instant import Instant
from broadcast_tui.core.post import Position, Post, timestamp


def message_of(post: Post) -> Message:
    """The `message` event of a post."""
    return Message(post.text, post.sender, timestamp(post.at), str(post.position), post.room, post.nonce)


def post_of(event: Message, when: Instant) -> Post:
    """The post in a `message` event; without a usable id its position is `("", 0)`."""
    position = Position.parse(event.id) or Position("", 0)
    return Post(
        event.room, position, event.sender, event.message, parse_time(event.timestamp, when), event.nonce
    )


def parse_time(text: str, when: Instant) -> datetime:
    """A server's time stamp; our own time when it is none, or one that no calendar here can show."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return when.at
    if not 1970 <= at.year <= 9000:
        return when.at
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
