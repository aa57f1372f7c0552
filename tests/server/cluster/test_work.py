"""The work of a hub that needs other nodes, when they cannot be asked."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import EngineError, ErrorCode, RequestError
from broadcast_tui.core.hub.cluster import Cluster, OpenRoom, Preparation
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.server.cluster.work import ClusterWork
from tests.support.hub_pair import EPOCH


class FailingLink:
    """A link to other nodes that cannot be asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def release(self, names: object) -> None:
        pass

    send = release

    async def prepare(self, needs: object) -> None:
        raise self._error

    def prepared(self, needs: object) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "has_traceback"), [(EngineError("Redis does not respond."), False), (ValueError("bug"), True)]
)
async def test_a_failing_request_is_logged_and_can_be_repeated(
    error: Exception, has_traceback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Any] = []
    cluster = Cluster(MemoryEngine(), "n", is_shared=True)
    hub = SimpleNamespace(cluster=cluster, prepared=lambda _, answer, when: answers.append(answer))
    done = asyncio.Event()
    runner = SimpleNamespace(hub=hub, instant=lambda: Instant(0.0, EPOCH), wake=done.set)
    work = ClusterWork(cast("Any", runner), cast("Any", FailingLink(error)))
    cluster.preparations.append(
        Preparation(cast("Any", None), (OpenRoom("lobby"),), lambda answers, when: None, None)
    )
    with caplog.at_level(logging.WARNING, "broadcast_tui.server"):
        work.perform()
        await done.wait()
    [answer] = answers
    assert isinstance(answer, RequestError)
    assert (answer.code, answer.temporary) == (ErrorCode.TRY_LATER, True)
    [record] = caplog.records
    assert (record.exc_info is not None) is has_traceback
