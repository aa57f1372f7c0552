"""Nothing lost, nothing twice, one order for all: through a bad network and a server that keeps dying.

The dice of a run are thrown with `--seed`; `--soak SECONDS` makes it longer.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
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
from tests.support.chaos import ChaosProxy, Harm, chaos_proxy
from tests.support.history_check import History, Hole, Publisher, Reader, Seen, faults
from tests.support.profile import by_profile

ROOMS = ("lobby", "dev")
PUBLISHERS = 4
READERS = 4
DRAIN_S = 120.0
KILL_AFTER_S = by_profile((0.5, 1.5), (1.5, 5.0))
"""Shortest and longest life of a server."""
LAST_WORDS = "the end"


class Person:
    """A client whose every update is written down; it says things if it is a publisher."""

    def __init__(self, name: str, port: int, dice: Random) -> None:
        self.client = BroadcastClient("127.0.0.1", port, name=name, rooms=ROOMS, last=0)
        self.publisher = Publisher(name)
        self.readers = {room: Reader(name, room) for room in ROOMS}
        self.moved = asyncio.Condition()
        self._dice = dice
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
                self.readers[post.room].given.append(seen)
            case GapFound(room=room, count=count):
                self.readers[room].given.append(Hole(count))
            case PostDelivered(nonce=nonce, post_id=post_id):
                self.publisher.acknowledged.append((nonce, post_id))
            case PostRejected(nonce=nonce):
                self.publisher.refused.append(nonce)
            case ConnectionChanged(state=ConnectionState.WAITING):
                # The back-off of a client that is cut all the time would leave little to look at.
                wait_s = self._dice.uniform(0.02, 0.4)
                asyncio.get_running_loop().call_later(wait_s, self.client.reconnect_now)

    def say(self, room: str, text: str) -> None:
        self.publisher.said[self.client.say(room, text)] = (room, text)

    async def publish(self, until: float) -> None:
        """Say something every now and then, sometimes much at once."""
        loop, number = asyncio.get_running_loop(), 0
        while loop.time() < until:
            for _ in range(self._dice.choice((1, 1, 1, 1, 1, 1, 2, 5, 100))):
                number += 1
                text = f"{self.publisher.name} {number} " + "x" * self._dice.choice((0, 10, 100, 3_000))
                self.say(self._dice.choice(ROOMS), text.strip())
            await asyncio.sleep(self._dice.uniform(0.01, 0.2))

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        async with self.moved:
            await self.moved.wait_for(condition)

    def is_online(self) -> bool:
        return self.client.state is ConnectionState.ONLINE

    def is_settled(self) -> bool:
        """Whether the server has said of each of our posts that it has it."""
        return self.client.unacknowledged == 0

    def has_last_words(self) -> bool:
        newest = [reader.given[-1] if reader.given else None for reader in self.readers.values()]
        return all(isinstance(seen, Seen) and seen.text == LAST_WORDS for seen in newest)

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


async def keep_killing(server: ServerProcess, options: tuple[str, ...], dice: Random, until: float) -> int:
    """Kill the server every few seconds and start it again; how often."""
    loop, kills = asyncio.get_running_loop(), 0
    while (left_s := until - loop.time()) > 0:
        await asyncio.sleep(min(left_s, dice.uniform(*KILL_AFTER_S)))
        await asyncio.to_thread(server.kill)
        kills += 1
        await asyncio.sleep(dice.uniform(0.0, 0.7))
        await asyncio.to_thread(server.start, *options)
    return kills


async def told_by(path: Path) -> dict[str, list[Seen]]:
    """What is in the file, when no server is using it."""
    engine = SqliteEngine(path)
    await engine.start()
    try:
        log = {room: await engine.read(room, limit=10_000_000) for room in ROOMS}
    finally:
        await engine.close()
    return {room: [Seen(p.position, p.nonce, p.text) for p in posts] for room, posts in log.items()}


async def live_through(server: ServerProcess, path: Path, seed: int, length_s: float) -> tuple[History, str]:
    """The history of `length_s` bad seconds and the calm after them, and what was done in words."""
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
            killing = group.create_task(keep_killing(server, options, Random(f"{seed}-kills"), until))
        proxy.calm.set()
        await _drain(present)
        done = f"{killing.result()} kills, {proxy.accepted_count} connections, {_misdeeds(proxy)}"
    await asyncio.to_thread(server.stop)
    history = History(
        await told_by(path),
        [person.publisher for person in present],
        [reader for person in present for reader in person.readers.values()],
    )
    return history, done


async def _drain(present: list[Person]) -> None:
    """Until all that was said is settled, and everyone has the last word of each room."""
    for person in present:
        await person.wait_for(person.is_settled)
    for room in ROOMS:
        present[0].say(room, LAST_WORDS)
    for person in present:
        await person.wait_for(person.has_last_words)
    await present[0].wait_for(present[0].is_settled)


def _misdeeds(proxy: ChaosProxy) -> str:
    return ", ".join(f"{count} {harm}" for harm, count in proxy.done.items() if harm is not Harm.NONE)


@pytest.mark.timeout(0)  # it has its own, which grows with --soak
async def test_no_post_is_lost_duplicated_or_reordered_in_chaos(
    tmp_path: Path, seed: int, soak_s: float
) -> None:
    server = ServerProcess(tmp_path / "server.log")
    try:
        async with asyncio.timeout(soak_s + DRAIN_S):
            history, done = await live_through(server, tmp_path / "history.db", seed, soak_s)
    except BaseException as error:
        error.add_note(f"again with: --seed {seed} --soak {soak_s:g}")
        raise
    finally:
        server.stop()
    posts = sum(map(len, history.log.values()))
    said = sum(len(publisher.said) for publisher in history.publishers)
    print(f"{posts} posts, {done}")
    assert faults(history) == [], f"{done}; again with: --seed {seed} --soak {soak_s:g}"
    assert posts == said > 100
    assert "Traceback" not in (tmp_path / "server.log").read_text()


# -- the checker itself


def sound() -> History:
    """Two publishers, two rooms, three readers, one of them with an announced hole."""
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
    readers.append(Reader("late", "lobby", 2, [log["lobby"][2], Hole(2), *log["lobby"][5:]]))
    readers.append(Reader("lost", "lobby", 0, [log["lobby"][0], Hole(None), *log["lobby"][5:]]))
    return History(log, publishers, readers)


def post_lost_from_the_log(history: History) -> None:
    del history.log["lobby"][-1]
    for reader in history.readers:
        if reader.room == "lobby":
            reader.given.pop()


def post_twice_in_the_log(history: History) -> None:
    again = history.log["dev"][0]
    history.log["dev"].append(Seen(Position("e1", 9), again.nonce, again.text))
    for reader in history.readers:
        if reader.room == "dev":
            reader.given.append(history.log["dev"][-1])


def post_lost_on_the_way(history: History) -> None:
    del history.readers[0].given[3]


def last_post_lost_on_the_way(history: History) -> None:
    history.readers[0].given.pop()


def nothing_read(history: History) -> None:
    history.readers[1].given.clear()


def post_given_twice(history: History) -> None:
    history.readers[0].given.insert(4, history.readers[0].given[3])


def posts_given_in_another_order(history: History) -> None:
    given = history.readers[0].given
    given[2], given[3] = given[3], given[2]


def other_post_under_the_same_number(history: History) -> None:
    history.readers[0].given[2] = Seen(Position("e1", 3), "other", "text")


def other_epoch(history: History) -> None:
    there = history.log["lobby"][2]
    history.readers[0].given[2] = Seen(Position("e2", 3), there.nonce, there.text)


def hole_in_silence(history: History) -> None:
    history.readers[4].given.remove(Hole(2))


def hole_announced_too_small(history: History) -> None:
    history.readers[4].given[1] = Hole(1)


def hole_announced_that_is_none(history: History) -> None:
    history.readers[0].given.insert(2, Hole(1))


def acknowledged_and_not_kept(history: History) -> None:
    history.publishers[0].acknowledged.append(("never", "e1-3"))


def acknowledged_with_another_id(history: History) -> None:
    nonce, _ = history.publishers[0].acknowledged[0]
    history.publishers[0].acknowledged[0] = (nonce, "e1-8")


def acknowledged_twice(history: History) -> None:
    history.publishers[0].acknowledged.append(history.publishers[0].acknowledged[0])


def said_and_not_kept(history: History) -> None:
    history.publishers[1].said["never"] = ("lobby", "text")


def kept_with_another_text(history: History) -> None:
    nonce, (room, _) = next(iter(history.publishers[1].said.items()))
    history.publishers[1].said[nonce] = (room, "something else")


def left_unsettled(history: History) -> None:
    history.publishers[1].unacknowledged = 1


def refused(history: History) -> None:
    history.publishers[1].refused.append("b1")


def number_missing_in_the_log(history: History) -> None:
    del history.log["dev"][2]


DOCTORED = (
    post_lost_from_the_log,
    post_twice_in_the_log,
    post_lost_on_the_way,
    last_post_lost_on_the_way,
    nothing_read,
    post_given_twice,
    posts_given_in_another_order,
    other_post_under_the_same_number,
    other_epoch,
    hole_in_silence,
    hole_announced_too_small,
    hole_announced_that_is_none,
    acknowledged_and_not_kept,
    acknowledged_with_another_id,
    acknowledged_twice,
    said_and_not_kept,
    kept_with_another_text,
    left_unsettled,
    refused,
    number_missing_in_the_log,
)


def test_valid_history_has_no_faults() -> None:
    assert faults(sound()) == []


@pytest.mark.parametrize("doctor", DOCTORED, ids=lambda doctor: doctor.__name__)
def test_each_manipulation_is_detected(doctor: Callable[[History], None]) -> None:
    history = copy.deepcopy(sound())
    doctor(history)
    assert faults(history) != []
