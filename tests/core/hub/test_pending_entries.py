"""Batches of posts: everything that has arrived, or a fair part of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.pending_entries import BATCH_CHARS, BATCH_ENTRIES, PendingEntries, PendingEntry
from broadcast_tui.core.post import NewPost

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Author:
    """The part of a connection that a batch depends on."""

    def __init__(self, rate_limit_key: str = "") -> None:
        self.rate_limit_key = rate_limit_key


def post(author: Author, text: str) -> PendingEntry:
    return PendingEntry(cast("Peer", author), NewPost("lobby", "ana", text, AT))


def texts(batch: list[PendingEntry]) -> list[str]:
    return [pending.entry.text for pending in batch if isinstance(pending.entry, NewPost)]


def test_a_batch_has_all_posts_in_order_of_arrival() -> None:
    posts = PendingEntries()
    ana, ben = Author("192.0.2.1"), Author()
    for number in range(BATCH_ENTRIES):
        posts.append(post((ana, ana, ben)[number % 3], str(number)))
    assert len(posts) == BATCH_ENTRIES
    assert texts(posts.take_batch()) == [str(number) for number in range(BATCH_ENTRIES)]
    assert not posts


def test_long_posts_of_one_address_delay_others_by_one_batch() -> None:
    posts = PendingEntries()
    flood = [Author("192.0.2.1") for _ in range(32)]
    for number in range(125):
        posts.append(post(flood[number % 32], "x" * 16_384))
    for number in range(3):
        posts.append(post(Author("192.0.2.2"), str(number)))
    batch = texts(posts.take_batch())
    assert [text for text in batch if text != "x" * 16_384] == ["0", "1", "2"]
    assert sum(map(len, batch)) <= BATCH_CHARS + 16_384
    posts.append(post(Author("192.0.2.3"), "late"))
    assert "late" in texts(posts.take_batch())
    while posts:
        assert posts.take_batch()


def test_many_short_posts_of_one_address_delay_others_by_one_batch() -> None:
    posts = PendingEntries()
    for number in range(10 * BATCH_ENTRIES):
        posts.append(post(Author("192.0.2.1"), str(number)))
    posts.append(post(Author(), "hello"))
    batch = texts(posts.take_batch())
    assert len(batch) == BATCH_ENTRIES
    assert batch[:3] == ["0", "hello", "1"]


def test_exempt_connections_take_turns_each_for_itself() -> None:
    posts = PendingEntries()
    busy, other = Author(), Author()
    for number in range(2 * BATCH_ENTRIES):
        posts.append(post(busy, str(number)))
    posts.append(post(other, "hello"))
    assert "hello" in texts(posts.take_batch())
    assert len(posts) == BATCH_ENTRIES + 1
