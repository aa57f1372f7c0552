"""Engines against the model: posts, replies, questions, notes and summaries in any order and batch.

A history file is also trimmed and opened again in between.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.notes import Entry, NewEntry, NewNote, NewSummary, Note, author_key
from broadcast_tui.core.post import AppendResult, NewPost
from broadcast_tui.core.post_state import COALESCED, Ask, NoteKind
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.engine.test_state_machine import TimedLog
from tests.support.entries import comparable, entry_tail, posts_of
from tests.support.retention import trim_to

T = TypeVar("T")

ROOMS = ("lobby", "dev")
PEOPLE = ("ana", "ben", "zoe")
WORDS = ("apple", "pear", "plum")
MEMORY_POSTS = 6
BACK_MAX = 8

rooms = st.sampled_from(ROOMS)
people = st.sampled_from(PEOPLE)
words = st.sampled_from(WORDS)
nonces = st.sampled_from(("", "", "n1", "n2", "n3"))
backs = st.integers(-2, BACK_MAX)
"""Distance of a post from the end of its room when the batch is appended; negative in the batch itself."""
asks = st.one_of(
    st.none(),
    st.builds(
        lambda to, minutes: Ask(
            ("yes", "no"), timestamp(datetime.now(UTC) + timedelta(minutes=minutes)), len(to), to
        ),
        st.sampled_from(((), ("ana", "ben"))),
        st.sampled_from((10, 0)),
    ),
)


def author_of(name: str) -> str:
    return author_key(name, "")


def new_post(room: str, by: str, word: str, nonce: str, re: int, ask: Ask | None) -> NewPost:
    return NewPost(room, by, word, datetime.now(UTC), "c", nonce, author_of(by), re, ask)


def new_note(room: str, re: int, kind: NoteKind, by: str, nonce: str, on: bool, number: int) -> NewNote:
    """A note whose text is one of several, as befits its kind."""
    texts = {NoteKind.EDIT: WORDS, NoteKind.REACT: ("x", "y", "z"), NoteKind.ANSWER: ("yes", "no", "maybe")}
    text = texts.get(kind, ("",) * 3)[number]
    is_admin = by == "zoe"
    return NewNote(
        room, re, kind, by, datetime.now(UTC), author_of(by), "c", nonce, is_admin, text=text, on=on
    )


def new_summary(room: str, re: int, kind: NoteKind, close: bool) -> NewSummary:
    return NewSummary(room, re, kind, datetime.now(UTC), close)


entries = st.one_of(
    st.builds(new_post, rooms, people, words, nonces, st.one_of(st.just(BACK_MAX), backs), asks),
    st.builds(
        new_note, rooms, backs, st.sampled_from(NoteKind), people, nonces, st.booleans(), st.integers(0, 2)
    ),
    st.builds(
        new_note, rooms, backs, st.sampled_from(sorted(COALESCED)), people, nonces, st.booleans(),
        st.integers(0, 2),
    ),
    st.builds(new_summary, rooms, backs, st.sampled_from(sorted(COALESCED)), st.booleans()),
)  # fmt: skip


class NoteMachine(RuleBasedStateMachine):
    in_file: ClassVar[bool]

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.clock_s = 1_000.0
        self.log = TimedLog("", lambda: self.clock_s)
        self._open()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def _open(self) -> None:
        if self.in_file:
            path = self.directory / "history.db"
            self.engine = SqliteEngine(path, keep_days=0, keep_posts=0, clock=lambda: self.clock_s)
        else:
            self.engine = MemoryEngine(max_posts=MEMORY_POSTS, clock=lambda: self.clock_s)
        self.run(self.engine.start())
        self.tail = entry_tail(self.engine)
        epoch = self.engine.epoch_of("lobby")
        if epoch != self.log.epoch:  # a new file, also in place of one that was not used
            self.log = TimedLog(epoch, lambda: self.clock_s)

    # -- what happens

    @rule(batch=st.lists(entries, min_size=1, max_size=10))
    def append(self, batch: list[NewEntry]) -> None:
        batch = [
            msgspec.structs.replace(entry, re=max(0, self.log.last_seq(entry.room) - entry.re))
            for entry in batch
        ]
        results = self.run(self.engine.append(batch))
        expected, new = self._append_to_model(batch)
        assert [comparable(result) for result in results] == [comparable(result) for result in expected]
        self._check_tail(new)

    def _check_tail(self, new: Sequence[Entry]) -> None:
        """Check that the tail yields these entries next."""
        received: list[Entry] = []
        while len(received) < len(new):
            received += self.run(next_entries(self.tail))
        assert received == new

    def _append_to_model(self, batch: Sequence[NewEntry]) -> tuple[list[AppendResult], list[Entry]]:
        """Append to the model. A log in memory loses its oldest entries after each new one."""
        if self.in_file:
            return self.log.append(batch)
        results: list[AppendResult] = []
        new: list[Entry] = []
        for entry in batch:
            added, appended = self.log.append([entry])
            results += added
            new += appended
            for room in ROOMS:
                oldest = self.log.last_seq(room) - MEMORY_POSTS
                self.log.trim(room, max(self.log.first_seq(room) - 1, oldest))
        return results, new

    @rule(minutes=st.sampled_from((4.0, 10.5)))
    def let_minutes_pass(self, minutes: float) -> None:
        self.clock_s += 60.0 * minutes

    @precondition(lambda self: self.in_file)
    @rule(keep=st.integers(1, 15))
    def trim(self, keep: int) -> None:
        assert isinstance(self.engine, SqliteEngine)
        self.run(trim_to(self.engine, keep_posts=keep))
        for room in ROOMS:
            self.log.trim(room, max(self.log.first_seq(room) - 1, self.log.last_seq(room) - keep))

    @precondition(lambda self: self.in_file)
    @rule()
    def restart(self) -> None:
        self.run(self.engine.close())
        self.log.read_again()
        self._open()
        assert sorted(self.engine.pending_summaries()) == sorted(self.log.pending_summaries())

    @precondition(lambda self: self.in_file)
    @rule()
    def announce(self) -> None:
        """Append what is pending, as a server does after a crash."""
        for room, seq, kind in self.log.pending_summaries():
            self.append([NewSummary(room, self.log.last_seq(room) - seq, kind, datetime.now(UTC))])
        assert self.log.pending_summaries() == []

    # -- what is read

    @rule(
        room=rooms,
        after=st.integers(0, 12),
        before=st.one_of(st.none(), st.integers(0, 40)),
        limit=st.integers(1, 12),
        from_end=st.booleans(),
        root=st.one_of(st.just(0), st.integers(1, 12)),
    )
    def read(self, room: str, after: int, before: int | None, limit: int, from_end: bool, root: int) -> None:
        found = self.run(
            self.engine.read(room, after=after, before=before, limit=limit, from_end=from_end, root=root)
        )
        stop = self.log.last_seq(room) + 1 if before is None else before
        expected = [each for each in self._stored(room, root) if after < each.position.seq < stop]
        assert found == (expected[-limit:] if from_end else expected[:limit])

    @rule(room=rooms, seqs=st.lists(st.integers(0, 20), max_size=6))
    def posts(self, room: str, seqs: list[int]) -> None:
        found = self.run(self.engine.posts(room, seqs))
        expected = [self.log.find(room, seq) for seq in sorted(set(seqs))]
        assert found == [post for post in expected if post is not None]

    @rule(room=rooms, word=words, limit=st.integers(1, 5), root=st.one_of(st.just(0), st.integers(1, 12)))
    def search(self, room: str, word: str, limit: int, root: int) -> None:
        found = self.run(self.engine.search(room, word, limit=limit, root=root))
        hits = [post for post in posts_of(self._stored(room, root)) if post.text == word]
        assert found == hits[-limit:]

    def _stored(self, room: str, root: int) -> list[Entry]:
        """The stored entries of a room, or the posts of a thread, in ascending order."""
        stored: list[Entry] = []
        for entry in self.log.entries.get(room, [])[self.log.first_seq(room) - 1 :]:
            if isinstance(entry, Note):
                if not root:
                    stored.append(msgspec.structs.replace(entry, post=self.log.find(room, entry.re)))
            elif root in (0, entry.root, entry.position.seq):
                stored.append(entry)
        return stored

    # -- what must hold

    @invariant()
    def engine_and_model_have_the_same_index(self) -> None:
        engine, log = self.engine, self.log
        for room in ROOMS:
            assert (engine.first_seq(room), engine.last_seq(room)) == (
                log.first_seq(room),
                log.last_seq(room),
            )
            assert list(engine.pins(room)) == log.pins(room)
            assert list(engine.open_asks(room)) == log.open_asks(room)
        assert sorted(engine.open_asks()) == sorted(log.open_asks())

    def teardown(self) -> None:
        try:
            for room in ROOMS:
                assert self.run(self.engine.read(room, limit=10_000)) == self._stored(room, 0)
            self.run(self.engine.close())
        finally:
            self.runner.close()
            shutil.rmtree(self.directory)


async def next_entries(tail: AsyncIterator[list[Entry]]) -> list[Entry]:
    async with asyncio.timeout(20.0):
        return await anext(tail, [])


class MemoryMachine(NoteMachine):
    in_file = False


class SqliteMachine(NoteMachine):
    in_file = True


# Much longer than it takes: a failure needs its time to be made small.
pytestmark = pytest.mark.timeout(400)
QUICK = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMemory = MemoryMachine.TestCase
TestMemory.settings = QUICK
TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = QUICK
