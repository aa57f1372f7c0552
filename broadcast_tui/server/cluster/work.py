"""Performs what a hub needs from the other nodes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from broadcast_tui.core.errors import EngineError, ErrorCode, RequestError
from broadcast_tui.core.hub.cluster import Answers, Preparation
from broadcast_tui.core.text import log_safe
from broadcast_tui.server.cluster.link import ClusterLink

if TYPE_CHECKING:
    from broadcast_tui.server.runner import HubRunner

CLUSTER_FAILED = "The server cannot do that right now. Try again in a moment."

log = logging.getLogger("broadcast_tui.server")


class ClusterWork:
    """The work of the hub's `cluster`, with the link to the other nodes."""

    def __init__(self, runner: HubRunner, link: ClusterLink) -> None:
        self._runner = runner
        self._link = link
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Join the cluster. Raises EngineError."""
        await self._link.start(self._runner.hub.port, self._runner.wake)

    async def stop(self) -> None:
        """Leave the cluster."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._link.stop()

    def perform(self) -> None:
        """Start what is due, and return at once."""
        cluster = self._runner.hub.cluster
        self._link.release(cluster.take_released_names())
        self._link.send(cluster.take_signals())
        for room in cluster.take_closed_rooms():
            self._link.close_room(room)
        for preparation in cluster.take_preparations():
            task = asyncio.get_running_loop().create_task(self._prepare(preparation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _prepare(self, preparation: Preparation) -> None:
        """Answer the needs of a command and execute it."""
        answers: Answers | RequestError
        try:
            answers = await self._link.prepare(preparation.needs)
        except RequestError as error:
            answers = error
        except Exception as error:
            if isinstance(error, EngineError):
                log.warning("a request to other nodes failed: %s", log_safe(str(error)))
            else:
                log.exception("a request to other nodes failed")
            answers = RequestError(ErrorCode.TRY_LATER, CLUSTER_FAILED, temporary=True, retry_after=2.0)
        self._runner.hub.prepared(preparation, answers, self._runner.instant())
        self._link.prepared(preparation.needs)
        self._runner.wake()
