"""Questions to the other nodes: each is answered within a second, or without the nodes that are silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from itertools import count

from broadcast_tui.core.hub.cluster import Person, RemoteConnection, ShareSanction
from broadcast_tui.server.cluster.signals import (
    ConnectionsAsked,
    ConnectionsFound,
    LinkMessage,
    PersonAsked,
    PersonFound,
    SanctionApplied,
    SanctionAsked,
)

ANSWER_S = 1.0
"""Time after which the nodes that have not answered are left out."""

Answer = ConnectionsFound | SanctionApplied | PersonFound


class _Pending:
    """A question, with the nodes that have not answered it."""

    def __init__(self, nodes: set[str]) -> None:
        self.nodes = nodes
        self.answers: list[Answer] = []
        self.is_done = asyncio.Event()


class Queries:
    """The open questions of a node.

    Args:
        ask: Sends a question to all nodes.
        others: Returns the other live nodes; raises UnavailableError.
    """

    def __init__(
        self, ask: Callable[[LinkMessage], None], others: Callable[[], Awaitable[Collection[str]]]
    ) -> None:
        self._ask = ask
        self._others = others
        self._ids = count(1)
        self._pending: dict[int, _Pending] = {}

    async def connections(self, who: str) -> tuple[RemoteConnection, ...]:
        """The connections on other nodes that an action of an admin is about. Raises UnavailableError."""
        question = ConnectionsAsked(next(self._ids), who)
        answers = await self._collect(question.id, question)
        return tuple(
            connection
            for answer in answers
            if isinstance(answer, ConnectionsFound)
            for connection in answer.connections
        )

    async def person(self, key: str, owner: str = "") -> Person | None:
        """The owner of a name that is in use on another node, or this owner; None if it is not there.

        Raises UnavailableError.
        """
        question = PersonAsked(next(self._ids), key, owner)
        found = [
            answer.person
            for answer in await self._collect(question.id, question)
            if isinstance(answer, PersonFound) and answer.person is not None
        ]
        if not found:
            return None
        return Person(found[0].owner, found[0].name, any(person.has_v1 for person in found))

    async def share_sanction(self, change: ShareSanction) -> None:
        """Apply a change of the bans and mutes on the other nodes. Raises UnavailableError."""
        question = SanctionAsked(next(self._ids), change)
        await self._collect(question.id, question)

    def answered(self, node: str, answer: Answer) -> None:
        """Add the answer of a node."""
        pending = self._pending.get(answer.id)
        if pending is None:
            return
        pending.answers.append(answer)
        pending.nodes.discard(node)
        if not pending.nodes:
            pending.is_done.set()

    async def _collect(self, number: int, question: LinkMessage) -> list[Answer]:
        nodes = set(await self._others())
        if not nodes:
            return []
        pending = self._pending[number] = _Pending(nodes)
        self._ask(question)
        try:
            async with asyncio.timeout(ANSWER_S):
                await pending.is_done.wait()
        except TimeoutError:
            pass
        finally:
            del self._pending[number]
        return pending.answers
