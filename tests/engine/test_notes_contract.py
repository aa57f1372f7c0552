"""The contract of `engine.base` about notes, replies and questions, for all engines."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.errors import ErrorCode
from broadcast_tui.core.notes import PINS_MAX, Entry, NewNote, NewSummary, Note, author_key
from broadcast_tui.core.post import AppendResult, NewPost, Post
from broadcast_tui.core.post_state import Ask, NoteKind, PostState, Votes
from broadcast_tui.engine.base import Engine, OpenAsk, PendingSummary
from broadcast_tui.engine.memory import MemoryEngine, NoHistoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.engine.volatile import VolatileRoomsEngine
from tests.engine.test_contract import ALL_VOLATILE
from tests.support.entries import entry_tail, posts_of, texts_of
from tests.support.redis_engines import REDIS, REDIS_ENGINES, redis_engine
from tests.support.running import in_time

AT = datetime(2025, 8, 30, 10, 30, 40, 123456, tzinfo=UTC)
UNTIL = AT + timedelta(minutes=10)
ANA = author_key("ana", "")
ENGINES: dict[str, Callable[[Path], Engine]] = {
    "memory": lambda directory: MemoryEngine(),
    "sqlite": lambda directory: SqliteEngine(directory / "history.db", keep_days=0),
    ALL_VOLATILE: lambda directory: VolatileRoomsEngine(SqliteEngine(directory / "history.db")),
}


@pytest.fixture(params=[*sorted(ENGINES), *REDIS_ENGINES])
async def engine(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Engine]:
    if request.param in REDIS:
        async with redis_engine(request, partitions=REDIS[request.param]) as shared:
            yield shared
        return
    if request.param == ALL_VOLATILE:
        monkeypatch.setattr("broadcast_tui.engine.volatile.VOLATILE_SIGN", "")
    made = ENGINES[request.param](tmp_path)
    await made.start()
    yield made
    await made.close()


def post(text: str, *, room: str = "lobby", re: int = 0, ask: Ask | None = None) -> NewPost:
    return NewPost(room, "ana", text, AT, author=ANA, re=re, ask=ask)


def question(*to: str, choices: tuple[str, ...] = ("yes", "no")) -> NewPost:
    return post("Deploy?", ask=Ask(choices, timestamp(UNTIL), len(to), to))


def note(
    kind: NoteKind,
    re: int,
    text: str = "",
    *,
    room: str = "lobby",
    by: str = "ana",
    on: bool = True,
    client_id: str = "",
    nonce: str = "",
) -> NewNote:
    author = author_key(by, "")
    return NewNote(room, re, kind, by, AT, author, client_id, nonce, text=text, on=on)


def edit(
    re: int, text: str, *, room: str = "lobby", by: str = "ana", client_id: str = "", nonce: str = ""
) -> NewNote:
    return note(NoteKind.EDIT, re, text, room=room, by=by, client_id=client_id, nonce=nonce)


def delete(re: int, reason: str = "") -> NewNote:
    return note(NoteKind.DELETE, re, reason)


def pin(re: int, *, on: bool = True) -> NewNote:
    return note(NoteKind.PIN, re, on=on)


def react(re: int, key: str, by: str = "ana", *, on: bool = True) -> NewNote:
    return note(NoteKind.REACT, re, key, by=by, on=on)


def answer(re: int, choice: str, by: str) -> NewNote:
    return note(NoteKind.ANSWER, re, choice, by=by)


def summary(re: int, kind: NoteKind, *, close: bool = False) -> NewSummary:
    return NewSummary("lobby", re, kind, AT, close)


def outcomes(results: Sequence[AppendResult]) -> list[tuple[int, bool] | ErrorCode]:
    """Position and `dup` of each result, or its error."""
    return [result.error.code if result.error else (result.position.seq, result.dup) for result in results]


def seqs(entries: Sequence[Entry]) -> list[int]:
    return [entry.position.seq for entry in entries]


async def read(
    engine: Engine,
    *,
    after: int = 0,
    before: int | None = None,
    limit: int = 1_000,
    from_end: bool = False,
    max_bytes: int | None = None,
    root: int = 0,
) -> list[Entry]:
    return await engine.read(
        "lobby",
        after=after,
        before=before,
        limit=limit,
        from_end=from_end,
        max_bytes=max_bytes,
        root=root,
    )


async def state_of(engine: Engine, seq: int) -> PostState:
    [found] = await engine.posts("lobby", [seq])
    return found.state


def marks_of(engine: Engine) -> tuple[list[int], list[int]]:
    """Seqs of the pinned posts and of the open questions in the lobby."""
    return list(engine.pins("lobby")), [ask.seq for ask in engine.open_asks("lobby")]


# -- notes


async def test_a_note_gets_the_next_seq_of_its_room(engine: Engine) -> None:
    results = await engine.append([post("teh"), edit(1, "the"), post("next"), post("other", room="dev")])
    assert outcomes(results) == [(1, False), (2, False), (3, False), (1, False)]
    assert (engine.first_seq("lobby"), engine.last_seq("lobby")) == (1, 3)
    assert outcomes(await engine.append([delete(3)])) == [(4, False)]


async def test_a_read_post_includes_all_notes_about_it(engine: Engine) -> None:
    await engine.append([post("teh"), post("gone"), post("untouched")])
    await engine.append([edit(1, "the"), pin(1), delete(2, "wrong room")])
    posts = posts_of(await read(engine))
    assert [(each.text, each.state.folded) for each in posts] == [("the", 5), ("", 6), ("untouched", 0)]
    assert posts[0].state.edited == timestamp(AT)
    assert posts[0].state.pinned is not None
    assert posts[1].state.deleted is not None
    assert (posts[1].state.deleted.by, posts[1].state.deleted.reason) == ("ana", "wrong room")
    assert await engine.posts("lobby", [3, 1, 1, 99, 4]) == [posts[0], posts[2]]
    assert await engine.posts("nowhere", [1]) == []


async def test_a_read_note_has_its_post_as_it_is_now(engine: Engine) -> None:
    await engine.append([post("first text"), edit(1, "second text")])
    await engine.append([edit(1, "third text"), post("more")])
    entries = await read(engine)
    assert seqs(entries) == [1, 2, 3, 4]
    notes = [entry for entry in entries if isinstance(entry, Note)]
    assert [(each.kind, each.re, each.by, each.at) for each in notes] == [(NoteKind.EDIT, 1, "ana", AT)] * 2
    assert [each.post for each in notes] == [entries[0]] * 2
    assert await read(engine, after=1, before=3) == [notes[0]]
    assert await read(engine, after=1, limit=1) == [notes[0]]
    assert await read(engine, before=4, limit=2, from_end=True) == notes


async def test_the_text_of_a_note_counts_in_the_size_of_a_page(engine: Engine) -> None:
    await engine.append([post("x"), edit(1, "é" * 5), edit(1, "e" * 10), post("y" * 10)])
    assert seqs(await read(engine, max_bytes=29)) == [1, 2]
    assert seqs(await read(engine, max_bytes=30)) == [1, 2, 3]
    assert seqs(await read(engine, max_bytes=30, from_end=True)) == [2, 3, 4]


async def test_the_tail_yields_notes_with_the_state_at_their_append(engine: Engine) -> None:
    tail = entry_tail(engine)
    await engine.append([post("one"), edit(1, "two"), edit(1, "three")])
    batch = await in_time(anext(tail))
    first, second, third = batch
    assert isinstance(second, Note)
    assert isinstance(third, Note)
    assert texts_of([first, *(each.post for each in (second, third) if each.post)]) == ["one", "two", "three"]
    assert [each.post.state.folded for each in (second, third) if each.post] == [2, 3]


async def test_a_rejected_change_has_no_effect_and_the_rest_is_appended(engine: Engine) -> None:
    await engine.append([post("mine"), post("gone"), delete(2)])
    entries: list[NewPost | NewNote] = [
        post("before"),
        edit(1, "hers", by="eve"),
        edit(99, "nothing"),
        edit(2, "a deleted post"),
        edit(3, "a note"),
        edit(1, "another room", room="dev"),
        answer(1, "yes", "ana"),
        post("after"),
    ]
    results = await engine.append(entries)
    assert outcomes(results) == [
        (4, False),
        ErrorCode.FORBIDDEN,
        *[ErrorCode.NO_SUCH_POST] * 5,
        (5, False),
    ]
    for entry, result in zip(entries, results, strict=True):
        assert result.error is None or result.position == (engine.epoch_of(entry.room), 0)
    assert texts_of(await read(engine)) == ["mine", "", "before", "after"]
    assert "dev" not in engine.room_names()
    assert engine.last_seq("dev") == 0


async def test_a_change_without_effect_appends_nothing(engine: Engine) -> None:
    await engine.append([post("text"), pin(1)])
    results = await engine.append(
        [edit(1, "text"), pin(1), react(1, "👍", on=False), summary(1, NoteKind.REACT)]
    )
    assert outcomes(results) == [(1, True)] * 4
    assert engine.last_seq("lobby") == 2


async def test_a_batch_sees_its_own_changes(engine: Engine) -> None:
    results = await engine.append(
        [
            post("1"),
            edit(1, "2"),
            edit(1, "2"),
            delete(1),
            edit(1, "3"),
            post("new"),
            pin(5),
            pin(5, on=False),
        ]
    )
    assert outcomes(results) == [
        (1, False), (2, False), (1, True), (3, False), ErrorCode.NO_SUCH_POST, (4, False),
        ErrorCode.NO_SUCH_POST, ErrorCode.NO_SUCH_POST,
    ]  # fmt: skip
    assert outcomes(await engine.append([pin(4), pin(4, on=False), pin(4)])) == [
        (5, False), (6, False), (7, False)
    ]  # fmt: skip
    assert engine.pins("lobby") == [4]


async def test_a_resent_note_is_not_applied_again(engine: Engine) -> None:
    await engine.append([post("a")])
    first = edit(1, "b", client_id="c", nonce="n1")
    second = edit(1, "c", client_id="c", nonce="n2")
    assert outcomes(await engine.append([first, second, first])) == [(2, False), (3, False), (2, True)]
    assert outcomes(await engine.append([first, second])) == [(2, True), (3, True)]
    assert texts_of(await read(engine)) == ["c"]


async def test_a_resent_reaction_is_not_applied_again(engine: Engine) -> None:
    await engine.append([post("a")])
    on = note(NoteKind.REACT, 1, "👍", client_id="c", nonce="n1")
    off = note(NoteKind.REACT, 1, "👍", on=False, client_id="c", nonce="n2")
    assert outcomes(await engine.append([on, off, on])) == [(1, False), (1, False), (1, True)]
    assert outcomes(await engine.append([on])) == [(1, True)]
    assert (await state_of(engine, 1)).reactions == {}


async def test_a_rejected_note_may_be_sent_again(engine: Engine) -> None:
    early = edit(1, "b", client_id="c", nonce="n1")
    assert outcomes(await engine.append([early])) == [ErrorCode.NO_SUCH_POST]
    await engine.append([post("a")])
    assert outcomes(await engine.append([early])) == [(2, False)]


# -- reactions, answers and questions


async def test_reactions_change_the_post_and_a_summary_announces_them(engine: Engine) -> None:
    tail = entry_tail(engine)
    await engine.append([post("a")])
    results = await engine.append([react(1, "👍"), react(1, "👍", "ben"), react(1, "🎉", "ben")])
    assert outcomes(results) == [(1, False)] * 3
    assert [each.post.state.reactions for each in results if each.post][-1] == {
        "👍": Votes(2, ("ana", "ben")),
        "🎉": Votes(1, ("ben",)),
    }
    assert engine.last_seq("lobby") == 1
    state = await state_of(engine, 1)
    assert (state.pending, state.folded) == ((NoteKind.REACT,), 0)
    [announced, again] = await engine.append([summary(1, NoteKind.REACT), summary(1, NoteKind.REACT)])
    assert (announced.position.seq, announced.dup, again.dup) == (2, False, True)
    state = await state_of(engine, 1)
    assert (state.pending, state.folded) == ((), 2)
    assert seqs(await in_time(anext(tail))) == [1, 2]
    [_, read_note] = await read(engine)
    assert isinstance(read_note, Note)
    assert (read_note.by, read_note.kind) == ("", NoteKind.REACT)


async def test_questions_are_open_until_all_have_answered_or_they_are_closed(engine: Engine) -> None:
    await engine.append([question("ana", "ben"), post("no question"), question(), post("x", room="dev")])
    assert engine.open_asks("lobby") == [OpenAsk("lobby", 1, UNTIL), OpenAsk("lobby", 3, UNTIL)]
    assert list(engine.open_asks("dev")) == []
    await engine.append([answer(1, "yes", "ana"), answer(1, "no", "ben"), answer(3, "no", "eve")])
    await engine.append([summary(1, NoteKind.ANSWER), summary(3, NoteKind.ANSWER)])
    assert (await state_of(engine, 1)).closed == timestamp(AT)
    assert engine.open_asks() == [OpenAsk("lobby", 3, UNTIL)]
    assert outcomes(await engine.append([answer(1, "no", "ana")])) == [ErrorCode.ASK_CLOSED]
    await engine.append([summary(3, NoteKind.ANSWER, close=True)])
    assert list(engine.open_asks()) == list(engine.open_asks("lobby")) == []
    tally = (await state_of(engine, 3)).tally
    assert tally == {"no": Votes(1, ("eve",))}


async def test_open_questions_of_all_rooms_are_listed_oldest_first(engine: Engine) -> None:
    ask = question().ask
    await engine.append([post("1", room="zoo", ask=ask), post("2", ask=ask), post("3", room="zoo", ask=ask)])
    found = [(each.room, each.seq) for each in engine.open_asks()]
    asked = [("zoo", 1), ("lobby", 1), ("zoo", 2)]
    assert (sorted(found) == sorted(asked)) if engine.is_shared else (found == asked)


async def test_a_deleted_question_is_not_open_and_a_deleted_post_not_pinned(engine: Engine) -> None:
    await engine.append([question(), pin(1)])
    assert engine.pins("lobby") == [1]
    await engine.append([delete(1)])
    assert list(engine.open_asks()) == []
    assert list(engine.pins("lobby")) == []


async def test_pins_are_listed_in_order_and_limited(engine: Engine) -> None:
    count = PINS_MAX + 2
    await engine.append([post(str(number)) for number in range(count)])
    results = await engine.append([pin(seq) for seq in range(count, 0, -1)])
    assert outcomes(results)[-2:] == [ErrorCode.TOO_MANY_NOTES] * 2
    assert list(engine.pins("lobby")) == list(range(3, count + 1))
    assert list(engine.pins("dev")) == []
    results = await engine.append([pin(2), pin(3, on=False), pin(2), pin(1)])
    last = count + PINS_MAX
    assert outcomes(results) == [
        ErrorCode.TOO_MANY_NOTES, (last + 1, False), (last + 2, False), ErrorCode.TOO_MANY_NOTES
    ]  # fmt: skip
    assert list(engine.pins("lobby")) == [2, *range(4, count + 1)]


async def test_no_summaries_are_pending_in_a_new_log(engine: Engine) -> None:
    await engine.append([post("a"), react(1, "👍")])
    assert list(engine.pending_summaries()) == []


# -- replies


async def test_a_reply_has_the_root_of_its_thread(engine: Engine) -> None:
    await engine.append([post("root"), post("reply", re=1)])
    await engine.append([post("nested", re=2), post("none", re=99), post("other"), pin(5), post("x", re=6)])
    found = {each.text: (each.re, each.root) for each in posts_of(await read(engine))}
    assert found == {
        "root": (0, 0), "reply": (1, 1), "nested": (2, 1), "none": (0, 0), "other": (0, 0), "x": (0, 0)
    }  # fmt: skip


@pytest.fixture
async def thread(engine: Engine) -> Engine:
    """A thread of the posts 2, 4, 6, 8 and 10, among others, with a note."""
    await engine.append([post("apple"), post("apple pie"), post("pear"), post("apple tart", re=2)])
    await engine.append([post("plum"), post("pear tart", re=4), edit(5, "apple"), post("apple jam", re=2)])
    await engine.append([post("apple juice", re=1), post("last apple", re=8), edit(10, "very last apple")])
    return engine


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [2, 4, 6, 8, 10]),
        ({"limit": 2}, [2, 4]),
        ({"limit": 2, "from_end": True}, [8, 10]),
        ({"limit": 4, "from_end": True}, [4, 6, 8, 10]),
        ({"after": 2}, [4, 6, 8, 10]),
        ({"after": 4, "before": 10}, [6, 8]),
        ({"before": 8, "limit": 2, "from_end": True}, [4, 6]),
        ({"before": 2}, []),
        ({"max_bytes": 20}, [2, 4]),
        ({"max_bytes": 25, "from_end": True}, [8, 10]),
    ],
)
async def test_a_thread_is_read_by_its_root(
    thread: Engine, options: dict[str, Any], expected: list[int]
) -> None:
    found = await read(thread, root=2, **options)
    assert seqs(found) == expected
    assert all(isinstance(each, Post) for each in found)


async def test_a_post_without_replies_is_a_thread_of_one(thread: Engine) -> None:
    assert seqs(await read(thread, root=3)) == [3]
    assert await read(thread, root=7) == []
    assert await read(thread, root=99) == []


@pytest.mark.parametrize(
    ("query", "before", "limit", "expected"),
    [
        ("apple", None, 10, [2, 4, 8, 10]),
        ("apple", None, 2, [8, 10]),
        ("apple", 8, 10, [2, 4]),
        ("tart pear", None, 10, [6]),
        ("plum", None, 10, []),
        ("", None, 10, []),
    ],
)
async def test_a_thread_is_searched_by_its_root(
    thread: Engine, query: str, before: int | None, limit: int, expected: list[int]
) -> None:
    assert seqs(await thread.search("lobby", query, before=before, limit=limit, root=2)) == expected


# -- texts


async def test_deleted_and_former_texts_are_not_found(engine: Engine) -> None:
    await engine.append([post("secret plan"), post("public plan"), post("plan of today")])
    await engine.append([edit(1, "open plan"), delete(2), post("planned", room="dev")])
    assert await engine.search("lobby", "secret", limit=9) == []
    assert await engine.search("lobby", "public", limit=9) == []
    assert seqs(await engine.search("lobby", "plan", limit=9)) == [1, 3]
    [found] = await engine.search("lobby", "open", limit=9)
    assert found.text == "open plan"
    assert found.state.edited
    await engine.append([post("brief"), edit(6, "long"), edit(6, "short"), post("x"), delete(9)])
    assert await engine.search("lobby", "brief", limit=9) == []
    assert await engine.search("lobby", "long", limit=9) == []
    assert seqs(await engine.search("lobby", "short", limit=9)) == [6]


async def test_votes_with_many_names_are_stored_in_full(engine: Engine) -> None:
    await engine.append([question()])
    names = [f"person {number}" for number in range(500)]
    await engine.append([answer(1, "yes", name) for name in names])
    assert (await state_of(engine, 1)).tally == {"yes": Votes(500, tuple(names))}


# -- engines without a history, and one that forgets


async def test_without_history_nothing_is_stored_for_notes() -> None:
    engine = NoHistoryEngine()
    results = await engine.append([question(), edit(1, "x"), pin(1), react(1, "👍"), post("re", re=1)])
    assert outcomes(results) == [(1, False), *[ErrorCode.NO_SUCH_POST] * 3, (2, False)]
    assert marks_of(engine) == ([], [])
    assert await engine.posts("lobby", [1, 2]) == []
    first, reply = await in_time(anext(entry_tail(engine)))
    assert isinstance(first, Post)
    assert isinstance(reply, Post)
    assert first.state.ask is not None
    assert (reply.re, reply.root) == (0, 0)


async def test_memory_forgets_notes_with_their_posts() -> None:
    engine = MemoryEngine(max_posts=4)
    await engine.append([question(), pin(1), post("3"), edit(3, "4")])
    assert (list(engine.pins("lobby")), len(engine.open_asks())) == ([1], 1)
    await engine.append([post("5")])
    assert marks_of(engine) == ([], [])
    [pinned, *_] = await read(engine)
    assert isinstance(pinned, Note)
    assert pinned.post is None
    assert outcomes(await engine.append([edit(1, "late")])) == [ErrorCode.NO_SUCH_POST]
    assert await read(engine, root=1) == []


async def test_memory_of_notes_is_limited() -> None:
    engine = MemoryEngine(max_posts=0, max_bytes=100_000)
    await engine.append([post("a")])
    for number in range(40):
        await engine.append([edit(1, "x" * 1_000 * number)])
    assert engine.first_seq("lobby") == 1
    await engine.append([edit(1, "y" * 200_000)])
    assert engine.first_seq("lobby") > 1
    await engine.append([question()])
    seq = engine.last_seq("lobby")
    await engine.append([answer(seq, "yes", f"person {number}") for number in range(2_000)])
    assert engine.first_seq("lobby") == seq


async def test_memory_drops_replaced_texts() -> None:
    engine = MemoryEngine()
    await engine.append([post("secret"), edit(1, "open"), post("gone"), delete(3)])
    assert "secret" not in repr(vars(engine)["_rooms"]["lobby"].after(0))
    assert "gone" not in repr(vars(engine)["_rooms"]["lobby"].after(0))


# -- files


async def reopened(engine: SqliteEngine) -> SqliteEngine:
    await engine.close()
    again = SqliteEngine(engine.path, keep_days=0)
    await again.start()
    return again


async def test_notes_survive_a_restart(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "history.db", keep_days=0)
    await engine.start()
    await engine.append([post("teh"), edit(1, "the"), pin(1), question("ana", "ben"), post("re", re=4)])
    await engine.append([react(1, "👍"), answer(4, "yes", "ana"), summary(4, NoteKind.ANSWER), react(5, "x")])
    before = await read(engine)
    engine = await reopened(engine)
    assert await read(engine) == before
    assert engine.pins("lobby") == [1]
    assert engine.open_asks() == [OpenAsk("lobby", 4, UNTIL)]
    assert list(engine.pending_summaries()) == [
        PendingSummary("lobby", 1, NoteKind.REACT),
        PendingSummary("lobby", 5, NoteKind.REACT),
    ]
    assert outcomes(await engine.append([edit(1, "that")])) == [(7, False)]
    [announced] = await engine.append([summary(1, NoteKind.REACT)])
    assert (announced.position.seq, announced.dup) == (8, False)
    await engine.append(
        [summary(5, NoteKind.REACT), summary(4, NoteKind.ANSWER, close=True), pin(1, on=False)]
    )
    engine = await reopened(engine)
    assert list(engine.pending_summaries()) == []
    assert marks_of(engine) == ([], [])
    await engine.close()


async def test_reactions_are_announced_after_a_crash(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "history.db", keep_days=0)
    await engine.start()
    await engine.append([post("a"), question("ana", "ben")])
    await engine.append([react(1, "x"), answer(2, "yes", "ana"), answer(2, "no", "ben")])
    after = tmp_path / "after"
    after.mkdir()
    for file in tmp_path.glob("history.db*"):
        shutil.copyfile(file, after / file.name)
    await engine.close()
    engine = SqliteEngine(after / "history.db", keep_days=0)
    await engine.start()
    pending = list(engine.pending_summaries())
    assert pending == [
        PendingSummary("lobby", 1, NoteKind.REACT),
        PendingSummary("lobby", 2, NoteKind.ANSWER),
    ]
    results = await engine.append([summary(each.seq, each.kind) for each in pending])
    assert outcomes(results) == [(3, False), (4, False)]
    assert (await state_of(engine, 1)).reactions == {"x": Votes(1, ("ana",))}
    assert (await state_of(engine, 2)).closed
    assert list(engine.open_asks()) == []
    await engine.close()


async def test_resent_notes_are_recognized_after_a_restart(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    engine = SqliteEngine(tmp_path / "history.db", keep_days=0)
    await engine.start()
    sent = [
        msgspec.structs.replace(edit(1, "b", client_id="c", nonce="n1"), at=now),
        msgspec.structs.replace(edit(1, "c", client_id="c", nonce="n2"), at=now),
    ]
    await engine.append([post("a"), *sent])
    engine = await reopened(engine)
    assert outcomes(await engine.append(sent)) == [(2, True), (3, True)]
    assert texts_of(await read(engine)) == ["c"]
    await engine.close()


async def test_trimmed_posts_leave_no_pins_and_questions(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "history.db", keep_days=0, keep_posts=2)
    await engine.start()
    await engine.append([question(), pin(1), question(), pin(3), post("5")])
    while await engine.trim(AT):
        pass
    await asyncio.sleep(0)
    assert engine.first_seq("lobby") == 4
    assert marks_of(engine) == ([], [])
    [pinned, _] = await read(engine)
    assert isinstance(pinned, Note)
    assert (pinned.re, pinned.post) == (3, None)
    assert outcomes(await engine.append([edit(3, "late")])) == [ErrorCode.NO_SUCH_POST]
    await engine.close()
