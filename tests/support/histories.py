"""Random histories, and what clients can read of a history, to compare copies with their source."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import msgspec
from hypothesis import strategies as st

from broadcast_tui.core.notes import Entry, NewEntry, Note
from broadcast_tui.core.post import NewPost, Position, Post
from broadcast_tui.engine import memory_search, sqlite
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.engine.test_note_machine import entries
from tests.support.retention import trim_to
from tests.support.running import PATIENCE_S

ROOMS = ("lobby", "dev", "@ana+ben", "büro")
EMPTY = "empty"
"""A room that has only a topic."""
WORDS = ("apple", "pear", "plum")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = 10_000


@dataclass(frozen=True)
class Chat:
    """What happens in a history."""

    batches: Sequence[Sequence[NewEntry]]
    topics: dict[str, str] = field(default_factory=dict)
    keep_posts: int = 0
    """Number of entries that are kept of each room; 0: all."""


def _batch(found: list[tuple[str, NewEntry]]) -> list[NewEntry]:
    return [msgspec.structs.replace(entry, room=room) for room, entry in found]


batches = st.lists(st.tuples(st.sampled_from(ROOMS), entries), min_size=1, max_size=12).map(_batch)
topics = st.dictionaries(
    st.sampled_from((*ROOMS, "empty")), st.sampled_from(("Tea", "Kaffee ☕")), max_size=2
)
chats = st.builds(Chat, st.lists(batches, max_size=5), topics, st.integers(0, 8))


async def hold(engine: Engine, chat: Chat) -> None:
    """Append everything to an engine. Notes and replies name a post by its distance from the end."""
    for batch in chat.batches:
        await engine.append(
            [
                msgspec.structs.replace(entry, re=max(0, engine.last_seq(entry.room) - entry.re))
                for entry in batch
            ]
        )
    for room, topic in chat.topics.items():
        await engine.set_topic(room, topic)
    if chat.keep_posts and isinstance(engine, SqliteEngine):
        await trim_to(engine, keep_posts=chat.keep_posts)


async def append_posts(engine: Engine, room: str, *texts: str, at: datetime = AT) -> None:
    """Append posts of ana, a second apart."""
    await engine.append(
        [
            NewPost(room, "ana", text, at + timedelta(seconds=number), author="name ana")
            for number, text in enumerate(texts)
        ]
    )


@contextlib.contextmanager
def _patient_search() -> Iterator[None]:
    """Let searches take as long as a busy machine needs: their limit is about time, not about work."""
    with (
        patch.object(sqlite, "SEARCH_TIME_LIMIT_S", PATIENCE_S),
        patch.object(memory_search, "SEARCH_TIME_LIMIT_S", PATIENCE_S),
    ):
        yield


async def contents(engine: Engine) -> dict[str, Any]:
    """All that can be read of an engine, except the epoch of positions. Its rooms must be open."""
    rooms: dict[str, Any] = {}
    for room in engine.room_names():
        read = [_without_epoch(entry) for entry in await engine.read(room, limit=ALL)]
        posts = [entry.position.seq for entry in read if isinstance(entry, Post)]
        threads = {
            root: [post.position.seq for post in await engine.read(room, limit=ALL, root=root)]
            for root in posts
        }
        with _patient_search():
            hits = {
                word: [post.position.seq for post in await engine.search(room, word, limit=ALL)]
                for word in WORDS
            }
        rooms[room] = {
            "bounds": (engine.first_seq(room), engine.last_seq(room)),
            "topic": engine.topic(room),
            "entries": read,
            "posts": [_without_epoch(post) for post in await engine.posts(room, posts)],
            "pins": list(engine.pins(room)),
            "asks": list(engine.open_asks(room)),
            "threads": threads,
            "hits": hits,
        }
    return {"rooms": rooms, "pending": sorted(engine.pending_summaries())}


def _without_epoch(entry: Entry) -> Entry:
    changed: Entry = msgspec.structs.replace(entry, position=Position("", entry.position.seq))
    if isinstance(changed, Note) and changed.post is not None:
        return msgspec.structs.replace(changed, post=_without_epoch(changed.post))
    return changed
