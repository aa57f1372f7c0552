"""A person whose client posts and changes at random and records every update, over a bad network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.notes import Entry, Note, apply_note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind, Votes
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    GapFound,
    NoteArrived,
    NoteDelivered,
    NoteRejected,
    PostArrived,
    PostDelivered,
    PostRejected,
    Update,
)
from tests.support.history_check import Gap, Publisher, Reader, Seen, label_of
from tests.support.note_check import Change, view_of

ROOMS = ("lobby", "dev")
PUBLISHERS = 4
LAST_POST = "the end"
REACTIONS = ("👍", "✅", "👀")
LAST_REACTION = "🏁"
QUESTIONS = 10
"""Questions of each publisher. A room can have 100 open questions."""
CHOICES = ("yes", "no", "later")
ASK = commands.Question(CHOICES, 86_400.0, (*(f"pub{number}" for number in range(PUBLISHERS)), "absent"))
"""A question that stays open, since one of the people asked never answers."""


class Person:
    """A client that records every update; it posts if it is a publisher."""

    def __init__(self, name: str, port: int, rng: Random) -> None:
        self.client = BroadcastClient("127.0.0.1", port, name=name, rooms=ROOMS, last=0)
        self.publisher = Publisher(name)
        self.readers = {room: Reader(name, room) for room in ROOMS}
        self.posts: dict[str, dict[Position, Post]] = {room: {} for room in ROOMS}
        self.moved = asyncio.Condition()
        self._rng = rng
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        self.client.start()
        async for batch in self.client.batches():
            for update in batch:
                self._note(update)
            async with self.moved:
                self.moved.notify_all()

    def _note(self, update: Update) -> None:
        match update:
            case PostArrived(post=post):
                seen = Seen(post.position, post.nonce, label_of(post.text))
                self.readers[post.room].received.append(seen)
                self.posts[post.room][post.position] = post
            case NoteArrived(note=note):
                seen = Seen(note.position, note.nonce, f"{note.kind} {note.re}")
                self.readers[note.room].received.append(seen)
                posts, target = self.posts[note.room], Position(note.position.epoch, note.re)
                if target in posts:
                    posts[target] = apply_note(posts[target], note)
            case GapFound(room=room, count=count):
                self.readers[room].received.append(Gap(count))
            case PostDelivered(nonce=nonce, post_id=post_id):
                self.publisher.acknowledged.append((nonce, post_id))
            case NoteDelivered(nonce=nonce, re=post_id):
                self.publisher.acknowledged.append((nonce, post_id))
            case PostRejected(nonce=nonce, reason=why) | NoteRejected(nonce=nonce, reason=why):
                self.publisher.rejected.append((nonce, why))
            case ConnectionChanged(state=ConnectionState.WAITING):
                # Full backoff would leave few connections to test.
                wait_s = self._rng.uniform(0.02, 0.4)
                asyncio.get_running_loop().call_later(wait_s, self.client.reconnect_now)

    def say(self, room: str, text: str, ask: commands.Question | None = None) -> str:
        nonce = self.client.say(room, text, ask=ask)
        self.publisher.posted[nonce] = (room, text)
        return nonce

    def change(self, room: str, re: str, kind: NoteKind, text: str, *, on: bool = True) -> None:
        nonce = self.client.send_note(room, re, kind, text=text, on=on)
        self.publisher.changes.append(Change(nonce, room, re, kind, text, on))

    def change_something(self, number: int) -> None:
        """Edit an own post, perhaps one without an ack, or react to a post, or answer a question."""
        room = self._rng.choice(ROOMS)
        own = [nonce for nonce, (posted_in, _) in self.publisher.posted.items() if posted_in == room]
        seen = list(self.posts[room].values())[-50:]
        asks = [post for post in seen if post.state.ask is not None]
        match self._rng.choice((NoteKind.EDIT, NoteKind.REACT, NoteKind.REACT, NoteKind.ANSWER)):
            case NoteKind.EDIT if own:
                nonce = self._rng.choice(own[-20:])
                text = f"{label_of(self.publisher.posted[nonce][1])} edited {number}"
                self.change(room, nonce, NoteKind.EDIT, text)
            case NoteKind.REACT if seen:
                target, key = str(self._rng.choice(seen).position), self._rng.choice(REACTIONS)
                self.change(room, target, NoteKind.REACT, key, on=self._rng.random() < 0.7)
            case NoteKind.ANSWER if asks:
                target = str(self._rng.choice(asks).position)
                self.change(room, target, NoteKind.ANSWER, self._rng.choice(CHOICES))

    async def publish(self, until: float) -> None:
        """Post at random times, sometimes in bursts."""
        loop, number = asyncio.get_running_loop(), 0
        while loop.time() < until:
            for _ in range(self._rng.choice((1, 1, 1, 1, 1, 1, 2, 5, 100))):
                number += 1
                text = f"{self.publisher.name} {number} " + "x" * self._rng.choice((0, 10, 100, 3_000))
                ask = ASK if number % 20 == 1 and number < 20 * QUESTIONS else None
                self.say(self._rng.choice(ROOMS), text.strip(), ask)
                if self._rng.random() < 0.4:
                    self.change_something(number)
            await asyncio.sleep(self._rng.uniform(0.01, 0.2))

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        async with self.moved:
            await self.moved.wait_for(condition)

    def is_online(self) -> bool:
        return self.client.state is ConnectionState.ONLINE

    def is_acknowledged(self) -> bool:
        """Whether the server has acknowledged all own posts."""
        return self.client.unacknowledged == 0

    def has_last_post(self) -> bool:
        newest = [reader.received[-1] if reader.received else None for reader in self.readers.values()]
        return all(isinstance(seen, Seen) and seen.label == LAST_POST for seen in newest)

    def sees_last_reaction_of(self, name: str) -> bool:
        """Whether the first post of each room has the last reaction of a person."""
        firsts = [posts[min(posts)] for posts in self.posts.values()]
        return all(name in post.state.reactions.get(LAST_REACTION, Votes(0, ())).names for post in firsts)

    async def close(self) -> None:
        self.publisher.unacknowledged = self.client.unacknowledged
        for room, reader in self.readers.items():
            reader.views = {position: view_of(post) for position, post in self.posts[room].items()}
        await self.client.close()
        await self._task


@asynccontextmanager
async def people(names: Iterable[str], port: int, seed: int) -> AsyncIterator[list[Person]]:
    async with AsyncExitStack() as stack:
        present = []
        for name in names:
            person = Person(name, port, Random(f"{seed}-{name}"))
            stack.push_async_callback(person.close)
            present.append(person)
        yield present


async def drain(present: list[Person]) -> None:
    """Wait until everything is acknowledged and announced, and everyone has the last post of each room."""
    for person in present:
        await person.wait_for(person.is_acknowledged)
    # Votes are announced within a second. Those on the first post have to wait as well, so once the second
    # of two is announced, all earlier ones are.
    for voter in present[:2]:
        for room in ROOMS:
            first = str(min(voter.posts[room]))
            voter.change(room, first, NoteKind.REACT, LAST_REACTION)
        for person in present:
            await person.wait_for(partial(person.sees_last_reaction_of, voter.publisher.name))
    for room in ROOMS:
        present[0].say(room, LAST_POST)
    for person in present:
        await person.wait_for(person.has_last_post)
    await present[0].wait_for(present[0].is_acknowledged)


def entry_label(entry: Entry) -> str:
    return f"{entry.kind} {entry.re}" if isinstance(entry, Note) else label_of(entry.text)
