"""No post is lost, duplicated or reordered by a cluster whose nodes and storage keep failing.

Clients go from node to node through a bad network, and hold everything they get against the log at the end.
Each durability setting keeps its promise: acknowledged posts survive, or their loss is announced. `--seed`
repeats a run; `--soak SECONDS` makes it longer.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from broadcast_tui.core.notes import Entry
from broadcast_tui.core.post import Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine.registry import StorageOptions, engine_for
from tests.e2e.conftest import ServerProcess
from tests.support.chaos import chaos_proxy
from tests.support.chaos_person import PUBLISHERS, ROOMS, Person, drain, entry_label, people
from tests.support.cluster_world import PASSWORD, ClusterWorld, Setting, cluster_world
from tests.support.entries import posts_of
from tests.support.history_check import History, Seen, faults, label_of
from tests.support.hopping_client import HoppingClient, faults_of_run, hopping_client, read_log
from tests.support.log_view import Frame, LogView, Shown, faults_of_log
from tests.support.note_check import view_of
from tests.support.profile import by_profile
from tests.support.redis_server import ALWAYS, NO_FILE, needs_redis

READERS = 3
"""The last of them understands no `epoch` frames."""
DRAIN_S = 120.0
PAUSE_S = by_profile((0.3, 1.2), (0.5, 4.0))
"""Minimum and maximum time between two failures."""
LENGTH_S = by_profile(10.0, 60.0)
SHORT_S = by_profile(5.0, 30.0)

ALONE = Setting()
HEALING = Setting("`everysec`, and a replica takes over", has_replica=True)
WAITING = Setting("`everysec`, a replica, and `?replicas=1`", url="?replicas=1", has_replica=True)
SETTINGS = {
    "nodes": (ALONE, ("kill_node", "freeze_node")),
    "a node without a lease": (ALONE, ("freeze_node_beyond_its_lease",)),
    "nodes without redis": (ALONE, ("partition_nodes",)),
    "redis everysec": (ALONE, ("kill_redis",)),
    "redis always": (Setting("`appendfsync always`", ALWAYS), ("kill_redis",)),
    "redis without a file": (Setting("`appendonly no`", NO_FILE, may_lose=True), ("kill_redis",)),
    "redis paused": (ALONE, ("pause_redis", "cut_redis_off")),
    "failover, healing": (HEALING, ("fail_over",)),
    "two primaries, healing": (HEALING, ("split",)),
    "failover, one replica acknowledges": (WAITING, ("fail_over",)),
    "flushed": (Setting(may_lose=True), ("flush",)),
    "restarted empty": (Setting(may_lose=True), ("restart_empty",)),
    "restored from an older snapshot": (Setting(may_lose=True), ("back_up", "restore")),
}
COLUMNS = {"kill_redis": (1,), "restore": (2,), "restart_empty": (3,), "fail_over": (1, 2, 3)}
"""Columns of the durability table that failures are about."""
EVERYTHING = by_profile(
    ("kill_node", "kill_redis", "fail_over", "freeze_node", "cut_redis_off"),
    ("kill_node", "kill_redis", "fail_over", "freeze_node", "cut_redis_off", "pause_redis"),
)


async def publish(client: HoppingClient, rng: Random, until: float) -> None:
    """Post at random times, sometimes in bursts, and edit some of the posts."""
    loop, number = asyncio.get_running_loop(), 0
    while loop.time() < until:
        for _ in range(rng.choice((1, 1, 1, 1, 2, 5, 40))):
            number += 1
            room = rng.choice(ROOMS)
            label = f"{client.name}/{room} {number}"
            await client.say(room, label, f"{label} " + "x" * rng.choice((1, 10, 100, 2_000)))
        own = list(client.acknowledged)[-20:]
        if own and rng.random() < 0.4:
            label = rng.choice(own)
            room = label.split()[0].rpartition("/")[2]
            await client.edit(room, label, f"{label} edited {number}")
        await asyncio.sleep(rng.uniform(0.01, 0.2))


async def settled_logs(
    nodes: Sequence[ServerProcess],
    clients: Sequence[HoppingClient],
    last: Sequence[HoppingClient],
    healed: Callable[[], Awaitable[None]] | None = None,
) -> dict[str, tuple[str, list[Shown]]]:
    """Wait until everything is acknowledged and received; returns the logs, which all nodes have alike.

    Args:
        last: Some of the clients; one on each node if Redis may have lost anything. A node acknowledges their
            posts after it has healed what it lost itself, apart from changes that wait for a post of another
            node.
        healed: Waits for these changes. Without it, the logs may grow while they are read; then they are read
            again.
    """
    for client in clients:
        await client.wait_settled()
    for client in last:
        for room in ROOMS:
            label = f"end-{client.name}/{room} 1"
            await client.say(room, label, f"{label} x")
    for client in clients:
        await client.wait_settled()
    if healed is not None:
        await healed()
    while True:
        logs = [{room: await read_log(node.url, room) for room in ROOMS} for node in nodes]
        heads = {room: f"{epoch}-{entries[-1].seq}" for room, (epoch, entries) in logs[0].items()}
        for client in clients:
            await client.wait_past(heads)
        if all(log == logs[0] for log in logs) and all(client.is_at(heads) for client in clients):
            return logs[0]


async def run(
    world: ClusterWorld, failures: Sequence[str], seed: int, length_s: float, may_lose: bool
) -> str:
    """Run chaos for `length_s` seconds, then calm; returns a summary, and fails if there is a fault."""
    names = [f"pub{number}" for number in range(PUBLISHERS)] + [f"sub{number}" for number in range(READERS)]
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(chaos_proxy(*world.node_ports, seed=seed))
        clients = [
            await stack.enter_async_context(
                hopping_client(name, proxy.port, ROOMS, Random(f"{seed}-{name}"), epochs=name != names[-1])
            )
            for name in names
        ]
        for client in clients:
            await client.wait_settled()
        until = asyncio.get_running_loop().time() + length_s
        async with asyncio.TaskGroup() as group:
            for client in clients[:PUBLISHERS]:
                group.create_task(publish(client, Random(f"{seed}-{client.name}-posts"), until))
            group.create_task(world.fail(failures, until, PAUSE_S))
        proxy.calm.set()
        last = [
            await stack.enter_async_context(
                hopping_client(f"last{number}", node.port, ROOMS, Random(f"{seed}-last{number}"))
            )
            for number, node in enumerate(world.nodes)
        ]
        clients += last
        healed = None if may_lose else world.wait_healed  # the post of a change may never come
        try:
            logs = await settled_logs(world.nodes, clients, last, healed)
        except BaseException as error:
            error.add_note("\n".join(state_of(client) for client in clients))
            error.add_note(summary_of(world, clients, 0))
            raise
        found, lost = faults_of_run(clients, logs, may_lose=may_lose)
    summary = f"{sum(len(log) for _, log in logs.values())} entries, {summary_of(world, clients, lost)}"
    assert not found, "\n".join([*found[:20], summary])
    return summary


def state_of(client: HoppingClient) -> str:
    positions = ", ".join(f"{view.room} at {view.position}" for view in client.views.values())
    return f"{client.name}: {positions}; settled: {client.is_settled}; {dict(client.counts)}"


def summary_of(world: ClusterWorld, clients: Sequence[HoppingClient], lost: int) -> str:
    counts = sum((client.counts for client in clients), Counter[str]())
    for client in clients:
        counts += sum((view.counts for view in client.views.values()), Counter[str]())
    acknowledged = sum(len(client.acknowledged) for client in clients)
    slowest_s = max(client.slowest_ack_s for client in clients)
    return (
        f"{dict(Counter(world.done))}: {acknowledged} posts acknowledged, {lost} of them lost, "
        f"slowest acknowledgment {slowest_s:.1f} s; {dict(counts)}"
    )


async def check(
    directory: Path, setting: Setting, failures: Sequence[str], seed: int, length_s: float
) -> None:
    try:
        async with (
            asyncio.timeout(length_s + DRAIN_S),
            cluster_world(directory, setting, seed) as world,
        ):
            print(await run(world, failures, seed, length_s, setting.may_lose))
    except BaseException as error:
        error.add_note(f"again with: --seed {seed}")
        raise
    for log in directory.glob("node-*.log"):
        assert "Traceback" not in log.read_text(), log.read_text()
        assert PASSWORD not in log.read_text()


@needs_redis
@pytest.mark.timeout(0)  # it has its own, which grows with --soak
async def test_nothing_is_lost_while_everything_fails(tmp_path: Path, seed: int, soak_s: float) -> None:
    await check(tmp_path, HEALING, EVERYTHING, seed, max(soak_s, LENGTH_S))


@needs_redis
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", SETTINGS)
async def test_each_setting_keeps_its_promise(tmp_path: Path, seed: int, name: str) -> None:
    setting, failures = SETTINGS[name]
    await check(tmp_path, setting, failures, seed, SHORT_S)


def test_the_guide_promises_what_is_tested() -> None:
    """What the table says in the guide is what the settings above may lose."""
    lines = (Path(__file__).parents[2] / "docs" / "server.md").read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| Redis | Redis crashes"))
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[start + 2 :])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    promises = {row[0]: row for row in rows}
    assert promises.keys() == {setting.row for setting, _ in SETTINGS.values()}
    for name, (setting, failures) in SETTINGS.items():
        for column in itertools.chain.from_iterable(COLUMNS.get(failure, ()) for failure in failures):
            promise = promises[setting.row][column]
            if promise.startswith("nothing"):
                assert not setting.may_lose, name
            elif promise == "everything":
                assert setting.may_lose, name


# -- notes, by clients of the library


async def stored_history(address: str, persons: Sequence[Person]) -> History:
    """The history of a run without a new epoch: the log has no nonces, so it is compared by label.

    The edits of a post are in the order in which its author has sent them.
    """
    engine = engine_for(address).create(StorageOptions(address, Path(), 0, 0, 0))
    await engine.start()
    try:
        entries: dict[str, list[Entry]] = {}
        for room in ROOMS:
            await engine.open_room(room)
            entries[room] = await engine.read(room, limit=10_000_000)
    finally:
        await engine.close()
    posted = {nonce: post for person in persons for nonce, post in person.publisher.posted.items()}
    nonces = {(room, label_of(text)): nonce for nonce, (room, text) in posted.items()}
    edits: dict[tuple[str, str], deque[str]] = {}
    for person in persons:
        acknowledged = dict(person.publisher.acknowledged)
        for change in person.publisher.changes:
            was_unsent = acknowledged.get(change.nonce) == change.re
            if change.kind is NoteKind.EDIT and not was_unsent:
                room, text = posted[change.re]
                edits.setdefault((room, label_of(text)), deque()).append(change.nonce)

    def nonce_of(entry: Entry) -> str:
        if isinstance(entry, Post):
            return nonces.get((entry.room, label_of(entry.text)), "")
        waiting = edits.get((entry.room, label_of(entry.post.text))) if entry.post is not None else None
        return waiting.popleft() if entry.kind is NoteKind.EDIT and waiting else ""

    log = {
        room: [Seen(entry.position, nonce_of(entry), entry_label(entry)) for entry in found]
        for room, found in entries.items()
    }
    return History(
        log,
        [person.publisher for person in persons],
        [reader for person in persons for reader in person.readers.values()],
        {room: {p.position: view_of(p) for p in posts_of(found)} for room, found in entries.items()},
    )


@needs_redis
@pytest.mark.timeout(0)
async def test_notes_are_carried_out_once_while_nodes_fail(tmp_path: Path, seed: int) -> None:
    """Edits, reactions and answers, sent to one node and again to another."""
    names = [f"pub{number}" for number in range(PUBLISHERS)] + ["sub0", "sub1"]
    failures = ("kill_node", "freeze_node", "cut_redis_off")
    async with (
        asyncio.timeout(SHORT_S + DRAIN_S),
        cluster_world(tmp_path, ALONE, seed) as world,
    ):
        async with (
            chaos_proxy(*world.node_ports, seed=seed) as proxy,
            people(names, proxy.port, seed) as persons,
        ):
            for person in persons:
                await person.wait_for(person.is_online)
            until = asyncio.get_running_loop().time() + SHORT_S
            async with asyncio.TaskGroup() as group:
                for person in persons[:PUBLISHERS]:
                    group.create_task(person.publish(until))
                group.create_task(world.fail(failures, until, PAUSE_S))
            proxy.calm.set()
            for person in persons:
                await person.wait_for(person.is_acknowledged)
            await world.wait_announced()
            await drain(persons)
        history = await stored_history(world.primary.url, persons)
    found = faults(history)
    assert not found, "\n".join([*found[:20], f"again with: --seed {seed}"])


# -- the checker itself


def message(place: str, text: str) -> Frame:
    return {"type": "message", "id": place, "room": "lobby", "message": text}


LOG = [Shown(1, "a 1", "a 1 x"), Shown(2, "a 2", "a 2 new"), Shown(3, "edit 2"), Shown(4, "b 1", "b 1 x")]
"""The log at the end, in epoch e2; a second `b 1` and `c 1` were lost with epoch e1."""
RECEIVED: list[Frame] = [
    message("e1-1", "a 1 x"),
    message("e1-2", "a 2 x"),
    {
        "type": "note",
        "id": "e1-3",
        "room": "lobby",
        "note": "edit",
        "re": "e1-2",
        "now": {"message": "a 2 new"},
    },
    message("e1-4", "c 1 x"),
    {"type": "gap", "room": "lobby", "from": "e1-4", "to": "e2-3", "reason": "epoch"},
    message("e2-4", "b 1 x"),
]


def shown_after(frames: Sequence[Frame]) -> LogView:
    view = LogView("r", "lobby")
    view.enter({"head": "e1-0", "missed": 0, "recovered": True})
    for frame in frames:
        view.receive(frame)
    return view


def test_announced_losses_are_no_faults() -> None:
    view = shown_after(RECEIVED)
    assert view.faults_against(LOG, "e2") == []
    assert view.counts == {"gaps epoch": 1, "withdrawn": 1}


def test_a_new_epoch_without_losses_is_no_fault() -> None:
    change: Frame = {"type": "epoch", "room": "lobby", "from": "e1-3", "to": "e2-3"}
    assert shown_after([*RECEIVED[:3], change, RECEIVED[-1]]).faults_against(LOG, "e2") == []


@pytest.mark.parametrize(
    "manipulate",
    [
        lambda frames: frames.pop(0),
        lambda frames: frames.pop(1),
        lambda frames: frames.pop(2),
        lambda frames: frames.pop(4),
        lambda frames: frames.pop(),
        lambda frames: frames.insert(2, frames[1]),
        lambda frames: frames.append(message("e2-5", "d 1 x")),
        lambda frames: frames.__setitem__(0, message("e1-1", "z 1 x")),
        lambda frames: frames.__setitem__(4, {**frames[4], "from": "e1-5"}),
        lambda frames: frames.__setitem__(4, {**frames[4], "to": "e2-2"}),
        lambda frames: frames.__setitem__(2, {**frames[2], "now": {"message": "a 2 other"}}),
    ],
)
def test_each_manipulation_of_a_view_is_detected(manipulate: Callable[[list[Frame]], object]) -> None:
    frames = list(RECEIVED)
    manipulate(frames)
    assert shown_after(frames).faults_against(LOG, "e2") != []


def test_faults_of_the_log_are_detected() -> None:
    sent = {label_of(entry.text or "") for entry in LOG if entry.text}
    assert faults_of_log("lobby", LOG, sent) == []
    assert faults_of_log("lobby", LOG[:1] + LOG[2:], sent) != []
    assert faults_of_log("lobby", [*LOG, Shown(5, "a 1", "a 1 x")], sent) != []
    assert faults_of_log("lobby", LOG, sent - {"b 1"}) != []


class Scripted(HoppingClient):
    """A client whose connections are played by a test."""

    async def _run(self) -> None:
        await asyncio.Event().wait()

    async def _send(self, nonce: str) -> None:
        self._in_flight.add(nonce)

    def sent(self) -> str:
        """The nonce of the frame that is not acknowledged."""
        [nonce] = self._outbox
        return nonce

    async def post(self) -> None:
        await self.say("lobby", "a 1", "a 1 x")
        self._settle({"nonce": self.sent(), "id": "e1-1"})

    async def edit_to(self, text: str) -> None:
        await self.edit("lobby", "a 1", text)
        await self._send(self.sent())

    def get(self, code: str, temporary: bool = False) -> None:
        self._retry({"code": code, "temporary": temporary, "nonce": self.sent(), "retry_after": 3_600})

    def faults_if_stored(self, text: str) -> int:
        self.views = {"lobby": shown_after([message("e1-1", text)])}
        return len(faults_of_run([self], {"lobby": ("e1", [Shown(1, "a 1", text)])})[0])


async def outcome_unknown(client: Scripted) -> None:
    client._lose_answers()
    await client._send(client.sent())


async def storage_failed(client: Scripted) -> None:
    client.get("try_later", temporary=True)
    await client._send(client.sent())


async def sent_too_fast(client: Scripted) -> None:
    client.get("rate_limited", temporary=True)
    await client._send(client.sent())


async def nothing(client: Scripted) -> None:
    pass


@pytest.mark.parametrize(
    ("before", "may_be_stored"),
    [(outcome_unknown, True), (storage_failed, True), (sent_too_fast, False), (nothing, False)],
)
async def test_a_rejected_edit_counts_if_an_earlier_try_may_have_succeeded(
    before: Callable[[Scripted], Awaitable[None]], may_be_stored: bool
) -> None:
    client = Scripted("a", 1, ["lobby"], Random(1))
    try:
        await client.post()
        await client.edit_to("a 1 first")
        await before(client)
        client.get("no_such_post")
        assert client.faults_if_stored("a 1 x") == 0
        assert (client.faults_if_stored("a 1 first") == 0) == may_be_stored
        await client.edit_to("a 1 second")
        client._settle({"nonce": client.sent(), "id": "e1-1"})
        assert client.faults_if_stored("a 1 second") == 0
        assert client.faults_if_stored("a 1 first") == 1, "an acknowledged edit was lost"
        assert client.faults_if_stored("a 1 x") == 1
    finally:
        await client.close()
