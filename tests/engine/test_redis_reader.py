"""Reads from Redis while the epoch of a room changes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.notes import Entry
from broadcast_tui.core.post import NewPost, Position, Post
from broadcast_tui.engine import redis_reader
from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.engine.redis_reader import PAGE_ENTRIES, RedisReader
from broadcast_tui.engine.redis_rows import Head
from broadcast_tui.redis_settings import read_location
from tests.support.redis_server import RedisServer, needs_redis, running

AT = datetime(2026, 1, 1, tzinfo=UTC)


class ForkingReader(RedisReader):
    """A reader of a room whose epoch changes after each of the first reads."""

    def __init__(self, epochs: list[str], last: int) -> None:
        self.heads: list[Head] = []
        self.asked_in: list[str] = []
        super().__init__(
            cast("Any", None), cast("Any", None), lambda _: "", lambda _: self._epochs[0], self._note
        )
        self._epochs = epochs
        self._last = last
        self.unknown = {"e0"}
        """Epochs that this node does not take for current ones."""

    def _note(self, room: str, head: Head, asked_in: str) -> bool:
        self.heads.append(head)
        self.asked_in.append(asked_in)
        return head.epoch not in self.unknown

    async def page(self, room: str, *arguments: Any) -> tuple[Head, list[Entry]]:
        epoch = self._epochs.pop(0) if len(self._epochs) > 1 else self._epochs[0]
        _, after, stop, count, from_end, _ = arguments
        seqs = range(after + 1, min(stop or self._last + 1, self._last + 1))
        chosen = seqs[-count:] if from_end else seqs[:count]
        posts: list[Entry] = [Post(room, Position(epoch, seq), "ana", "hi", AT) for seq in chosen]
        return Head(epoch=epoch, first=1, last=self._last, forks={}), posts


@pytest.mark.parametrize("from_end", [True, False])
async def test_a_read_is_of_one_epoch(from_end: bool) -> None:
    count = 2 * PAGE_ENTRIES + 10
    reader = ForkingReader(["e1", "e1", "e2"], count)
    found = await reader.read("lobby", limit=count, from_end=from_end)
    assert [entry.position for entry in found] == [Position("e2", seq) for seq in range(1, count + 1)]
    assert [head.epoch for head in reader.heads] == ["e1", "e1", "e2", "e2", "e2", "e2"]


async def test_a_read_in_bounds_starts_again_at_its_bounds() -> None:
    reader = ForkingReader(["e1", "e2"], 2_000)
    found = await reader.read("lobby", after=3, before=1_600, limit=1_200)
    assert [entry.position for entry in found] == [Position("e2", seq) for seq in range(4, 1_204)]


@pytest.mark.parametrize("epochs", [["e0", "e1"], ["e1", "e0", "e1", "e0", "e1"]])
async def test_a_page_of_an_epoch_that_is_not_the_current_one_is_read_again(
    epochs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_reader, "RETRY_S", 0.0)
    reader = ForkingReader(list(epochs), 2 * PAGE_ENTRIES)
    found = await reader.read("lobby", limit=2 * PAGE_ENTRIES)
    assert {entry.position.epoch for entry in found} == {"e1"}
    assert len(found) == 2 * PAGE_ENTRIES
    assert reader.asked_in == [head.epoch for head in reader.heads]


async def test_a_log_that_is_never_the_current_one_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_reader, "READ_TRIES_S", -1.0)
    with pytest.raises(EngineError, match="Try again"):
        await ForkingReader(["e0"], 10).read("lobby", limit=10)


@needs_redis
async def test_a_read_tells_the_engine_of_a_new_epoch(tmp_path: Path) -> None:
    with running(server := RedisServer(tmp_path)):
        engine = RedisEngine(read_location(server.url))
        await engine.start()
        try:
            await engine.open_room("lobby")
            await engine.append([NewPost("lobby", "ana", "hi", AT)])
            former = engine.epoch_of("lobby")
            assert engine._learned("elsewhere", Head("e9", 1, 1, {}), "e8")
            assert engine._learned("lobby", Head("e9", 1, 1, {former: 1}), former)
            assert (engine.epoch_of("lobby"), engine.fork_of("lobby", former)) == ("e9", 1)
            assert not engine._learned("lobby", Head(former, 1, 1, {}), former)
            assert not engine._learned("lobby", Head("e8", 1, 1, {former: 1}), former)
            assert engine.epoch_of("lobby") == "e9"
        finally:
            await engine.close()
