"""No post or note is lost, duplicated or reordered by a bad network and a server that keeps crashing.

`--seed` repeats a run; `--soak SECONDS` makes it longer.
"""

from __future__ import annotations

import asyncio
import copy
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from broadcast_tui.core.post import Position
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.e2e.conftest import ServerProcess
from tests.support.chaos import ChaosProxy, Fault, chaos_proxy
from tests.support.chaos_person import PUBLISHERS, ROOMS, drain, entry_label, people
from tests.support.entries import posts_of
from tests.support.history_check import Gap, History, Publisher, Reader, Seen, faults
from tests.support.note_check import Change, View, view_of
from tests.support.profile import by_profile

READERS = 4
DRAIN_S = 120.0
KILL_AFTER_S = by_profile((0.5, 1.5), (1.5, 5.0))
"""Minimum and maximum lifetime of a server."""


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


async def stored_log(path: Path) -> tuple[dict[str, list[Seen]], dict[str, dict[Position, View]]]:
    """The entries in a history file that no server is using, and its posts as they are now."""
    engine = SqliteEngine(path)
    await engine.start()
    try:
        log = {room: await engine.read(room, limit=10_000_000) for room in ROOMS}
    finally:
        await engine.close()
    query = "SELECT name, seq, nonce FROM posts JOIN rooms ON rooms.id = room_id"
    with closing(sqlite3.connect(path)) as file:
        nonces = {(room, seq): nonce for room, seq, nonce in file.execute(query)}
    seen = {
        room: [Seen(e.position, nonces[room, e.position.seq], entry_label(e)) for e in entries]
        for room, entries in log.items()
    }
    views = {room: {p.position: view_of(p) for p in posts_of(entries)} for room, entries in log.items()}
    return seen, views


async def run_chaos(server: ServerProcess, path: Path, seed: int, length_s: float) -> tuple[History, str]:
    """Run chaos for `length_s` seconds, then calm; returns the history and a summary."""
    options = ("--history", str(path), "--message-rate", "0", "--log-level", "warning")
    await asyncio.to_thread(server.start, *options)
    names = [f"pub{number}" for number in range(PUBLISHERS)] + [f"sub{n}" for n in range(READERS)]
    async with chaos_proxy(server.port, seed=seed) as proxy, people(names, proxy.port, seed) as present:
        for person in present:
            await person.wait_for(person.is_online)
        until = asyncio.get_running_loop().time() + length_s
        async with asyncio.TaskGroup() as group:
            for person in present[:PUBLISHERS]:
                group.create_task(person.publish(until))
            killing = group.create_task(kill_repeatedly(server, options, Random(f"{seed}-kills"), until))
        proxy.calm.set()
        await drain(present)
        done = f"{killing.result()} kills, {proxy.accepted_count} connections, {_fault_summary(proxy)}"
    await asyncio.to_thread(server.stop)
    log, views = await stored_log(path)
    history = History(
        log,
        [person.publisher for person in present],
        [reader for person in present for reader in person.readers.values()],
        views,
    )
    return history, done


def _fault_summary(proxy: ChaosProxy) -> str:
    return ", ".join(f"{count} {fault}" for fault, count in proxy.done.items() if fault is not Fault.NONE)


@pytest.mark.timeout(0)  # it has its own, which grows with --soak
async def test_nothing_is_lost_duplicated_or_reordered_in_chaos(
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
    posts = sum(map(len, history.views.values()))
    notes = sum(map(len, history.log.values())) - posts
    posted = sum(len(publisher.posted) for publisher in history.publishers)
    print(f"{posts} posts, {notes} notes, {done}")
    assert "\n".join(faults(history)[:20]) == "", f"{done}; again with: --seed {seed} --soak {soak_s:g}"
    assert posts == posted > 100
    assert notes > 20
    assert "Traceback" not in (tmp_path / "server.log").read_text()


# -- the checker itself


def valid_history() -> History:
    """A valid history: two publishers, two rooms, and readers, one of them with an announced gap.

    Post 3 is edited by its author, post 2 has a reaction by b, and post 4 answers by both.
    """
    log = {
        room: [
            Seen(Position("e1", seq), f"{who}{room}{seq}", f"text {seq}")
            for seq, who in enumerate("aabbabab", start=1)
        ]
        for room in ROOMS
    }
    changes = {
        "a": [Change(f"4a{room}", room, "e1-4", NoteKind.ANSWER, "yes") for room in ROOMS],
        "b": [
            change
            for room in ROOMS
            for change in (
                Change(f"3b{room}", room, f"b{room}3", NoteKind.EDIT, "text 3 edited"),
                Change(f"2b{room}", room, "e1-2", NoteKind.REACT, "👀"),
                Change(f"2x{room}", room, "e1-2", NoteKind.REACT, "👀", on=False),
                Change(f"2y{room}", room, "e1-2", NoteKind.REACT, "👍"),
                Change(f"4b{room}", room, "e1-4", NoteKind.ANSWER, "no"),
                Change(f"4x{room}", room, "e1-4", NoteKind.ANSWER, "yes"),
            )
        ],
    }
    publishers = [
        Publisher(
            who,
            {p.nonce: (room, p.label) for room, posts in log.items() for p in posts if p.nonce[0] == who},
            changes[who],
            [(p.nonce, str(p.position)) for posts in log.values() for p in posts if p.nonce[0] == who]
            + [(change.nonce, f"e1-{change.nonce[0]}") for change in changes[who]],
        )
        for who in "ab"
    ]
    views = {room: {post.position: View(post.label) for post in posts} for room, posts in log.items()}
    for room, posts in log.items():
        views[room] |= {
            Position("e1", 2): View("text 2", reactions=(("👍", ("b",)),)),
            Position("e1", 3): View("text 3 edited"),
            Position("e1", 4): View("text 4", answers=(("yes", ("a", "b")),)),
        }
        notes = (f"3b{room}", "edit 3"), ("", "react 2"), ("", "answer 4")
        posts += [Seen(Position("e1", seq), *note) for seq, note in enumerate(notes, start=9)]
    readers = [
        Reader(name, room, 0, list(log[room]), dict(views[room])) for name in ("r", "s") for room in ROOMS
    ]
    readers.append(Reader("late", "lobby", 2, [log["lobby"][2], Gap(2), *log["lobby"][5:]]))
    readers.append(Reader("lost", "lobby", 0, [log["lobby"][0], Gap(None), *log["lobby"][5:]]))
    return History(log, publishers, readers, views)


def post_missing_in_the_log(history: History) -> None:
    other = Seen(Position("e1", 8), "", "react 1")
    history.log["lobby"][7] = other
    for reader in history.readers:
        if reader.room == "lobby":
            reader.received[-4] = other


def post_twice_in_the_log(history: History) -> None:
    again = history.log["dev"][0]
    history.log["dev"].append(Seen(Position("e1", 12), again.nonce, again.label))
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
    history.readers[0].received[2] = Seen(Position("e2", 3), there.nonce, there.label)


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
    history.publishers[1].rejected.append(("b1", "You are muted."))


def number_missing_in_the_log(history: History) -> None:
    del history.log["dev"][2]


def edit_missing_in_the_log(history: History) -> None:
    entry = history.log["lobby"][8]
    history.log["lobby"][8] = Seen(entry.position, "", entry.label)


def edit_of_another_post_in_the_log(history: History) -> None:
    entry = history.log["lobby"][8]
    history.log["lobby"][8] = Seen(entry.position, entry.nonce, "edit 4")


def note_about_another_post_received(history: History) -> None:
    entry = history.log["lobby"][9]
    history.readers[0].received[9] = Seen(entry.position, "", "react 3")


def note_received_twice(history: History) -> None:
    history.readers[0].received.insert(9, history.readers[0].received[8])


def note_not_acknowledged(history: History) -> None:
    del history.publishers[1].acknowledged[-1]


def note_acknowledged_for_another_post(history: History) -> None:
    nonce, _ = history.publishers[1].acknowledged[-1]
    history.publishers[1].acknowledged[-1] = nonce, "e1-5"


def edit_of_another_post(history: History) -> None:
    history.views["lobby"][Position("e1", 3)] = View("text 3")
    history.views["lobby"][Position("e1", 5)] = View("text 3 edited")


def reaction_missing(history: History) -> None:
    history.views["dev"][Position("e1", 2)] = View("text 2")


def reaction_not_removed(history: History) -> None:
    history.views["dev"][Position("e1", 2)] = View("text 2", (("👀", ("b",)), ("👍", ("b",))))


def earlier_answer_counted(history: History) -> None:
    history.views["dev"][Position("e1", 4)] = View("text 4", answers=(("no", ("b",)), ("yes", ("a",))))


def reader_without_the_edit(history: History) -> None:
    history.readers[0].views[Position("e1", 3)] = View("text 3")


MANIPULATIONS = (
    edit_missing_in_the_log,
    edit_of_another_post_in_the_log,
    note_about_another_post_received,
    note_received_twice,
    note_not_acknowledged,
    note_acknowledged_for_another_post,
    edit_of_another_post,
    reaction_missing,
    reaction_not_removed,
    earlier_answer_counted,
    reader_without_the_edit,
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
