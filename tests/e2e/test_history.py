"""No post is lost, duplicated or reordered by a bad network and a server that keeps crashing.

`--seed` repeats a run; `--soak SECONDS` makes it longer.
"""

from __future__ import annotations

import asyncio
import copy
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from random import Random

import pytest

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.post import Position
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    GapFound,
    PostArrived,
    PostDelivered,
    PostRejected,
    Update,
)
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.e2e.conftest import ServerProcess
from tests.support.chaos import ChaosProxy, Fault, chaos_proxy
from tests.support.entries import posts_of
from tests.support.history_check import Gap, History, Publisher, Reader, Seen, faults
from tests.support.profile import by_profile

ROOMS = ("lobby", "dev")
PUBLISHERS = 4
READERS = 4
DRAIN_S = 120.0
KILL_AFTER_S = by_profile((0.5, 1.5), (1.5, 5.0))
"""Minimum and maximum lifetime of a server."""
LAST_POST = "the end"


class Person:
    """A client that records every update; it posts if it is a publisher."""

    def __init__(self, name: str, port: int, rng: Random) -> None:
        self.client = BroadcastClient("127.0.0.1", port, name=name, rooms=ROOMS, last=0)
        self.publisher = Publisher(name)
        self.readers = {room: Reader(name, room) for room in ROOMS}
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
                seen = Seen(post.position, post.nonce, post.text)
                self.readers[post.room].received.append(seen)
            case GapFound(room=room, count=count):
                self.readers[room].received.append(Gap(count))
            case PostDelivered(nonce=nonce, post_id=post_id):
                self.publisher.acknowledged.append((nonce, post_id))
            case PostRejected(nonce=nonce):
                self.publisher.rejected.append(nonce)
            case ConnectionChanged(state=ConnectionState.WAITING):
                # Full backoff would leave few connections to test.
                wait_s = self._rng.uniform(0.02, 0.4)
                asyncio.get_running_loop().call_later(wait_s, self.client.reconnect_now)

    def say(self, room: str, text: str) -> None:
        self.publisher.posted[self.client.say(room, text)] = (room, text)

    async def publish(self, until: float) -> None:
        """Post at random times, sometimes in bursts."""
        loop, number = asyncio.get_running_loop(), 0
        while loop.time() < until:
            for _ in range(self._rng.choice((1, 1, 1, 1, 1, 1, 2, 5, 100))):
                number += 1
                text = f"{self.publisher.name} {number} " + "x" * self._rng.choice((0, 10, 100, 3_000))
                self.say(self._rng.choice(ROOMS), text.strip())
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
        return all(isinstance(seen, Seen) and seen.text == LAST_POST for seen in newest)

    async def close(self) -> None:
        self.publisher.unacknowledged = self.client.unacknowledged
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


async def kill_repeatedly(server: ServerProcess, options: tuple[str, ...], rng: Random, until: float) -> int:
    """Kill and restart the server every few seconds; returns the number of kills."""
    loop, kills = asyncio.get_running_loop(), 0
    while (left_s := until - loop.time()) > 0:
        await asyncio.sleep(min(left_s, rng.uniform(*KILL_AFTER_S)))
        await asyncio.to_thread(server.kill)
        kills += 1
        await asyncio.sleep(rng.uniform(0.0, 0.7))
        await asyncio.to_thread(server.start, *options)
    return kills


async def stored_posts(path: Path) -> dict[str, list[Seen]]:
    """The posts in a history file that no server is using."""
    engine = SqliteEngine(path)
    await engine.start()
    try:
        log = {room: await engine.read(room, limit=10_000_000) for room in ROOMS}
    finally:
        await engine.close()
    query = "SELECT name, seq, nonce FROM posts JOIN rooms ON rooms.id = room_id"
    with closing(sqlite3.connect(path)) as file:
        nonces = {(room, seq): nonce for room, seq, nonce in file.execute(query)}
    return {
        room: [Seen(p.position, nonces[room, p.position.seq], p.text) for p in posts_of(entries)]
        for room, entries in log.items()
    }


async def run_chaos(server: ServerProcess, path: Path, seed: int, length_s: float) -> tuple[History, str]:
    """Run chaos for `length_s` seconds, then calm; returns the history and a summary."""
    options = ("--history", str(path), "--message-rate", "0", "--log-level", "warning")
    await asyncio.to_thread(server.start, *options)
    names = [f"pub{number}" for number in range(PUBLISHERS)] + [f"sub{n}" for n in range(READERS)]
    async with chaos_proxy(server.port, seed) as proxy, people(names, proxy.port, seed) as present:
        for person in present:
            await person.wait_for(person.is_online)
        until = asyncio.get_running_loop().time() + length_s
        async with asyncio.TaskGroup() as group:
            for person in present[:PUBLISHERS]:
                group.create_task(person.publish(until))
            killing = group.create_task(kill_repeatedly(server, options, Random(f"{seed}-kills"), until))
        proxy.calm.set()
        await _drain(present)
        done = f"{killing.result()} kills, {proxy.accepted_count} connections, {_fault_summary(proxy)}"
    await asyncio.to_thread(server.stop)
    history = History(
        await stored_posts(path),
        [person.publisher for person in present],
        [reader for person in present for reader in person.readers.values()],
    )
    return history, done


async def _drain(present: list[Person]) -> None:
    """Wait until all posts are acknowledged and everyone has the last post of each room."""
    for person in present:
        await person.wait_for(person.is_acknowledged)
    for room in ROOMS:
        present[0].say(room, LAST_POST)
    for person in present:
        await person.wait_for(person.has_last_post)
    await present[0].wait_for(present[0].is_acknowledged)


def _fault_summary(proxy: ChaosProxy) -> str:
    return ", ".join(f"{count} {fault}" for fault, count in proxy.done.items() if fault is not Fault.NONE)


@pytest.mark.timeout(0)  # it has its own, which grows with --soak
async def test_no_post_is_lost_duplicated_or_reordered_in_chaos(
    tmp_path: Path, seed: int, soak_s: float
) -> None:
    server = ServerProcess(tmp_path / "server.log")
    try:
        async with asyncio.timeout(soak_s + DRAIN_S):
            history, done = await run_chaos(server, tmp_path / "history.db", seed, soak_s)
    except BaseException as error:
        error.add_note(f"again with: --seed {seed} --soak {soak_s:g}")
        raise
    finally:
        server.stop()
    posts = sum(map(len, history.log.values()))
    posted = sum(len(publisher.posted) for publisher in history.publishers)
    print(f"{posts} posts, {done}")
    assert faults(history) == [], f"{done}; again with: --seed {seed} --soak {soak_s:g}"
    assert posts == posted > 100
    assert "Traceback" not in (tmp_path / "server.log").read_text()


# -- the checker itself


def valid_history() -> History:
    """A valid history: two publishers, two rooms, and readers, one of them with an announced gap."""
    log = {
        room: [
            Seen(Position("e1", seq), f"{who}{room}{seq}", f"text {seq}")
            for seq, who in enumerate("aabbabab", start=1)
        ]
        for room in ROOMS
    }
    publishers = [
        Publisher(
            who,
            {p.nonce: (room, p.text) for room, posts in log.items() for p in posts if p.nonce[0] == who},
            [(p.nonce, str(p.position)) for posts in log.values() for p in posts if p.nonce[0] == who],
        )
        for who in "ab"
    ]
    readers = [Reader(name, room, 0, list(log[room])) for name in ("r", "s") for room in ROOMS]
    readers.append(Reader("late", "lobby", 2, [log["lobby"][2], Gap(2), *log["lobby"][5:]]))
    readers.append(Reader("lost", "lobby", 0, [log["lobby"][0], Gap(None), *log["lobby"][5:]]))
    return History(log, publishers, readers)


def post_missing_in_the_log(history: History) -> None:
    del history.log["lobby"][-1]
    for reader in history.readers:
        if reader.room == "lobby":
            reader.received.pop()


def post_twice_in_the_log(history: History) -> None:
    again = history.log["dev"][0]
    history.log["dev"].append(Seen(Position("e1", 9), again.nonce, again.text))
    for reader in history.readers:
        if reader.room == "dev":
            reader.received.append(history.log["dev"][-1])


def post_not_received(history: History) -> None:
    del history.readers[0].received[3]


def last_post_not_received(history: History) -> None:
    history.readers[0].received.pop()


def nothing_received(history: History) -> None:
    history.readers[1].received.clear()


def post_received_twice(history: History) -> None:
    history.readers[0].received.insert(4, history.readers[0].received[3])


def posts_received_in_another_order(history: History) -> None:
    received = history.readers[0].received
    received[2], received[3] = received[3], received[2]


def other_post_under_the_same_number(history: History) -> None:
    history.readers[0].received[2] = Seen(Position("e1", 3), "other", "text")


def other_epoch(history: History) -> None:
    there = history.log["lobby"][2]
    history.readers[0].received[2] = Seen(Position("e2", 3), there.nonce, there.text)


def missing_gap(history: History) -> None:
    history.readers[4].received.remove(Gap(2))


def gap_too_small(history: History) -> None:
    history.readers[4].received[1] = Gap(1)


def gap_without_missing_posts(history: History) -> None:
    history.readers[0].received.insert(2, Gap(1))


def acknowledged_but_not_stored(history: History) -> None:
    history.publishers[0].acknowledged.append(("never", "e1-3"))


def acknowledged_with_another_id(history: History) -> None:
    nonce, _ = history.publishers[0].acknowledged[0]
    history.publishers[0].acknowledged[0] = (nonce, "e1-8")


def acknowledged_twice(history: History) -> None:
    history.publishers[0].acknowledged.append(history.publishers[0].acknowledged[0])


def posted_but_not_stored(history: History) -> None:
    history.publishers[1].posted["never"] = ("lobby", "text")


def stored_with_another_text(history: History) -> None:
    nonce, (room, _) = next(iter(history.publishers[1].posted.items()))
    history.publishers[1].posted[nonce] = (room, "something else")


def unacknowledged_at_the_end(history: History) -> None:
    history.publishers[1].unacknowledged = 1


def rejected(history: History) -> None:
    history.publishers[1].rejected.append("b1")


def number_missing_in_the_log(history: History) -> None:
    del history.log["dev"][2]


MANIPULATIONS = (
    post_missing_in_the_log,
    post_twice_in_the_log,
    post_not_received,
    last_post_not_received,
    nothing_received,
    post_received_twice,
    posts_received_in_another_order,
    other_post_under_the_same_number,
    other_epoch,
    missing_gap,
    gap_too_small,
    gap_without_missing_posts,
    acknowledged_but_not_stored,
    acknowledged_with_another_id,
    acknowledged_twice,
    posted_but_not_stored,
    stored_with_another_text,
    unacknowledged_at_the_end,
    rejected,
    number_missing_in_the_log,
)


def test_valid_history_has_no_faults() -> None:
    assert faults(valid_history()) == []


@pytest.mark.parametrize("manipulate", MANIPULATIONS, ids=lambda manipulate: manipulate.__name__)
def test_each_manipulation_is_detected(manipulate: Callable[[History], None]) -> None:
    history = copy.deepcopy(valid_history())
    manipulate(history)
    assert faults(history) != []
