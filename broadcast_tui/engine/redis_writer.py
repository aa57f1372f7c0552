"""A connection for the commands that change one partition of the log, in order.

It belongs to one user: with a pool, the commands after a failure could overtake those before it, and WAIT
would wait for the writes of another connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

from broadcast_tui.engine.redis_scripts import LogScript
from broadcast_tui.redis_client import FAILURES, TIMEOUT_S, Client, open_node
from broadcast_tui.redis_settings import RedisSettings

WAIT_S = 1.0
"""Time that replicas have for confirming a write."""


class RedisWriter:
    """A connection to the primary that has a key. It is opened when it is needed, and again after a failure.

    Args:
        client: Client of `settings`, to find the primary.
    """

    def __init__(self, client: Client, settings: RedisSettings, key: str) -> None:
        self._client = client
        self._settings = settings
        self._key = key
        self._connection: AbstractConnection | None = None
        self._node: redis.asyncio.Redis | None = None
        """Client of the node of a Redis Cluster that has the key."""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, which may be lost without notice."""
        return self._connection is not None

    async def run(self, script: LogScript, *arguments: object, replicas: int = 0) -> Any:
        """The reply of a script, when this many replicas have what it has written.

        Raises what commands raise, and closes the connection.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S + (WAIT_S if replicas else 0)):
                connection = self._connection or await self._open()
                try:
                    words = "EVALSHA", script.sha, 1, self._key, *arguments
                    return await self._exchange(connection, words, replicas)
                except NoScriptError:
                    return await self._exchange(
                        connection, ("EVAL", script.text, 1, self._key, *arguments), replicas
                    )
        except BaseException:
            await self.close()
            raise

    async def _exchange(self, connection: AbstractConnection, words: tuple[Any, ...], replicas: int) -> Any:
        packed = connection.pack_command(*words)
        if replicas:
            packed += connection.pack_command("WAIT", replicas, int(WAIT_S * 1000))
        await connection.send_packed_command(packed, check_health=False)
        error: ResponseError | None = None
        try:
            reply = await connection.read_response(disconnect_on_error=False)
        except ResponseError as rejection:  # not after a timeout, as nothing would end the next read
            error = rejection
        confirmed = await connection.read_response(disconnect_on_error=False) if replicas else 0
        if error is not None:
            raise error
        if confirmed < replicas:
            raise ResponseError("NOREPLICAS the replicas do not have the posts yet")
        return reply

    async def _open(self) -> AbstractConnection:
        if isinstance(self._client, redis.asyncio.RedisCluster):
            await self._client.initialize()
            node = self._client.get_node_from_key(self._key)
            if node is None:
                raise ResponseError("CLUSTERDOWN no node has the slot")
            self._node = open_node(self._settings, node.host, int(node.port))
            pool = self._node.connection_pool
        else:
            pool = self._client.connection_pool
        connection: AbstractConnection = await pool.get_connection()  # type: ignore[no-untyped-call]
        connection.socket_timeout = None  # `run` has a timeout for the whole exchange
        self._connection = connection
        return connection

    async def close(self) -> None:
        """Close the connection, and look for the primary again."""
        connection, self._connection = self._connection, None
        node, self._node = self._node, None
        with contextlib.suppress(*FAILURES):
            if connection is not None:
                await connection.disconnect(nowait=True)
                pool = (self._client if node is None else node).connection_pool  # type: ignore[union-attr]
                connection.socket_timeout = TIMEOUT_S
                await pool.release(connection)
            if node is not None:
                await node.aclose()
                await self._client.nodes_manager.initialize()  # type: ignore[union-attr]
