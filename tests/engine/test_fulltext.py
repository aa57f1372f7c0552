"""Search terms, matching, and the search of posts in memory."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.errors import SearchTooCostlyError
from broadcast_tui.core.post import NewPost, Position, Post
from broadcast_tui.engine.fulltext import SEARCH_TIME_LIMIT_S, TERMS_MAX, Matcher, fold, query_terms, words_of
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.memory_search import SLICE_CHARS, SLICE_S, search_posts

AT = datetime(2025, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", []),
        ("!? _ ...", []),
        ("tea", ["tea"]),
        ("Tea TEA téa", ["tea"]),
        ("te tea t teapot green", ["teapot", "green"]),
        ("a b a b", ["a", "b"]),
        ("eat tea", ["eat", "tea"]),
        (" ".join("abcdefghijklmnopqrstuvwxyz"), list("abcdefgh")),
        (
            "the quick brown fox jumps over the lazy dog near river banks",
            ["banks", "brown", "jumps", "quick", "river", "lazy", "near", "over"],
        ),
    ],
)
def test_terms_are_the_longest_words_without_redundant_ones(query: str, terms: list[str]) -> None:
    assert query_terms(query) == terms
    assert len(terms) <= TERMS_MAX


@given(query=st.text(alphabet="abAB é_ ", max_size=12), text=st.text(alphabet="abAB é_ ", max_size=20))
def test_dropping_redundant_words_does_not_change_what_matches(query: str, text: str) -> None:
    words = words_of(text)
    expected = bool(words_of(query)) and all(
        any(word.startswith(prefix) for word in words) for prefix in words_of(query)
    )
    assert Matcher(query_terms(query)).matches(fold(text)) == expected


@given(text=st.text(max_size=50))
def test_folded_text_has_no_case_and_no_accents(text: str) -> None:
    folded = fold(text)
    assert not any(map(unicodedata.combining, folded))
    assert fold(folded) == folded or not text.isascii()


def posts(*texts: str) -> list[Post]:
    return [Post("lobby", Position("e", seq), "ana", text, AT) for seq, text in enumerate(texts, 1)]


class Clock:
    """A clock that advances by `step_s` at each look."""

    def __init__(self, step_s: float) -> None:
        self.now = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


async def test_search_returns_to_the_event_loop_after_each_slice() -> None:
    turns = 0
    done = False

    async def others() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    found = await search_posts(posts(*["x" * SLICE_CHARS] * 50, "tea"), "tea", 10, Clock(SLICE_S))
    done = True
    await task
    assert [post.text for post in found] == ["tea"]
    assert turns >= 50


async def test_concurrent_searches_share_the_slices_of_one() -> None:
    engine = MemoryEngine(search_clock=Clock(SLICE_S))
    await engine.append([NewPost("lobby", "ana", "x" * SLICE_CHARS, AT) for _ in range(20)])
    turns = 0
    searches = [asyncio.create_task(engine.search("lobby", "tea", limit=10)) for _ in range(10)]
    while not all(task.done() for task in searches):
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 10 * 20


async def test_search_beyond_the_time_limit_is_rejected() -> None:
    texts = ["x" * SLICE_CHARS] * 10
    with pytest.raises(SearchTooCostlyError, match="takes too long"):
        await search_posts(posts(*texts), "tea", 10, Clock(SEARCH_TIME_LIMIT_S / 5))
    assert await search_posts(posts(*texts), "tea", 10, Clock(SEARCH_TIME_LIMIT_S / 50)) == []


async def test_search_stops_at_the_limit_without_looking_at_the_rest() -> None:
    looked_at = 0

    def counted() -> Iterator[Post]:
        nonlocal looked_at
        for post in posts("tea", "coffee", "tea", "tea"):
            looked_at += 1
            yield post

    found = await search_posts(counted(), "te", 2, Clock(0.0))
    assert [post.position.seq for post in found] == [1, 3]
    assert looked_at == 3


async def test_cancelled_search_stops() -> None:
    clock = Clock(SLICE_S)
    task = asyncio.create_task(search_posts(posts(*["x" * SLICE_CHARS] * 100), "tea", 10, clock))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.now < 5 * SLICE_S


async def test_searches_in_memory_take_one_slice_of_each_turn_together() -> None:
    clock = Clock(SLICE_S)
    engine = MemoryEngine(search_clock=clock)
    await engine.append([NewPost("lobby", "ana", "x" * SLICE_CHARS, AT) for _ in range(100)])
    searches = [asyncio.create_task(engine.search("lobby", "tea", limit=1)) for _ in range(20)]
    for _ in range(10):
        before = clock.now
        await asyncio.sleep(0)
        assert clock.now - before <= 3 * SLICE_S
    for search in searches:
        search.cancel()
    await asyncio.gather(*searches, return_exceptions=True)
