"""Connections to Redis or Valkey: opening, failures, and checks at the start.

This is the only place that opens connections. Nothing is retried here: callers know what they may repeat.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Sequence
from typing import Any, cast

from broadcast_tui.core.errors import EngineError
from broadcast_tui.redis_settings import RedisSettings

try:
    import redis.asyncio
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
    from redis.backoff import NoBackoff
    from redis.exceptions import (
        AuthenticationError,
        AuthorizationError,
        ConnectionError,
        NoPermissionError,
        OutOfMemoryError,
        RedisClusterException,
        RedisError,
        ResponseError,
        TimeoutError,
    )
except ImportError:
    raise EngineError("Redis support is not installed: pip install 'broadcast-tui[redis]'.") from None

Client = redis.asyncio.Redis | redis.asyncio.RedisCluster
FAILURES = (RedisError, RedisClusterException, OSError, asyncio.TimeoutError)
"""What commands raise."""

CONNECT_TIMEOUT_S = 2.0
TIMEOUT_S = 2.0
"""Time after which a command without a reply counts as failed."""
IDLE_CHECK_S = 15.0
"""Idle time after which a connection is checked before it is used."""
CANCEL_S = 0.1
"""Time after which a task is cancelled again."""
MINIMUM_VERSION = 7

_TEMPORARY = (
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNKILLABLE",
)
"""Codes of errors that end by themselves, with another primary, or with more memory or disk space."""


class _ClusterClient(redis.asyncio.RedisCluster):
    """A client of a Redis Cluster that also closes the connections of a failed start."""

    async def aclose(self) -> None:
        await super().aclose()
        for nodes in ("nodes_cache", "startup_nodes"):
            await self.nodes_manager.aclose(nodes)


class _PrimaryClient(redis.asyncio.Redis):
    """A client of the primary that Sentinels know; it also closes the connections to them."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        pool = self.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.aclose()


def open_client(settings: RedisSettings) -> Client:
    """A client that connects with its first command, and again after a connection is lost.

    Replies are bytes. Close it with `aclose`.
    """
    arguments = _arguments(settings)
    match settings.kind:
        case "cluster":
            nodes = [ClusterNode(host, port) for host, port in settings.hosts]
            return _ClusterClient(startup_nodes=nodes, **arguments)
        case "sentinel":
            arguments["db"] = settings.database
            sentinel = Sentinel(  # type: ignore[no-untyped-call]
                settings.hosts, sentinel_kwargs=_sentinel_arguments(settings), **arguments
            )
            return cast(redis.asyncio.Redis, sentinel.master_for(settings.master, redis_class=_PrimaryClient))
    arguments["db"] = settings.database
    if settings.socket_path:
        return redis.asyncio.Redis(unix_socket_path=settings.socket_path, **arguments)
    ((host, port),) = settings.hosts
    return redis.asyncio.Redis(host=host, port=port, **arguments)


def open_node(settings: RedisSettings, host: str, port: int) -> redis.asyncio.Redis:
    """A client of one node of a Redis Cluster."""
    return redis.asyncio.Redis(host=host, port=port, **_arguments(settings))


def _arguments(settings: RedisSettings) -> dict[str, Any]:
    """What all connections have in common."""
    arguments: dict[str, Any] = {
        "username": settings.username or None,
        "password": settings.password or None,
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "health_check_interval": IDLE_CHECK_S,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "client_name": "broadcast-tui",
    }
    return arguments | _tls_arguments(settings)


def _tls_arguments(settings: RedisSettings) -> dict[str, Any]:
    if not settings.tls:
        return {}
    return {
        "ssl": True,
        "ssl_ca_certs": settings.tls_ca or None,
        "ssl_certfile": settings.tls_cert or None,
        "ssl_keyfile": settings.tls_key or settings.tls_cert or None,
    }


def _sentinel_arguments(settings: RedisSettings) -> dict[str, Any]:
    return {
        "password": settings.sentinel_password or None,
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    } | _tls_arguments(settings)


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks that use a client, and wait for their end.

    A single cancellation may get lost when a reply arrives at the same moment.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_S)
    await asyncio.gather(*tasks, return_exceptions=True)


# -- failures


def is_temporary(error: BaseException) -> bool:
    """Whether the same command may succeed later. It may have been executed."""
    match error:
        case AuthenticationError() | AuthorizationError() | NoPermissionError():
            return False
        case ConnectionError() | TimeoutError() | OSError() | RedisClusterException() | OutOfMemoryError():
            return True
        case ResponseError():
            return _code(error) in _TEMPORARY
    return isinstance(error, asyncio.TimeoutError)


def _code(error: RedisError) -> str:
    """The code of an error reply, such as OOM."""
    return error.status_code or str(error).partition(" ")[0]


def describe(error: BaseException, settings: RedisSettings) -> str:
    """A sentence about a failed command, without secrets."""
    match error:
        case AuthenticationError() | AuthorizationError():
            return f"{settings} rejected the user name or password. Check them."
        case NoPermissionError():
            return f"{settings} denied a command: {_reason(error, settings)}."
        case OutOfMemoryError():
            return f"{settings} is out of memory. Raise maxmemory, or store fewer posts."
        case MasterNotFoundError():
            return f"The Sentinels at {settings} know no primary with that name that responds."
        case TimeoutError() | asyncio.TimeoutError():
            return f"{settings} does not respond."
        case ConnectionError() | OSError():
            return f"Cannot connect to {settings}: {_system_reason(error) or _reason(error, settings)}."
    return f"{settings} failed: {_reason(error, settings)}."


def _system_reason(error: BaseException) -> str:
    """What the system says about a failed connection, without the address; empty if it says nothing."""
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, OSError) or isinstance(cause, ssl.SSLError):
        return ""
    return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else ""


def _reason(error: BaseException, settings: RedisSettings) -> str:
    """The text of an error in one line, without secrets."""
    text = " ".join(str(error).split()) or type(error).__name__
    return settings.redacted(text).rstrip(".")


def engine_error(error: BaseException, settings: RedisSettings) -> EngineError:
    """The error to raise for a failed command."""
    return EngineError(describe(error, settings))


# -- checks at the start


async def check_server(client: Client, settings: RedisSettings) -> Sequence[str]:
    """Check version and configuration; the result is warnings for the operator. Raises EngineError."""
    try:
        info = await _info(client)
        configuration = await _configuration(client)
    except FAILURES as error:
        raise engine_error(error, settings) from None
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    if int(version.partition(".")[0]) < MINIMUM_VERSION:
        raise EngineError(f"{settings} is version {version}. Use Redis 7 or later, or Valkey.")
    if info.get("role") == "slave":
        raise EngineError(f"{settings} is a replica. Use the address of the primary, or of its Sentinels.")
    policy = configuration.get("maxmemory-policy") or info.get("maxmemory_policy", "noeviction")
    limit = configuration.get("maxmemory") or info.get("maxmemory", 0)
    warnings = []
    if policy != "noeviction":
        if int(limit):
            raise EngineError(
                f"{settings} deletes history when its memory is full. "
                "Set maxmemory-policy noeviction in redis.conf."
            )
        warnings.append(
            "Warning: Redis would delete history if its memory were limited. "
            "Set maxmemory-policy noeviction in redis.conf."
        )
    return [*warnings, *_durability(configuration, info, settings)]


def copy_key(settings: RedisSettings) -> str:
    """The key that exists while a history is being copied to Redis."""
    return f"{{{settings.prefix}:ctl}}:copy"


async def check_complete(client: Client, settings: RedisSettings) -> None:
    """Raise EngineError if the history is an unfinished copy."""
    try:
        marker = await client.get(copy_key(settings))
    except FAILURES as error:
        raise engine_error(error, settings) from None
    if marker is not None:
        raise EngineError(f"{settings} is an unfinished copy. Run history copy again.")


def _durability(
    configuration: dict[str, str], info: dict[str, Any], settings: RedisSettings
) -> Sequence[str]:
    """Warnings about what a crash of Redis would lose."""
    if configuration.get("appendonly", "yes" if info.get("aof_enabled") else "no") != "yes":
        return [
            "Warning: Redis does not store history on disk, so it is lost when Redis stops. "
            "Set appendonly yes in redis.conf."
        ]
    replicas = int(info.get("connected_slaves", 0))
    if replicas < settings.replicas:
        return [
            f"Warning: Redis has {replicas} connected replicas, so posts are not acknowledged. "
            f"Add replicas, or set replicas={replicas} in the URL."
        ]
    if not settings.replicas and configuration.get("appendfsync", "always") != "always":
        if replicas:
            return ["Hint: To survive the loss of the Redis primary, add replicas=1 to the URL."]
        return ["Hint: Redis alone may lose up to a second of posts. Set appendfsync always in redis.conf."]
    return []


async def _info(client: Client) -> dict[str, Any]:
    """`INFO` of the server, or of one node of a cluster."""
    reply: dict[str, Any] = await client.info()
    if "redis_version" in reply:
        return reply
    return next(iter(reply.values()))  # of a cluster: by node


async def _configuration(client: Client) -> dict[str, str]:
    """Options of the server; empty where CONFIG is not allowed, as in hosted Redis."""
    found: dict[str, str] = {}
    for name in ("maxmemory-policy", "maxmemory", "appendonly", "appendfsync"):
        try:
            reply = await cast(Awaitable[dict[Any, Any]], client.config_get(name))
        except (ResponseError, NoPermissionError):
            return {}
        found |= {_text(key): _text(value) for key, value in reply.items()}
    return found


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
