"""`broadcast-tui serve`: the server, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import platformdirs
from cyclopts import Parameter

from broadcast_tui.cli import ExitCode
from broadcast_tui.cli.logs import LogFormat, LogLevel, set_level, set_up
from broadcast_tui.cli.reloading import Load, Options, Reloading, options_again
from broadcast_tui.cli.serve_options import AdmissionOptions, ConnectionOptions, Count, Port, Rate
from broadcast_tui.core.errors import CloseCode
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine, NoHistoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.client_address import parse_networks
from broadcast_tui.server.descriptors import raise_open_files
from broadcast_tui.server.listening import choose_addresses, is_loopback

if TYPE_CHECKING:
    from broadcast_tui.server.metrics import MetricsListener


def serve(
    *,
    host: str = "localhost",
    port: Port = 8765,
    history: str = "",
    keep_days: Rate = 30.0,
    keep_posts: Count = 100_000,
    log_level: LogLevel = "info",
    log_format: LogFormat = "text",
    metrics_port: Port | None = None,
    metrics_host: str = "localhost",
    config: str = "",
    stop_on_eof: Annotated[bool, Parameter(negative=())] = False,
    connection: ConnectionOptions = ConnectionOptions(),  # noqa: B008
    admission: AdmissionOptions = AdmissionOptions(),  # noqa: B008
) -> int:
    """Start a server that passes each message on to everyone in its room. Ctrl+C stops it.

    Parameters
    ----------
    host
        Name or address to listen on; 0.0.0.0 for all networks.
    port
        TCP port; 0 takes a free one.
    history
        Where posts are kept: the path of a file, memory, or off [default: a file in your data directory].
    keep_days
        Days a post is kept in the file; 0: for ever.
    keep_posts
        Newest posts of each room that the file keeps; 0: all.
    log_level
        Least important lines to log: debug shows each frame.
    log_format
        Lines for people, or json: an object a line.
    metrics_port
        TCP port for Prometheus to read /metrics from; none without it.
    metrics_host
        Name or address to listen on for that.
    config
        A TOML file with these options, without the dashes in front.
    stop_on_eof
        Stop when standard input ends, as it does when the program that started this one is gone.
    """
    set_up(log_level, log_format)
    raise_open_files()
    parse_networks(admission.trusted_proxy)
    kept = History(history, keep_days, keep_posts)

    async def run() -> None:
        _, chosen = await choose_addresses(host, port)
        server = BroadcastServer(
            host,
            chosen,
            limits=connection.limits(),
            engine=kept.engine(chosen),
            admission=admission.limits(),
            sanctions=data_directory() / f"moderation-{chosen}.json",
        )
        metrics = None
        if metrics_port is not None:
            from broadcast_tui.server.metrics import MetricsListener

            metrics = MetricsListener(server, metrics_host, metrics_port)
        await _run(server, kept.described(chosen), metrics, stop_on_eof=stop_on_eof)

    _runner()(run())
    return ExitCode.OK


def data_directory() -> Path:
    """Where the server keeps what lasts, unless told."""
    return platformdirs.user_data_path("broadcast-tui", appauthor=False)


@dataclass(frozen=True, slots=True)
class History:
    """Where posts are kept, as the options say."""

    where: str
    keep_days: float
    keep_posts: int

    def path(self, port: int) -> Path:
        """The file; by default one for each port, in the user's data directory."""
        if self.where:
            return Path(self.where).expanduser()
        return data_directory() / f"history-{port}.db"

    def engine(self, port: int) -> Engine:
        if self.where == "memory":
            return MemoryEngine()
        if self.where == "off":
            return NoHistoryEngine()
        return SqliteEngine(self.path(port), keep_days=self.keep_days, keep_posts=self.keep_posts)

    def described(self, port: int) -> str:
        """A line for whoever starts the server."""
        if self.where == "memory":
            return "History is kept in memory, and gone when the server stops."
        if self.where == "off":
            return "No history is kept."
        return f"History is kept in {self.path(port)} (--history memory or --history off to keep none)."


def _runner() -> Callable[..., object]:
    """uvloop's `run` where it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


def _limits_of(server: BroadcastServer) -> Load:
    """Limits and log level, as part of what SIGHUP reloads."""

    def load(options: Options) -> Callable[[], None]:
        connection, admission = options["connection"], options["admission"]
        assert isinstance(connection, ConnectionOptions)
        assert isinstance(admission, AdmissionOptions)
        limits, admitted = connection.limits(), admission.limits()
        parse_networks(admitted.trusted_proxies)

        def put_in_force() -> None:
            set_level(cast("LogLevel", options["log_level"]))
            server.set_limits(limits, admitted)

        return put_in_force

    return load


async def _run(
    server: BroadcastServer, history: str, metrics: MetricsListener | None, *, stop_on_eof: bool
) -> None:
    stopping = asyncio.Event()
    code = CloseCode.GOING_AWAY

    def stop(chosen: CloseCode) -> None:
        nonlocal code
        if stopping.is_set():
            os._exit(130)
        code = chosen
        stopping.set()

    if sys.platform != "win32":
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, stop, CloseCode.GOING_AWAY)
        loop.add_signal_handler(signal.SIGTERM, stop, CloseCode.RESTART)
        reloading = Reloading(options_again)
        reloading.add("limits and log level", _limits_of(server))
        reloading.add("bans", lambda _: server.reload_sanctions())
        loop.add_signal_handler(signal.SIGHUP, reloading)
    await server.start_server()
    if metrics is not None:
        await metrics.start()
    # Thousands of connections are objects that live on: looking through them often is what pauses a server.
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    print(f"Broadcast server started on {server.url}", flush=True)
    print(history, flush=True)
    if metrics is not None:
        print(f"Metrics are at {metrics.url}", flush=True)
    print("Press Ctrl+C to stop it.", flush=True)
    if not is_loopback(server.host):
        print(
            f"Warning: {server.host} is reachable from other machines, and anyone who reaches it may "
            "read and write; use --host localhost to keep it to this one.",
            file=sys.stderr,
            flush=True,
        )
    watch = asyncio.create_task(_at_end_of_input(stopping)) if stop_on_eof else None
    await stopping.wait()
    if watch is not None:
        watch.cancel()
    await server.stop_server(code)
    if metrics is not None:
        await metrics.stop()
    print("Broadcast server stopped.", flush=True)


async def _at_end_of_input(ended: asyncio.Event) -> None:
    """Set `ended` once standard input has ended; what comes before is thrown away."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    ended.set()
