"""Hub, client sessions and an engine against a model: whatever happens in whatever order, one log.

Users say things, are cut and come back; others append past them; the log is trimmed, the server restarts;
minutes go by, so that what was seen before is still known, and then no longer.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.history import BackfillRead, Read, SearchRead
from broadcast_tui.core.hub.hub import Hub
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import Entry, NewEntry, NewNote, NewSummary, Note, apply_note
from broadcast_tui.core.post import AppendResult, NewPost, Position, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.protocol.codec import encode
from broadcast_tui.core.session.updates import GapFound, NoteArrived, PostArrived, PostDelivered, PostRejected
from broadcast_tui.engine.dedup import DEDUP_S
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.support.entries import comparable, entry_tail, posts_of
from tests.support.history_check import Gap, History, Publisher, Reader, Seen, faults
from tests.support.hub_pair import User, Wire, World, read_frames
from tests.support.model_log import ModelLog
from tests.support.retention import trim_to

T = TypeVar("T")

ROOMS = ("lobby", "dev")
MEMORY_POSTS = 5
PAGE_MAX = 5
LIMITS = Limits(
    message_rate=0,
    message_burst=0,
    history_rate=1e9,
    ring_posts=4,
    replay_posts=8,
    history_page_max=PAGE_MAX,
    leave_grace_s=0.0,
)
WORDS = ("apple", "pear", "plum")
BOT = "client bot"
"""The author of the posts of the bot."""
room_names = st.sampled_from(ROOMS)
words = st.sampled_from(WORDS)
new_posts = st.builds(
    lambda room, word, nonce: NewPost(room, "bot", word, datetime.now(UTC), nonce[:2], nonce, BOT),
    room_names,
    words,
    st.sampled_from(("", "c1-1", "c1-2", "c1-3", "c2-1", "c2-2")),
)
people = st.sampled_from((0, 1))


class TimedLog(ModelLog):
    """The model, with what an engine promises of resends: a nonce is known for `DEDUP_S` by its clock."""

    def __init__(self, epoch: str, clock: Callable[[], float]) -> None:
        super().__init__(epoch)
        self._clock = clock
        self._seen_at: dict[tuple[str, str, str, str], float] = {}
        self._written: dict[tuple[str, str, str, str], AppendResult] = {}

    def append(self, new_entries: Sequence[NewEntry]) -> tuple[list[AppendResult], list[Entry]]:
        now = self._clock()
        for key in [key for key, at in self._seen_at.items() if now - at > DEDUP_S]:
            del self._seen_at[key], self._seen[key]
        appended = super().append(new_entries)
        for key, result in self._seen.items():
            if key not in self._seen_at:
                self._seen_at[key] = now
                if not result.dup and result.post is None:
                    self._written[key] = result
        return appended

    def read_again(self) -> None:
        """Nonces are read from the entries in the file, but not those of reactions and answers.

        All entries are from the last minutes.
        """
        self._seen = {
            key: result
            for key, result in self._written.items()
            if result.position.seq >= self.first_seq(key[0])
        }
        self._seen_at = dict.fromkeys(self._seen, self._clock())


class EngineWorld(World):
    """The world of `hub_pair` with an engine for its log, held against the model at each step."""

    log: TimedLog

    def __init__(self, path: Path, *, in_file: bool) -> None:
        super().__init__(LIMITS)
        self.runner = asyncio.Runner()
        self._path = path
        self._in_file = in_file
        self.when = Instant(100.0, datetime.now(UTC))
        self.log = TimedLog("", lambda: self.clock_s)
        self.clock_s = 1_000.0
        """The engine's clock. What a post says of its time is the real time: all of them are of today."""
        self._open()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def _open(self) -> None:
        self.engine: MemoryEngine | SqliteEngine
        if self._in_file:
            self.engine = SqliteEngine(self._path, keep_days=0, keep_posts=0, clock=lambda: self.clock_s)
        else:
            self.engine = MemoryEngine(max_posts=MEMORY_POSTS, clock=lambda: self.clock_s)
        self.run(self.engine.start())
        self._tail = entry_tail(self.engine)
        if self.engine.epoch != self.log.epoch:
            self.log = TimedLog(self.engine.epoch, lambda: self.clock_s)
        self.hub = Hub(self.engine, LIMITS, "n1", random_id=str)

    def restart(self, *, keep_log: bool = True) -> None:
        """The engine is opened anew; its users come back to it."""
        for user in self.users:
            user.cut(noticed=False)
        self.close_engine()
        self.log.read_again()
        self._open()

    def close_engine(self) -> None:
        self.run(self.engine.close())
        assert self.run(_next(self._tail)) == []

    def trim(self, keep: int) -> None:
        """Forget all but the newest posts of each room; in memory that happens by itself."""
        if isinstance(self.engine, SqliteEngine):
            self.run(trim_to(self.engine, keep_posts=keep))
        for room, entries in self.log.entries.items():
            self.log.trim(room, max(self.log.first_seq(room) - 1, len(entries) - keep))

    def append(self, batch: Sequence[NewEntry]) -> None:
        """Into engine and model; they must say the same."""
        self._append(batch, lambda results: None)

    def _append(self, batch: Sequence[NewEntry], accepted: Callable[[list[AppendResult]], None]) -> None:
        results = self.run(self.engine.append(batch))
        expected, new = self.log.append(batch)
        assert [comparable(result) for result in results] == [comparable(result) for result in expected]
        accepted(results)
        delivered: list[Entry] = []
        while len(delivered) < len(new):
            delivered += self.run(_next(self._tail))
        assert delivered == new
        self.hub.deliver(delivered)
        if not self._in_file:
            self.trim(MEMORY_POSTS)

    def read(self, read: Read) -> Sequence[Entry]:
        """From the engine; the model must say the same."""
        if isinstance(read, SearchRead):
            hits = self.run(self.engine.search(read.room, read.query, before=read.before, limit=read.limit))
            kept = posts_of(self.log.entries.get(read.room, [])[self.log.first_seq(read.room) - 1 :])
            before = read.before or self.log.last_seq(read.room) + 1
            expected = [p for p in kept if p.text.startswith(read.query) and p.position.seq < before]
            assert hits == expected[-read.limit :]
            return hits
        from_end = isinstance(read, BackfillRead) or read.from_end
        after = 0 if isinstance(read, BackfillRead) else read.after
        found = self.run(
            self.engine.read(read.room, after=after, before=read.before, limit=read.limit, from_end=from_end)
        )
        assert found == self.log.read(read)
        return found

    def serve(self) -> None:
        hub = self.hub
        if hub.effects.pending_entries:
            batch = hub.effects.pending_entries.take_batch()
            self._append(
                [pending.entry for pending in batch],
                lambda results: hub.entries_appended(batch, results, self.when),
            )
        while hub.effects.topic_changes:
            change = hub.effects.take_topic_change()
            self.run(self.engine.set_topic(change.room, change.topic))
            self.log.topics[change.room] = change.topic
            hub.topic_saved(change)
        for read in hub.effects.take_reads():
            hub.reads.done(read, self.read(read))
        super().serve()

    def asked(self, room: str, since: str, *questions: commands.Command) -> list[dict[str, Any]]:
        """What a connection that comes, asks and goes is sent; `since` is where it says it stands."""
        wire = Wire()
        peer = self.hub.open(wire, v1=True, address="test", when=self.when)
        hello = commands.Hello("", "passer-by", "", (commands.RoomRequest(room, since),), notes=True)
        for command in (hello, *questions):
            self.hub.receive(peer, encode(command), self.when)
        self.serve()
        while self.hub.effects.reads or self.hub.effects.pending_entries or peer.has_pending:
            self.serve()
        self.hub.close(peer, self.when)
        return read_frames(wire)


async def _next(tail: AsyncIterator[list[Entry]]) -> list[Entry]:
    """The next batch; empty at the end."""
    async with asyncio.timeout(20.0):
        return await anext(tail, [])


class LogMachine(RuleBasedStateMachine):
    in_file: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.world = EngineWorld(self.directory / "history.db", in_file=self.in_file)
        self.users: list[User] = []
        self.said: dict[str, dict[str, tuple[str, str]]] = {}
        self.come_in()

    def come_in(self) -> None:
        """Users that know nothing enter rooms in which nothing was said."""
        self.world.users.clear()
        self.users = [self.world.user(name, *((room, 0) for room in ROOMS)) for name in ("ana", "ben")]
        self.said = {"ana": {}, "ben": {}}

    @property
    def unacknowledged(self) -> int:
        return sum(user.session.unacknowledged for user in self.users)

    # -- what happens

    @rule(batch=st.lists(new_posts, max_size=8))
    def append(self, batch: list[NewPost]) -> None:
        self.world.append(batch)

    @rule(who=people, room=room_names, word=words)
    def say(self, who: int, room: str, word: str) -> None:
        user = self.users[who]
        self.said[user.session.name][user.say(word, room)] = (room, word)

    @rule(who=people, noticed=st.booleans())
    def cut(self, who: int, noticed: bool) -> None:
        self.users[who].cut(noticed=noticed)

    @rule(who=people)
    def come_back(self, who: int) -> None:
        if self.users[who].wire is None:
            self.users[who].connect()

    @rule(who=people, frames=st.integers(1, 4))
    def move_a_little(self, who: int, frames: int) -> None:
        self.world.serve()
        self.world.deliver(self.users[who], frames)

    @rule()
    def move(self) -> None:
        self.world.step()

    @rule()
    def let_time_pass(self) -> None:
        self.world.pass_time(2.0)

    @precondition(lambda self: not self.unacknowledged)
    @rule(minutes=st.sampled_from((4.0, 9.5, 10.5)))
    def let_minutes_pass(self, minutes: float) -> None:
        """Only when nothing is unsettled: a resend after more than `DEDUP_S` is not recognised."""
        self.world.clock_s += 60.0 * minutes

    @rule(room=room_names, words=st.lists(words, min_size=6, max_size=14))
    def flood(self, room: str, words: list[str]) -> None:
        """More than a ring and a log in memory hold."""
        self.world.append([NewPost(room, "bot", word, datetime.now(UTC), author=BOT) for word in words])

    @rule(
        room=room_names,
        back=st.integers(0, 12),
        kind=st.sampled_from(NoteKind),
        word=words,
        on=st.booleans(),
    )
    def change(self, room: str, back: int, kind: NoteKind, word: str, on: bool) -> None:
        """The bot changes an earlier post; it may edit and delete its own ones only."""
        re = self.world.log.last_seq(room) - back
        text = word if kind is not NoteKind.DELETE else ""
        now = datetime.now(UTC)
        self.world.append([NewNote(room, re, kind, "bot", now, BOT, text=text, on=on)])
        if kind is NoteKind.REACT:
            self.world.append([NewSummary(room, re, kind, now)])

    @rule(room=room_names, nonce=st.sampled_from(("c1-1", "c2-1")), again=st.sampled_from((0.0, 9.5, 10.5)))
    def post_again(self, room: str, nonce: str, again: float) -> None:
        """The same post twice, with minutes between, or a restart."""
        new_post = NewPost(room, "bot", "apple", datetime.now(UTC), nonce[:2], nonce)
        self.world.append([new_post])
        if again and not self.unacknowledged:
            self.let_minutes_pass(again)
        elif self.in_file:
            self.world.restart()
        self.world.append([new_post])

    @rule(room=room_names, topic=st.sampled_from(("", "Tea", "Coffee")))
    def set_topic(self, room: str, topic: str) -> None:
        self.world.asked(room, "", commands.SetTopic(topic, room, "t"))

    @precondition(lambda self: self.in_file and not self.unacknowledged)
    @rule(keep=st.integers(1, 10))
    def trim(self, keep: int) -> None:
        """Only when nothing is unsettled: a resend of a trimmed post is not recognised after a restart."""
        self.world.trim(keep)

    @rule()
    def restart(self) -> None:
        if self.in_file:
            self.world.restart()
        else:
            self.settle()
            self.world.restart()
            self.come_in()

    # -- what is asked

    @rule(room=room_names, back=st.integers(0, 15), from_oldest=st.booleans())
    def resume(self, room: str, back: int, from_oldest: bool) -> None:
        """Each post after the position comes once and in order, or lies in an announced gap.

        The position is so far from the newest post, or one or two away from where what is kept begins.
        """
        log = self.world.log
        since = max(0, log.first_seq(room) - 2 + back % 3 if from_oldest else log.last_seq(room) - back)
        since = min(since, log.last_seq(room))
        at = since
        recovered = since >= log.first_seq(room) - 1
        for frame in self.world.asked(room, str(Position(log.epoch, since))):
            match frame:
                case {"type": "gap", "from": first, "to": last, "reason": reason}:
                    assert reason in ("trimmed", "lagged")
                    assert Position.parse(first) == Position(log.epoch, at + 1)
                    assert reason == "lagged" or not recovered
                    assert int(last.rpartition("-")[2]) > at
                    at = int(last.rpartition("-")[2])
                case {"type": "welcome", "rooms": [state]}:
                    assert state["recovered"] == recovered
                case {"type": "message" | "note" as kind, "id": entry_id, "room": of_room}:
                    assert of_room == room
                    entry = log.entries[room][at]
                    assert entry_id == str(entry.position)
                    assert (kind == "note") == isinstance(entry, Note)
                    assert isinstance(entry, Note) or frame["message"] == entry.text
                    at += 1
        assert at == log.last_seq(room)

    @rule(room=room_names, since=st.sampled_from(("other-3", "ahead")))
    def resume_from_nowhere(self, room: str, since: str) -> None:
        log = self.world.log
        position = since if since != "ahead" else str(Position(log.epoch, log.last_seq(room) + 1_000))
        frames = self.world.asked(room, position)
        [gap] = [frame for frame in frames if frame["type"] == "gap" and frame["reason"] == "epoch"]
        assert gap["from"] == position

    @rule(
        room=room_names,
        way=st.sampled_from(("before", "after", "around", "latest")),
        seq=st.integers(0, 40),
        limit=st.integers(1, 2 * PAGE_MAX),
    )
    def page(
        self, room: str, way: Literal["before", "after", "around", "latest"], seq: int, limit: int
    ) -> None:
        log = self.world.log
        at = str(Position(log.epoch, seq))
        question = commands.FetchHistory(
            room,
            "h",
            before=at if way == "before" else "",
            after=at if way == "after" else "",
            around=at if way == "around" else "",
            latest=way == "latest",
            limit=limit,
        )
        frames = self.world.asked(room, "", question)
        [page] = [frame for frame in frames if frame["type"] == "history"]
        kept = log.entries.get(room, [])[log.first_seq(room) - 1 :]
        limit = min(limit, PAGE_MAX)
        match way:
            case "before":
                expected = [post for post in kept if post.position.seq < seq][-limit:]
            case "latest":
                expected = kept[-limit:]
            case "after":
                expected = [post for post in kept if post.position.seq > seq][:limit]
            case "around":
                expected = [post for post in kept if post.position.seq >= seq - limit // 2][:limit]
        assert [item["id"] for item in page["items"]] == [str(post.position) for post in expected]
        if way in ("before", "latest"):
            assert page["more"] == bool(expected and expected[0] is not kept[0])
        else:
            assert page["more"] == bool(expected and expected[-1] is not kept[-1])

    @rule(room=room_names, query=st.sampled_from((*WORDS, "p", "ap", "nothing")), limit=st.integers(1, 9))
    def search(self, room: str, query: str, limit: int) -> None:
        frames = self.world.asked(room, "", commands.Search(query, room, "s", limit=limit))
        [found] = [frame for frame in frames if frame["type"] == "search"]
        assert all(item["message"].startswith(query) for item in found["items"])

    # -- what must hold

    @invariant()
    def engine_and_model_stand_at_the_same_place(self) -> None:
        engine, log = self.world.engine, self.world.log
        for room in ROOMS:
            assert (engine.first_seq(room), engine.last_seq(room)) == (
                log.first_seq(room),
                log.last_seq(room),
            )
            assert engine.topic(room) == log.topic(room)

    def settle(self) -> None:
        """Let everyone come back and have all; nothing may be lost, doubled or out of order."""
        for user in self.users:
            if user.wire is None:
                user.connect()
        self.world.step()
        entries = self.world.log.entries
        changed = {
            (room, post.position)
            for room in ROOMS
            for post in posts_of(entries.get(room, []))
            if post.state.edited or post.state.deleted
        }
        log = {
            room: [
                _seen(entry, self.world.log.nonces.get((room, entry.position), ""), changed)
                for entry in entries.get(room, [])
            ]
            for room in ROOMS
        }
        publishers = [self._publisher(user) for user in self.users]
        readers = [_reader(user, room, changed) for user in self.users for room in ROOMS]
        assert faults(History(log, publishers, readers)) == []
        for user in self.users:
            for room in ROOMS:
                self._check_posts(user, room)

    def _check_posts(self, user: User, room: str) -> None:
        """A user who has received everything has the posts as they are in the log."""
        shown: dict[int, Post] = {}
        for update in user.updates:
            if isinstance(update, GapFound) and update.room == room:
                return
            if isinstance(update, PostArrived) and update.post.room == room:
                shown[update.post.position.seq] = update.post
            elif isinstance(update, NoteArrived) and update.note.room == room:
                re = update.note.re
                shown[re] = apply_note(shown[re], update.note)
        first_seq = self.world.log.first_seq(room)
        for post in posts_of(self.world.log.entries.get(room, [])):
            if post.position.seq < first_seq:
                continue  # a note that arrives after its post was trimmed has no state
            seen, state = shown[post.position.seq], post.state
            assert (seen.text, seen.state.edited, seen.state.deleted) == (
                post.text,
                state.edited,
                state.deleted,
            )
            assert (seen.state.pinned, seen.state.reactions) == (state.pinned, state.reactions)

    def _publisher(self, user: User) -> Publisher:
        name = user.session.name
        return Publisher(
            name,
            self.said[name],
            acknowledged=[(u.nonce, u.post_id) for u in user.updates if isinstance(u, PostDelivered)],
            rejected=[(u.nonce, u.reason) for u in user.updates if isinstance(u, PostRejected)],
            unacknowledged=user.session.unacknowledged,
        )

    def teardown(self) -> None:
        try:
            self.settle()
            self.world.close_engine()
        finally:
            self.world.runner.close()
            shutil.rmtree(self.directory)


def _own(nonce: str) -> str:
    """Those that passed by use theirs again and again."""
    return nonce if "." in nonce else ""


def _seen(entry: Entry, nonce: str, changed: set[tuple[str, Position]]) -> Seen:
    """An entry; the text is left out if it was changed, since users may have received it before or after."""
    if isinstance(entry, Note):
        return Seen(entry.position, _own(nonce), f"{entry.kind} {entry.re}")
    text = "" if (entry.room, entry.position) in changed else entry.text
    return Seen(entry.position, _own(nonce), text)


def _reader(user: User, room: str, changed: set[tuple[str, Position]]) -> Reader:
    reader = Reader(user.session.name, room)
    for update in user.updates:
        if isinstance(update, PostArrived) and update.post.room == room:
            reader.received.append(_seen(update.post, update.post.nonce, changed))
        elif isinstance(update, NoteArrived) and update.note.room == room:
            reader.received.append(_seen(update.note, update.note.nonce, changed))
        elif isinstance(update, GapFound) and update.room == room:
            reader.received.append(Gap(update.count))
    return reader


class MemoryMachine(LogMachine):
    in_file = False


class SqliteMachine(LogMachine):
    in_file = True


# Much longer than it takes: a failure needs its time to be made small.
pytestmark = pytest.mark.timeout(400)
QUICK = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMemory = MemoryMachine.TestCase
TestMemory.settings = QUICK
TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = QUICK
