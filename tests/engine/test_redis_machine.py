"""The engine in Redis against the model: entries and notes of two nodes follow each other in any order."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from broadcast_tui.core.notes import Entry
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.redis_settings import read_location
from tests.engine.test_note_machine import ROOMS, NoteMachine, next_entries, rooms
from tests.engine.test_state_machine import TimedLog
from tests.support.entries import entry_tail
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import eventually

NODES = 2
_prefixes = (f"run{random.randrange(10**9)}.{number}" for number in itertools.count())


class RedisMachine(NoteMachine):
    """`engine` is the node that is used at the moment."""

    in_file = True
    url = ""

    def _open(self) -> None:
        self.settings = read_location(f"{self.url}?prefix={next(_prefixes)}")
        self.nodes = [self._new_node() for _ in range(NODES)]
        self.tails = [entry_tail(node) for node in self.nodes]
        self._use(0)
        # Redis forgets nonces by its own clock, which no test waits for.
        self.log = TimedLog(self.engine.epoch_of("lobby"), lambda: 0.0)

    def _new_node(self) -> RedisEngine:
        node = RedisEngine(self.settings, keep_posts=0)
        self.run(node.start())
        for room in ROOMS:
            self.run(node.open_room(room))
        return node

    def _use(self, number: int) -> None:
        self.number = number
        self.engine = self.nodes[number]
        self.tail = self.tails[number]

    def _check_tail(self, new: Sequence[Entry]) -> None:
        """All nodes get the same entries; only their order in a room counts."""
        for tail in self.tails:
            received: list[Entry] = []
            while len(received) < len(new):
                received += self.run(next_entries(tail))
            for room in ROOMS:
                assert [each for each in received if each.room == room] == [
                    each for each in new if each.room == room
                ]

    @rule(number=st.integers(0, NODES - 1))
    def use_node(self, number: int) -> None:
        self._use(number)

    @rule()
    def restart(self) -> None:
        """Replace a node by another one."""
        self.run(self.engine.close())
        self.nodes[self.number] = self._new_node()
        self.tails[self.number] = entry_tail(self.nodes[self.number])
        self._use(self.number)

    @rule(room=rooms)
    def open_again(self, room: str) -> None:
        """Close and open a room, as a node does whose people have left and come back."""
        self.run(_open_again(self.engine, room))

    @rule(keep=st.integers(1, 15))
    def trim(self, keep: int) -> None:
        """Delete what is older than one of the last posts of the lobby."""
        entries = self.log.entries.get("lobby", [])[-keep:]
        if not entries:
            return
        oldest = entries[0].at
        assert isinstance(self.engine, RedisEngine)
        self.run(self.engine._retention.delete_older_than(oldest))
        for each in ROOMS:
            self.log.trim(each, max(self.log.first_seq(each) - 1, _last_before(self.log, each, oldest)))
        self.run(eventually(lambda: all(map(self._knows_the_first_seqs, self.nodes))))

    def _knows_the_first_seqs(self, node: RedisEngine) -> bool:
        return all(node.first_seq(room) == self.log.first_seq(room) for room in ROOMS)

    def teardown(self) -> None:
        for node in self.nodes:
            if node is not self.engine:
                self.run(node.close())
        super().teardown()


async def _open_again(engine: Engine, room: str) -> None:
    engine.close_room(room)
    await engine.open_room(room)


def _last_before(log: TimedLog, room: str, oldest: datetime) -> int:
    """Seq of the last entry before the first one that is not older."""
    entries = log.entries.get(room, [])
    return next((seq for seq, entry in enumerate(entries) if entry.at >= oldest), len(entries))


@needs_redis
@pytest.mark.process
@pytest.mark.timeout(400)
class TestRedis(RedisMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(
        max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )

    @pytest.fixture(autouse=True)
    def server(self, shared_redis: RedisServer) -> None:
        RedisMachine.url = shared_redis.socket_url
