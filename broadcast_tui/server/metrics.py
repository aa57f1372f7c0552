"""`GET /metrics` for Prometheus, on a port of its own: names of metrics, and the listener.

What is told here (how many, how fast) is nobody's business but the operator's.
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
from broadcast_tui.server import http as pages
from broadcast_tui.server.listen import ListenError, choose_addresses
from broadcast_tui.server.stats import Histogram

if TYPE_CHECKING:
    from broadcast_tui.server.server import BroadcastServer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_quiet = logging.getLogger("broadcast_tui.websockets")


class _ServerCollector(Collector):
    """Reads a server's numbers when they are asked for."""

    def __init__(self, server: BroadcastServer) -> None:
        self._server = server

    def collect(self) -> Iterable[Metric]:
        runner, admission = self._server._runner, self._server._admission
        hub, counts = runner.hub, runner.counts
        yield InfoMetricFamily("broadcast_tui_build", "Version of the server.", {"version": __version__})
        yield _gauge("connections", "Open connections.", len(runner.connections))
        yield _gauge("connections_half_open", "Connections that have not asked yet.", admission.half_open)
        yield _gauge("connections_max", "Most connections taken; 0: unlimited.", admission.max_connections)
        yield _gauge("rooms", "Rooms with somebody in them.", len(hub.rooms.by_name))
        yield _gauge("ready", "1 if new connections are taken.", 0 if admission.unready else 1)
        yield _gauge("posts_waiting", "Posts that wait for the engine.", len(hub.pending_posts))
        blocked = sum(peer.blocked for peer in runner.connections)
        yield _gauge("connections_blocked", "Connections that take nothing just now.", blocked)
        yield _gauge("loop_lag_last_seconds", "How late the event loop came round last.", counts.lag_s)
        yield _counter("posts", "Posts that the engine has safe.", counts.posts)
        yield _counter("deliveries", "Posts written, times connections.", counts.deliveries)
        yield _counter("sent_bytes", "Bytes written to connections.", counts.sent_bytes)
        yield _counter("received_bytes", "Bytes of frames from connections.", counts.received_bytes)
        yield _labelled("connections_refused", "Connections not let in.", "reason", admission.refused)
        yield _labelled("connections_cut", "Slow or dead connections cut.", "reason", counts.cut)
        yield _labelled("errors", "Requests refused or not understood.", "code", hub.herald.refused)
        yield _histogram("append_seconds", "Time to get a batch of posts safe.", counts.append)
        yield _histogram("loop_lag_seconds", "How late the event loop comes round.", counts.lag)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"broadcast_tui_{name}", text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"broadcast_tui_{name}", text, value)


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"broadcast_tui_{name}", text, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family


def _histogram(name: str, text: str, durations: Histogram) -> Metric:
    buckets, sum_so_far = [], 0
    for bound, count in zip((*durations.bounds_s, "+Inf"), durations.counts, strict=True):
        sum_so_far += count
        buckets.append((str(bound), sum_so_far))
    return HistogramMetricFamily(f"broadcast_tui_{name}", text, buckets, durations.total_s)


class MetricsListener:
    """Answers `GET /metrics`, and nothing else."""

    def __init__(self, server: BroadcastServer, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_ServerCollector(server))
        ProcessCollector(registry=self._registry)
        self._server: Server | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/metrics"

    async def start(self) -> None:
        """Listen. Raises ListenError."""
        try:
            addresses, self.port = await choose_addresses(self.host, self.port)
            self._server = await serve(
                _never,
                addresses,  # type: ignore[arg-type]  # create_server takes several hosts
                self.port,
                process_request=self._answer,
                open_timeout=5,
                close_timeout=1,
                logger=_quiet,
                server_header=None,
            )
        except (ListenError, OSError) as error:
            text = str(error).replace("--host", "--metrics-host").replace("--port", "--metrics-port")
            raise ListenError(text) from error

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _answer(self, connection: ServerConnection, request: Request) -> Response:
        if request.method not in pages.METHODS:
            return pages.method_not_allowed()
        if request.path.partition("?")[0] != "/metrics":
            return pages.refuse(http.HTTPStatus.NOT_FOUND, "Only /metrics is here.")
        response = pages.respond(http.HTTPStatus.OK, generate_latest(self._registry), CONTENT_TYPE)
        if request.method == "HEAD":
            response.body = b""
        return response


async def _never(connection: ServerConnection) -> None:
    """No handshake gets this far."""
