"""The contract of `engine.base`, for all engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.notes import Entry
from broadcast_tui.core.post import NewPost, Position, Post
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.dedup import DEDUP_S
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.engine.volatile import VolatileRoomsEngine
from tests.support.entries import entry_tail, texts_of
from tests.support.redis_engines import REDIS, REDIS_ENGINES, redis_engine
from tests.support.running import in_time

AT = datetime(2025, 8, 30, 10, 30, 40, 123456, tzinfo=UTC)
ENGINES: dict[str, Callable[[Path], Engine]] = {
    "memory": lambda directory: MemoryEngine(),
    "sqlite": lambda directory: SqliteEngine(directory / "history.db", keep_days=0),
    "volatile": lambda directory: VolatileRoomsEngine(SqliteEngine(directory / "history.db", keep_days=0)),
}
ALL_VOLATILE = "volatile rooms"
"""The engine `volatile`, with all rooms in its memory."""


@pytest.fixture(params=[*sorted(ENGINES), ALL_VOLATILE, *REDIS_ENGINES])
async def engine(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Engine]:
    name = request.param
    if name in REDIS:
        async with redis_engine(request, partitions=REDIS[name]) as shared:
            yield shared
        return
    if name == ALL_VOLATILE:
        monkeypatch.setattr("broadcast_tui.engine.volatile.VOLATILE_SIGN", "")
        name = "volatile"
    made = ENGINES[name](tmp_path)
    await made.start()
    yield made
    await made.close()


def new_post(
    text: str, room: str = "lobby", *, sender: str = "ana", client_id: str = "", nonce: str = ""
) -> NewPost:
    return NewPost(room, sender, text, AT, client_id, nonce)


def new_posts(count: int, room: str = "lobby") -> list[NewPost]:
    return [new_post(f"post {number}", room) for number in range(1, count + 1)]


def seqs(posts: Sequence[Entry]) -> list[int]:
    return [post.position.seq for post in posts]


async def test_room_without_posts_has_a_first_seq_after_its_last(engine: Engine) -> None:
    assert engine.last_seq("lobby") == 0
    assert engine.first_seq("lobby") == 1
    assert await engine.read("lobby", limit=10) == []


async def test_appended_posts_are_numbered_in_order(engine: Engine) -> None:
    results = await engine.append(new_posts(3))
    epoch = engine.epoch_of("lobby")
    assert [result.position for result in results] == [Position(epoch, seq) for seq in (1, 2, 3)]
    assert texts_of(await engine.read("lobby", limit=10)) == ["post 1", "post 2", "post 3"]


async def test_seqs_continue_across_batches(engine: Engine) -> None:
    await engine.append(new_posts(2))
    await engine.append(new_posts(3))
    assert engine.last_seq("lobby") == 5
    assert engine.first_seq("lobby") == 1
    assert seqs(await engine.read("lobby", limit=10)) == [1, 2, 3, 4, 5]


async def test_each_room_has_its_own_seqs(engine: Engine) -> None:
    results = await engine.append([new_post("a"), new_post("b", "dev"), new_post("c"), new_post("d", "dev")])
    assert [result.position.seq for result in results] == [1, 1, 2, 2]
    assert texts_of(await engine.read("dev", limit=10)) == ["b", "d"]


async def test_empty_batch_changes_nothing(engine: Engine) -> None:
    assert await engine.append([]) == []
    assert engine.last_seq("lobby") == 0


async def test_concurrent_appends_number_each_post_uniquely(engine: Engine) -> None:
    batches = await asyncio.gather(*(engine.append(new_posts(5)) for _ in range(20)))
    numbers = [result.position.seq for batch in batches for result in batch]
    assert sorted(numbers) == list(range(1, 101))
    assert all(
        [result.position.seq - batch[0].position.seq for result in batch] == list(range(5))
        for batch in batches
    )


async def test_epoch_can_be_parsed_from_a_post_id(engine: Engine) -> None:
    [result] = await engine.append(new_posts(1))
    assert Position.parse(str(result.position)) == result.position
    assert result.position.epoch == engine.epoch_of("lobby")


async def test_every_field_is_stored(engine: Engine) -> None:
    text = "né\n\t「日本」 👩‍👩‍👧 [red] \\ 'quoted' \"twice\"; DROP TABLE posts"
    given = NewPost("dev", "Zoë O'Neill", text, AT, "client", "nonce-1")
    [result] = await engine.append([given])
    assert await engine.read("dev", limit=1) == [
        Post("dev", Position(engine.epoch_of("dev"), 1), "Zoë O'Neill", text, AT)
    ]
    assert result.at_text == timestamp(AT)


async def test_resend_returns_the_first_position_and_is_not_appended(engine: Engine) -> None:
    [first] = await engine.append([new_post("hi", client_id="c", nonce="n")])
    later = NewPost("lobby", "ana", "hi again", AT + timedelta(seconds=9), "c", "n")
    [second] = await engine.append([later])
    assert (first.dup, second.dup) == (False, True)
    assert (second.position, second.at_text) == (first.position, first.at_text)
    assert texts_of(await engine.read("lobby", limit=10)) == ["hi"]


async def test_resend_within_one_batch_is_recognized(engine: Engine) -> None:
    again = new_post("hi", client_id="c", nonce="n")
    results = await engine.append([again, new_post("other"), again])
    assert [(result.position.seq, result.dup) for result in results] == [(1, False), (2, False), (1, True)]
    assert engine.last_seq("lobby") == 2


async def test_same_nonce_of_another_client_or_room_is_new(engine: Engine) -> None:
    results = await engine.append(
        [
            new_post("1", client_id="c", nonce="n"),
            new_post("2", client_id="d", nonce="n"),
            new_post("3", "dev", client_id="c", nonce="n"),
        ]
    )
    assert not any(result.dup for result in results)


async def test_another_sender_with_a_copied_client_id_cannot_use_up_nonces(engine: Engine) -> None:
    nonces = [f"n{number}" for number in range(5)]
    for stranger in ("mallory", "guest-7"):
        theirs = [new_post("theirs", sender=stranger, client_id="c", nonce=nonce) for nonce in nonces]
        assert not any(result.dup for result in await engine.append(theirs))
    own = [new_post("own", client_id="c", nonce=nonce) for nonce in nonces]
    assert not any(result.dup for result in await engine.append(own))
    [learned] = await engine.append([new_post("theirs", sender="eve", client_id="c", nonce="n0")])
    assert not learned.dup
    assert all(result.dup for result in await engine.append(own))


@pytest.mark.parametrize(
    ("first", "again"), [("ana", "ANA"), ("ana", "\u00e1na"), ("guest-3", "guest-8")], ids=ascii
)
async def test_a_resend_by_the_same_author_is_recognized(engine: Engine, first: str, again: str) -> None:
    [sent] = await engine.append([new_post("hi", sender=first, client_id="c", nonce="n")])
    [resent] = await engine.append([new_post("hi", sender=again, client_id="c", nonce="n")])
    assert (resent.dup, resent.position) == (True, sent.position)


async def test_the_fields_of_a_nonce_are_not_confused(engine: Engine) -> None:
    posts = [
        new_post("1", sender="an", client_id="ac", nonce="n"),
        new_post("2", sender="ana", client_id="c", nonce="n"),
        new_post("3", sender="ana", client_id="cn", nonce="n"),
        new_post("4", sender="ana", client_id="c", nonce="nn"),
    ]
    assert not any(result.dup for result in await engine.append(posts))


@pytest.mark.parametrize(("client_id", "nonce"), [("", ""), ("c", ""), ("", "n")])
async def test_posts_without_client_id_or_nonce_are_always_new(
    engine: Engine, client_id: str, nonce: str
) -> None:
    again = new_post("hi", client_id=client_id, nonce=nonce)
    results = await engine.append([again, again])
    assert [(result.position.seq, result.dup) for result in results] == [(1, False), (2, False)]


@pytest.mark.parametrize(
    ("after", "before", "limit", "from_end", "expected"),
    [
        (0, None, 100, False, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (0, None, 3, False, [1, 2, 3]),
        (0, None, 3, True, [8, 9, 10]),
        (4, None, 3, False, [5, 6, 7]),
        (4, None, 100, True, [5, 6, 7, 8, 9, 10]),
        (8, None, 5, True, [9, 10]),
        (0, 5, 2, True, [3, 4]),
        (0, 5, 2, False, [1, 2]),
        (2, 6, 100, False, [3, 4, 5]),
        (2, 6, 2, True, [4, 5]),
        (9, 10, 5, False, []),
        (10, None, 5, False, []),
        (10, None, 5, True, []),
        (99, None, 5, False, []),
        (0, 1, 5, True, []),
        (0, 0, 5, True, []),
        (0, 99, 2, True, [9, 10]),
        (7, 3, 5, False, []),
        (7, 3, 5, True, []),
    ],
)
async def test_read_returns_the_range_between_after_and_before_in_order(
    engine: Engine, after: int, before: int | None, limit: int, from_end: bool, expected: list[int]
) -> None:
    await engine.append(new_posts(10))
    found = await engine.read("lobby", after=after, before=before, limit=limit, from_end=from_end)
    assert seqs(found) == expected


@pytest.mark.parametrize(
    ("after", "max_bytes", "from_end", "expected"),
    [
        (0, 1_000, False, [1, 2, 3, 4, 5]),
        (0, 30, False, [1, 2, 3]),
        (0, 29, False, [1, 2]),
        (0, 30, True, [3, 4, 5]),
        (0, 29, True, [4, 5]),
        (3, 30, True, [4, 5]),
        (3, 10, False, [4]),
        (0, 9, False, [1]),
        (0, 0, True, [5]),
    ],
)
async def test_reading_stops_before_the_texts_exceed_a_size_in_utf8(
    engine: Engine, after: int, max_bytes: int, from_end: bool, expected: list[int]
) -> None:
    await engine.append([new_post("é" * 5) for _ in range(5)])
    found = await engine.read("lobby", after=after, limit=100, from_end=from_end, max_bytes=max_bytes)
    assert seqs(found) == expected


@pytest.mark.parametrize(
    ("query", "before", "limit", "expected"),
    [
        ("tea", None, 10, [1, 3, 5]),
        ("TÉA", None, 10, [1, 3, 5]),
        ("tea", None, 2, [3, 5]),
        ("tea", 5, 10, [1, 3]),
        ("te gre", None, 10, [3]),
        ("coffee", None, 10, [2]),
        ("nothing", None, 10, []),
    ],
)
async def test_search_returns_the_newest_posts_with_all_words_in_order(
    engine: Engine, query: str, before: int | None, limit: int, expected: list[int]
) -> None:
    texts = ["Tea, please", "coffee for me", "green tea", "steam", "more téa?"]
    await engine.append([new_post(text) for text in texts])
    await engine.append([new_post("tea elsewhere", "dev")])
    assert seqs(await engine.search("lobby", query, before=before, limit=limit)) == expected


@pytest.mark.parametrize(
    "query", ["'", '"', "*", "a OR b", "NEAR(a b)", "text:x", "(", "-", "\\", "%", "^a", ""]
)
async def test_search_accepts_any_text(engine: Engine, query: str) -> None:
    await engine.append(new_posts(2))
    await engine.search("lobby", query, limit=5)


async def test_tail_yields_each_new_post_once_in_order(engine: Engine) -> None:
    tail = entry_tail(engine)
    await engine.append(new_posts(3))
    await engine.append(new_posts(2, "dev"))
    seen: list[Entry] = []
    while len(seen) < 5:
        batch = await in_time(anext(tail))
        assert batch, "a batch is never empty"
        seen += batch
    await engine.append([new_post("last")])
    seen += await in_time(anext(tail))
    assert seqs([post for post in seen if post.room == "lobby"]) == [1, 2, 3, 4]
    assert seqs([post for post in seen if post.room == "dev"]) == [1, 2]
    await engine.close()
    assert await in_time(anext(tail, None)) is None


async def test_waiting_tail_yields_new_posts(engine: Engine) -> None:
    tail = entry_tail(engine)
    waiting = asyncio.ensure_future(anext(tail))
    await asyncio.sleep(0)
    await engine.append(new_posts(1))
    assert seqs(await in_time(waiting)) == [1]
    await engine.close()
    assert await in_time(anext(tail, None)) is None


async def test_tail_omits_resends(engine: Engine) -> None:
    tail = entry_tail(engine)
    again = new_post("hi", client_id="c", nonce="n")
    await engine.append([again])
    await engine.append([again])
    await engine.append([new_post("after")])
    seen: list[Entry] = []
    while len(seen) < 2:
        seen += await in_time(anext(tail))
    assert texts_of(seen) == ["hi", "after"]
    await engine.close()
    assert await in_time(anext(tail, None)) is None


async def test_closing_ends_a_waiting_tail(engine: Engine) -> None:
    waiting = asyncio.ensure_future(anext(entry_tail(engine), None))
    await asyncio.sleep(0)
    await engine.close()
    assert await in_time(waiting) is None


async def test_closing_ends_the_tail_after_all_appended_posts(engine: Engine) -> None:
    await engine.append(new_posts(3))
    await engine.close()

    async def all_of_it() -> list[int]:
        return [seq for batch in [batch async for batch in entry_tail(engine)] for seq in seqs(batch)]

    async with asyncio.timeout(5.0):
        assert await all_of_it() == [1, 2, 3]


async def test_closing_twice_is_harmless(engine: Engine) -> None:
    await engine.close()
    await engine.close()


async def test_two_logs_in_memory_have_different_epochs() -> None:
    assert MemoryEngine().epoch != MemoryEngine().epoch


async def test_memory_keeps_only_the_newest_posts_and_their_numbers() -> None:
    engine = MemoryEngine(max_posts=4)
    await engine.append(new_posts(10))
    assert (engine.first_seq("lobby"), engine.last_seq("lobby")) == (7, 10)
    assert seqs(await engine.read("lobby", limit=100)) == [7, 8, 9, 10]
    assert seqs(await engine.read("lobby", after=2, limit=2)) == [7, 8]
    assert await engine.read("lobby", before=6, limit=5, from_end=True) == []


async def test_memory_is_bounded_in_bytes_too() -> None:
    engine = MemoryEngine(max_posts=0, max_bytes=50_000)
    await engine.append([new_post("x" * 10_000) for _ in range(20)])
    kept = await engine.read("lobby", limit=100)
    assert 1 <= len(kept) <= 4
    assert seqs(kept)[-1] == engine.last_seq("lobby") == 20


async def test_memory_counts_the_bytes_that_wide_characters_take() -> None:
    """CPython keeps a text with one emoji in four bytes a character."""
    engine = MemoryEngine(max_posts=0, max_bytes=50_000)
    await engine.append([new_post("😀" * 4_000) for _ in range(20)])
    kept = await engine.read("lobby", limit=100)
    assert sum(len(text.encode()) for text in texts_of(kept)) <= 50_000


async def test_memory_keeps_the_newest_post_even_if_it_alone_is_too_large() -> None:
    engine = MemoryEngine(max_bytes=1_000)
    await engine.append([new_post("small"), new_post("x" * 5_000)])
    assert seqs(await engine.read("lobby", limit=10)) == [2]


async def test_memory_expires_nonces() -> None:
    now = 1_000.0
    engine = MemoryEngine(clock=lambda: now)
    again = new_post("hi", client_id="c", nonce="n")
    await engine.append([again])
    now += DEDUP_S
    assert [result.dup for result in await engine.append([again])] == [True]
    now += 1.0
    assert [(result.dup, result.position.seq) for result in await engine.append([again])] == [(False, 2)]


async def test_memory_recognizes_a_resend_of_a_dropped_post() -> None:
    engine = MemoryEngine(max_posts=2)
    again = new_post("hi", client_id="c", nonce="n")
    await engine.append([again, *new_posts(5)])
    assert [(result.dup, result.position.seq) for result in await engine.append([again])] == [(True, 1)]
