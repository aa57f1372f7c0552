"""`GET /metrics` for Prometheus: the metrics and their listener.

It has a port of its own, since the numbers are only for the operator.
"""

from __future__ import annotations

import http
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from broadcast_tui import __version__
from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.hub.work_budget import SCRAPE_S
from broadcast_tui.core.network import is_loopback, rate_limit_key
from broadcast_tui.engine.store_stats import HasStoreStats
from broadcast_tui.server import http as pages
from broadcast_tui.server.listen import ListenError, choose_addresses
from broadcast_tui.server.stats import Histogram

if TYPE_CHECKING:
    from broadcast_tui.server.server import BroadcastServer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_websockets_log = logging.getLogger("broadcast_tui.websockets")


class MetricsListenError(ListenError):
    """The metrics listener cannot listen on an address."""


class _ServerCollector(Collector):
    """Reads the statistics of a server on each scrape."""

    def __init__(self, server: BroadcastServer) -> None:
        self._server = server

    def collect(self) -> Iterable[Metric]:
        runner, admission = self._server._runner, self._server._admission
        hub, stats = runner.hub, runner.stats
        yield InfoMetricFamily("broadcast_tui_build", "Version of the server.", {"version": __version__})
        yield _gauge("connections", "Open connections.", len(runner.connections))
        yield _gauge("http_connections", "Open HTTP connections.", self._server.http_connection_count)
        yield _gauge(
            "connections_half_open", "Connections with an unfinished handshake.", admission.half_open
        )
        yield _gauge(
            "connections_max", "Maximum number of connections; 0: unlimited.", admission.max_connections
        )
        yield _gauge("rooms", "Rooms with at least one person.", len(hub.rooms.by_name))
        yield from _memory(self._server)
        yield from _store(self._server)
        yield from _cluster(self._server)
        yield _gauge("ready", "1 if /readyz answers 200.", 0 if admission.not_ready_reason else 1)
        yield _gauge(
            "posts_waiting", "Posts and notes waiting for the engine.", len(hub.effects.pending_entries)
        )
        blocked = sum(peer.blocked for peer in runner.connections)
        yield _gauge("connections_blocked", "Connections with a full write buffer.", blocked)
        yield _gauge("loop_lag_last_seconds", "Most recent delay of the event loop.", stats.lag_s)
        yield _counter("posts", "Posts stored by the engine.", stats.posts)
        yield _labeled_counter("notes", "Notes stored by the engine.", "kind", stats.notes)
        yield _counter("deliveries", "Posts written, once per connection.", stats.deliveries)
        yield _counter("sent_bytes", "Bytes written to connections.", stats.sent_bytes)
        yield _counter("received_bytes", "Bytes of frames received from connections.", stats.received_bytes)
        yield _labeled_counter("connections_refused", "Connections rejected.", "reason", admission.rejected)
        yield _labeled_counter(
            "connections_cut", "Slow or dead connections dropped.", "reason", stats.dropped
        )
        yield _labeled_counter("errors", "Errors sent to clients.", "code", hub.broadcaster.error_counts)
        yield _histogram("append_seconds", "Time to append a batch of posts.", stats.append)
        yield _histogram("loop_lag_seconds", "Delay of the event loop.", stats.lag)
        if (watchdog := self._server.watchdog) is not None:
            yield _counter("loop_holds", "Callbacks that held the event loop too long.", watchdog.held_count)


def _memory(server: BroadcastServer) -> Iterable[Metric]:
    """The use of each memory budget."""
    rooms, engine = server._runner.hub.rooms, server._engine
    yield _gauge("rooms_stored", "Rooms with posts or a topic.", len(engine.room_names()))
    yield _gauge("buffer_bytes", "Memory of the recent posts of all rooms.", rooms.buffers.used_bytes)
    yield _counter("buffer_evictions", "Rooms that gave back their buffers.", rooms.buffers.evictions)
    if engine.memory is not None:
        yield _gauge("history_bytes", "Memory of the posts with --history memory.", engine.memory.used_bytes)
        yield _counter("history_evictions", "Rooms whose posts were dropped.", engine.memory.evictions)
    yield _gauge("nonce_bytes", "Memory of the nonces that identify resent posts.", engine.dedup.size_bytes)
    yield _counter("nonce_evictions", "Nonces that were dropped early.", engine.dedup.evictions)


def _store(server: BroadcastServer) -> Iterable[Metric]:
    """The state of the connection to logs in another process."""
    if not isinstance(server._engine, HasStoreStats):
        return
    stats = server._engine.store_stats
    yield _gauge("store_up", "1 if Redis responds.", stats.is_up)
    yield _counter("store_retries", "Batches of posts that were sent to Redis again.", stats.retries)
    yield _counter("store_repairs", "Holes in the posts of other servers, filled from Redis.", stats.repairs)
    yield _counter("store_forks", "New epochs of rooms after Redis was replaced or restored.", stats.forks)
    yield _counter("store_healed", "Posts that were stored again after Redis had lost them.", stats.healed)
    yield _gauge("store_waiting", "Edits and reactions that wait for posts of other servers.", stats.waiting)
    yield _counter("store_expired", "Posts and notes that this server deleted by age.", stats.expired)
    yield _counter("store_lost", "Acknowledged posts that Redis has lost.", stats.lost)


def _cluster(server: BroadcastServer) -> Iterable[Metric]:
    """The link to the other nodes of a shared engine."""
    link = server.cluster
    if link is None:
        return
    stats = link.stats
    yield _gauge("cluster_up", "1 if the other nodes can be reached through Redis.", link.is_up)
    yield _gauge("cluster_nodes", "Live nodes that this one knows, with itself.", link.live_node_count)
    yield _counter("cluster_outages", "Times that Redis became unreachable.", stats.outages)
    yield _counter("cluster_messages", "Messages of other nodes.", stats.messages)
    yield _counter("cluster_commands", "Commands for names, members and other shared state.", stats.commands)
    yield _histogram(
        "cluster_command_seconds", "Time until Redis had executed such commands.", stats.round_trips
    )


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"broadcast_tui_{name}", help_text, value)


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"broadcast_tui_{name}", help_text, value)


def _labeled_counter(name: str, help_text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"broadcast_tui_{name}", help_text, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family


def _histogram(name: str, help_text: str, durations: Histogram) -> Metric:
    buckets, total = [], 0
    for bound, count in zip((*durations.bounds_s, "+Inf"), durations.counts, strict=True):
        total += count
        buckets.append((str(bound), total))
    return HistogramMetricFamily(f"broadcast_tui_{name}", help_text, buckets, durations.total_s)


class MetricsListener:
    """HTTP listener that serves `GET /metrics`, and health checks of this one process."""

    def __init__(self, server: BroadcastServer, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._broadcast_server = server
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_ServerCollector(server))
        ProcessCollector(registry=self._registry)
        self._server: Server | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/metrics"

    async def start(self) -> None:
        """Start listening; with port 0, sets `port` to the chosen one. Raises MetricsListenError."""
        try:
            addresses, self.port = await choose_addresses(self.host, self.port)
            self._server = await serve(
                _unreachable,
                addresses,  # type: ignore[arg-type]  # create_server takes several hosts
                self.port,
                process_request=self._answer,
                open_timeout=5,
                close_timeout=1,
                logger=_websockets_log,
                server_header=None,
            )
        except ListenError as error:
            raise MetricsListenError(str(error), error.fault) from error
        except OSError as error:
            text = f"Cannot listen on {self.host}:{self.port}: {error.strerror}."
            raise MetricsListenError(text) from error

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.method not in pages.METHODS:
            return pages.method_not_allowed()
        peername = connection.transport.get_extra_info("peername")
        host = str(peername[0]) if peername else ""
        is_local = is_loopback(host)
        if is_local and not pages.is_local_host(request.headers.get_all("Host"), self.host):
            text = "This host name is not one of the metrics port. Use localhost or an IP address."
            return pages.rejection(http.HTTPStatus.MISDIRECTED_REQUEST, text)
        if pages.is_health_check(request):
            reason = self._broadcast_server._admission.not_ready_reason
            return pages.health_response(request, reason)
        if request.path.partition("?")[0] != "/metrics":
            return pages.rejection(http.HTTPStatus.NOT_FOUND, "Not found. Metrics are at /metrics.")
        if not self._broadcast_server._admission.ready:
            return pages.rejection(http.HTTPStatus.SERVICE_UNAVAILABLE, "The server is starting.", 1.0)
        budget = self._broadcast_server._runner.hub.budgets.of("" if is_local else rate_limit_key(host))
        try:
            budget.spend(SCRAPE_S, connection.loop.time())
        except RequestError as error:
            return pages.rejection(http.HTTPStatus.TOO_MANY_REQUESTS, error.text, error.retry_after)
        response = pages.make_response(http.HTTPStatus.OK, generate_latest(self._registry), CONTENT_TYPE)
        if request.method == "HEAD":
            response.body = b""
        return response


async def _unreachable(connection: ServerConnection) -> None:
    """Handler of WebSocket connections; `_answer` replies to every handshake."""
