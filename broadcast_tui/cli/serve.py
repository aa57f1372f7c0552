"""`broadcast-tui serve`: the server, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from cyclopts import Parameter

from broadcast_tui.cli.child_server import COUNT, KEEP
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.logs import LogFormat, LogLevel, set_level, set_up, write_out
from broadcast_tui.cli.option_types import Count, Port, Rate
from broadcast_tui.cli.reload import Load, Options, Reloader, options_again
from broadcast_tui.cli.security import Auth, Security, Tls, data_path
from broadcast_tui.cli.serve_options import AdmissionOptions, ConnectionOptions
from broadcast_tui.cli.server_info import ServerInfo
from broadcast_tui.cli.stdio import ControllingTerminal, announce, redirect_to_devnull
from broadcast_tui.core.errors import CloseCode
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine, NoHistoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.client_address import parse_networks
from broadcast_tui.server.listen import choose_addresses, raise_open_files

if TYPE_CHECKING:
    from broadcast_tui.server.metrics import MetricsListener


def serve(
    *,
    host: str = "localhost",
    port: Port = 8765,
    history: str = "",
    keep_days: Rate = 30.0,
    keep_posts: Count = 100_000,
    auth: Auth = "open",
    tokens: str = "",
    tls: Tls = "off",
    tls_cert: str = "",
    tls_key: str = "",
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
    auth
        Who may come in: everyone (open), or only who has a token (token).
    tokens
        File the tokens are kept in [default: one in your data directory].
    tls
        Encrypt with a certificate made here (self-signed), which clients trust by an invite, or not (off).
    tls_cert
        Encrypt with the certificate in this PEM file, of an authority that clients trust.
    tls_key
        The key of that certificate, if it is not in the same file.
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
        Stop when standard input ends, as it does when the program that started this one is gone;
        unless the last thing it says is a line with the word keep. A line with the word count is answered
        with how many are connected.
    """
    given: Options = dict(locals())
    set_up(log_level, log_format)
    raise_open_files()
    parse_networks(admission.limits().trusted_proxies)
    kept = History(history, keep_days, keep_posts)
    security = Security(auth, tokens, tls, tls_cert, tls_key)
    certificate = security.server_tls(host)

    async def run() -> None:
        _, chosen = await choose_addresses(host, port)
        server = BroadcastServer(
            host,
            chosen,
            limits=connection.limits(),
            engine=kept.engine(chosen),
            admission=admission.limits(),
            sanctions=data_path() / f"moderation-{chosen}.json",
            authenticator=security.authenticator(),
            tls=certificate,
        )
        metrics = None
        if metrics_port is not None:
            from broadcast_tui.server.metrics import MetricsListener

            metrics = MetricsListener(server, metrics_host, metrics_port)
        record = security.record(host, chosen, certificate)
        lines = [kept.described(chosen), *security.lines(record)]
        warning = security.warning(host, secure=record.secure)
        await _run(server, record, lines, warning, metrics, given)

    _runner()(run())
    return ExitCode.OK


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
        return data_path() / f"history-{port}.db"

    def engine(self, port: int) -> Engine:
        if self.where == "memory":
            return MemoryEngine()
        if self.where == "off":
            return NoHistoryEngine()
        path = self.path(port).absolute()
        if self.where and not path.parent.parent.is_dir():
            raise UsageError(
                f"--history: there is no directory {path.parent.parent}; make it, or choose another place."
            )
        return SqliteEngine(path, keep_days=self.keep_days, keep_posts=self.keep_posts)

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


RELOADABLE = frozenset({"connection", "admission", "log_level"})
"""Arguments of `serve` that `_limits_of` puts in force."""


def _limits_of(server: BroadcastServer) -> Load:
    """Limits and log level, as part of what SIGHUP reloads."""

    def load(options: Options) -> Callable[[], None]:
        connection, admission = options["connection"], options["admission"]
        assert isinstance(connection, ConnectionOptions)
        assert isinstance(admission, AdmissionOptions)
        limits, admitted = connection.limits(), admission.limits()
        parse_networks(admitted.trusted_proxies)

        def apply() -> None:
            set_level(cast("LogLevel", options["log_level"]))
            server.set_limits(limits, admitted)

        return apply

    return load


def _on_hangup(
    server: BroadcastServer, stop: Callable[[CloseCode], None], given: Options
) -> Callable[[], None]:
    """What SIGHUP does: it stops a server whose terminal is gone, and has any other reload."""
    reloading = Reloader(options_again, given, RELOADABLE)
    reloading.add("limits and log level", _limits_of(server))
    reloading.add("bans", lambda _: server.reload_sanctions())
    reloading.add("tokens and certificate", lambda _: server.reload_security())
    terminal, is_stopping = ControllingTerminal(), False

    def hung_up() -> None:
        nonlocal is_stopping
        if not terminal.is_gone:
            reloading()
        elif not is_stopping:  # the kernel and the shell may both tell of it
            is_stopping = True
            terminal.forget()
            stop(CloseCode.GOING_AWAY)

    return hung_up


async def _run(
    server: BroadcastServer,
    record: ServerInfo,
    lines: Sequence[str],
    warning: str,
    metrics: MetricsListener | None,
    given: Options,
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
        loop.add_signal_handler(signal.SIGHUP, _on_hangup(server, stop, given))
    await server.start_server()
    if metrics is not None:
        await metrics.start()
    # Thousands of connections are objects that live on: looking through them often is what pauses a server.
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    announce(f"Broadcast server started on {server.url}")
    with contextlib.suppress(OSError):  # then there is no invite, and all the rest
        record.save(data_path())
    announce("\n".join(lines))
    if metrics is not None:
        announce(f"Metrics are at {metrics.url}")
    announce("Press Ctrl+C to stop it.")
    if warning:
        announce(warning, sys.stderr)
    watch = asyncio.create_task(_obey_input(server, stopping)) if given["stop_on_eof"] else None
    await stopping.wait()
    if watch is not None:
        watch.cancel()
    await server.stop_server(code)
    if metrics is not None:
        await metrics.stop()
    write_out()
    announce("Broadcast server stopped.")


async def _obey_input(server: BroadcastServer, ended: asyncio.Event) -> None:
    """Set `ended` once standard input has ended; if its last word was KEEP, run on, with no output.

    COUNT is answered as soon as it is the last word.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    last = b""
    while data := await reader.read(4096):
        last = (last + data)[-max(len(KEEP), len(COUNT)) :]
        if last.endswith(COUNT):
            announce(str(server.connection_count))
    if not last.endswith(KEEP):
        ended.set()
        return
    redirect_to_devnull((sys.stdout.fileno(), sys.stderr.fileno()))
