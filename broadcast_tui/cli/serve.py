"""`broadcast-tui serve`: run the server until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from broadcast_tui.cli.child_server import COUNT, KEEP
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.logs import LogFormat, LogLevel, flush_logs, set_level, set_up
from broadcast_tui.cli.option_types import Count, Delay, Port, Rate, Text
from broadcast_tui.cli.redis_location import password_warning
from broadcast_tui.cli.reload import Coalescer, Load, Options, Reloader, read_options
from broadcast_tui.cli.security import Auth, Security, Tls, network_host
from broadcast_tui.cli.serve_options import (
    AdmissionOptions,
    ConnectionOptions,
    ServerOptions,
    protocol_limits,
)
from broadcast_tui.cli.server_info import ServerInfo, check_host, data_path
from broadcast_tui.cli.stdio import ControllingTerminal, print_safely, redirect_to_devnull
from broadcast_tui.core.errors import BroadcastError, CloseCode, EngineError
from broadcast_tui.core.limits import AdmissionLimits
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.registry import StorageOptions, check_location, engine_for, public_location
from broadcast_tui.redis_settings import LocationError, is_redis, read_location
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.admission import check_origins, file_shortage
from broadcast_tui.server.client_address import parse_networks
from broadcast_tui.server.listen import choose_addresses, raise_open_files
from broadcast_tui.server.watchdog import Watchdog

if TYPE_CHECKING:
    from broadcast_tui.server.cluster.redis_link import RedisLink
    from broadcast_tui.server.metrics import MetricsListener


def serve(
    *,
    host: Text = "localhost",
    port: Port = 8765,
    qr: bool = False,
    share_port: bool = False,
    history: Text = "",
    keep_days: Rate = 30.0,
    keep_posts: Count | None = None,
    keep_bytes: Count = 67_108_864,
    auth: Auth = "open",
    tokens: Text = "",
    tls: Tls = "off",
    tls_cert: Text = "",
    tls_key: Text = "",
    drain_delay: Delay = 0.0,
    log_level: LogLevel = "info",
    log_format: LogFormat = "text",
    metrics_port: Port | None = None,
    metrics_host: Text = "localhost",
    config: str = "",
    stop_on_eof: bool = False,
    watchdog: bool = False,
    connection: ConnectionOptions = ConnectionOptions(),  # noqa: B008
    admission: AdmissionOptions = AdmissionOptions(),  # noqa: B008
    totals: ServerOptions = ServerOptions(),  # noqa: B008
) -> int:
    """Start a server that broadcasts each message to everyone in its room. Stop it with Ctrl+C.

    Parameters
    ----------
    host
        Host name or address to listen on; 0.0.0.0 for all interfaces.
    port
        TCP port to listen on; 0 for any free port.
    qr
        Print a link and a QR code with which others join, and listen on this machine's address in the
        network unless --host chooses another.
    share_port
        Listen on the port together with other servers on this machine that have the same Redis, to use all
        processors.
    history
        Where to store posts: a file path, memory, off, or redis://HOST:PORT to share rooms with other servers
        [default: a file in your data directory].
    keep_days
        Days for which posts are stored; 0: unlimited.
    keep_posts
        Maximum number of posts stored per room; 0: unlimited [default: 100000 in a file, 10000 in Redis].
    keep_bytes
        Maximum size of all posts with --history memory, in bytes; 0: unlimited.
    auth
        Who can connect: everyone (open) or token holders (token).
    tokens
        File that stores the tokens [default: one in your data directory].
    tls
        Encrypt with a generated certificate that clients trust through an invite (self-signed), or not (off).
    tls_cert
        Encrypt with the certificate in this PEM file, signed by an authority that clients trust.
    tls_key
        Private key of that certificate, if it is not in the same file.
    drain_delay
        Time between SIGTERM and closing connections, in which /readyz answers 503: seconds, or such as 2m.
    log_level
        Minimum level to log; debug includes each frame.
    log_format
        Log as text, or as one JSON object per line.
    metrics_port
        TCP port for Prometheus metrics at /metrics [default: no metrics].
    metrics_host
        Host name or address of the metrics port.
    config
        TOML file with these options, named without leading dashes.
    stop_on_eof
        Stop when standard input ends, as it does when the parent process exits, unless the last line is
        keep. The server replies to a line count with the number of connections.
    watchdog
        Log each step of the server that holds up all others for more than 50 ms of processor time.
    """
    options: Options = dict(locals())
    set_up(log_level, log_format)
    raise_open_files()
    host, metrics_host = _listen_host(host), check_host(metrics_host, "--metrics-host")
    notes = []
    if qr and (reachable := network_host(host)) != host:
        host = reachable
        notes.append(f"Listening on {host}, this machine's address in the network.")
    _check_admission(admission.limits())
    storage = History(history, keep_days, keep_posts, keep_bytes)
    storage.check()
    if share_port and not is_redis(history):
        raise UsageError("--share-port: Only servers with --history redis://HOST:PORT can share a port.")
    security = Security(auth, tokens, tls, tls_cert, tls_key)
    certificate = security.server_tls(host)

    async def run() -> None:
        advice = await storage.warnings()
        _, chosen = await choose_addresses(host, port, share_port=share_port)
        engine = storage.engine(chosen)
        cluster = storage.cluster(engine)
        server = BroadcastServer(
            host,
            chosen,
            limits=protocol_limits(connection, totals),
            engine=engine,
            admission=admission.limits(),
            sanctions=data_path() / f"moderation-{chosen}.json",
            authenticator=security.authenticator(
                cluster.tokens if cluster is not None else None,
                cluster.hooks if cluster is not None else None,
            ),
            tls=certificate,
            watchdog=Watchdog() if watchdog else None,
            cluster=cluster,
            share_port=share_port,
        )
        metrics = None
        if metrics_port is not None:
            from broadcast_tui.server.metrics import MetricsListener

            metrics = MetricsListener(server, metrics_host, metrics_port)
        info = security.info(host, chosen, certificate, storage.shared_tokens())
        lines = [*notes, storage.description(chosen), *security.lines(info)]
        if qr:
            from broadcast_tui.cli.invite import qr_invite

            lines += qr_invite(info.address().link)
        warnings = [
            security.warning(host, secure=info.secure),
            _file_warning(admission.limits()),
            *advice,
        ]
        await _run(server, info, lines, "\n".join(filter(None, warnings)), metrics, options, drain_delay)

    with storage.errors():
        _runner()(run())
    return ExitCode.OK


@dataclass(frozen=True, slots=True)
class History:
    """Storage of posts, from the options."""

    where: str
    keep_days: float
    keep_posts: int | None
    keep_bytes: int

    def check(self) -> None:
        """Raise UsageError if no engine can use the location."""
        with self.errors():
            check_location(self.where)

    def path(self, port: int) -> Path:
        """The file; by default one per port in the user's data directory."""
        if self.where:
            return Path(self.where).expanduser()
        return data_path() / f"history-{port}.db"

    def engine(self, port: int) -> Engine:
        entry, path = engine_for(self.where), self.path(port).absolute()
        if entry.is_file and self.where and not path.parent.parent.is_dir():
            raise UsageError(f"--history: No such directory: {path.parent.parent}.")
        return entry.create(
            StorageOptions(self.where, path, self.keep_days, self.keep_posts, self.keep_bytes)
        )

    def cluster(self, engine: Engine) -> RedisLink | None:
        """The link to the other nodes of a shared engine; None if there are none."""
        if not engine.is_shared:
            return None
        from broadcast_tui.server.cluster.redis_link import RedisLink

        return RedisLink.open(read_location(self.where), engine)

    def shared_tokens(self) -> str:
        """Where servers of a shared history have their tokens, without user and password; otherwise empty."""
        if not is_redis(self.where):
            return ""
        location, prefix = public_location(self.where), read_location(self.where).prefix
        return f"{location}{'&' if '?' in location else '?'}prefix={prefix}"

    def description(self, port: int) -> str:
        """A line for the operator."""
        entry = engine_for(self.where)
        line = entry.description.format(location=public_location(self.where), path=self.path(port))
        return f"{line} To store none, add --history off." if entry.is_file else line

    async def warnings(self) -> Sequence[str]:
        """Check a database before the server starts; the result is lines for the operator.

        Raises LocationError and EngineError.
        """
        if not is_redis(self.where):
            return ()
        from broadcast_tui.redis_client import check_server, open_client

        settings = read_location(self.where)
        client = open_client(settings)
        try:
            warnings = await check_server(client, settings)
        finally:
            await client.aclose()
        return [*warnings, *filter(None, [password_warning(self.where)])]

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Report errors of a database as errors of the option, without advice about files."""
        try:
            yield
        except LocationError as error:
            raise UsageError(f"--history: {error}") from None
        except EngineError as error:
            if is_redis(self.where):
                raise UsageError(str(error)) from None
            raise


def _file_warning(limits: AdmissionLimits) -> str:
    """A warning if the open file limit is too low for the connections to admit; empty if it is not."""
    shortage = file_shortage(limits)
    if shortage is None:
        return ""
    files, connections = shortage
    return (
        f"Warning: the open file limit of {files} allows only {connections} connection"
        f"{'s' * (connections != 1)}. "
        "Raise it with ulimit -n, or LimitNOFILE in systemd."
    )


def _listen_host(given: str) -> str:
    """The value of `--host`. Raises UsageError if it is invalid, or empty, which would be all networks."""
    if host := check_host(given):
        return host
    raise UsageError("--host: The value is empty. Use localhost, or 0.0.0.0 for all networks.")


def _check_admission(limits: AdmissionLimits) -> None:
    """Check values that only the server understands. Raises NetworkError and OriginError."""
    parse_networks(limits.trusted_proxies)
    check_origins(limits.origins)


def _runner() -> Callable[..., object]:
    """`uvloop.run` if uvloop is installed, else `asyncio.run`."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


RELOADABLE = frozenset({"connection", "admission", "totals", "log_level"})
"""Arguments of `serve` that `_limits_of` applies."""


def _limits_of(server: BroadcastServer) -> Load:
    """The part of a reload for limits and log level."""

    def load(options: Options) -> Callable[[], None]:
        connection, admission, totals = options["connection"], options["admission"], options["totals"]
        assert isinstance(connection, ConnectionOptions)
        assert isinstance(admission, AdmissionOptions)
        assert isinstance(totals, ServerOptions)
        limits, admitted = protocol_limits(connection, totals), admission.limits()
        _check_admission(admitted)

        def apply() -> None:
            set_level(cast("LogLevel", options["log_level"]))
            server.set_limits(limits, admitted)

        return apply

    return load


def _security_of(server: BroadcastServer) -> Callable[[], str]:
    """The part of a reload for tokens and certificate; reports the number of tokens."""
    apply = server.reload_security()

    def apply_and_count() -> str:
        apply()
        count = server.active_token_count
        return f"{count:,} active {'token' if count == 1 else 'tokens'}"

    return apply_and_count


def _on_hangup(
    server: BroadcastServer, stop: Callable[[CloseCode], None], options: Options
) -> Callable[[], None]:
    """The SIGHUP handler: stop if the terminal was closed, else reload."""
    reloader = Reloader(read_options, options, RELOADABLE)
    reloader.add("limits and log level", _limits_of(server))
    reloader.add("bans", lambda _: server.reload_sanctions())
    reloader.add("tokens and certificate", lambda _: _security_of(server))
    terminal, is_stopping = ControllingTerminal(), False

    reload_later = Coalescer(reloader, asyncio.get_running_loop())

    def on_hangup() -> None:
        nonlocal is_stopping
        if not terminal.is_gone:
            reload_later()
        elif not is_stopping:  # the kernel and the shell may both send it
            is_stopping = True
            terminal.detach()
            stop(CloseCode.GOING_AWAY)

    return on_hangup


async def _run(
    server: BroadcastServer,
    info: ServerInfo,
    lines: Sequence[str],
    warning: str,
    metrics: MetricsListener | None,
    options: Options,
    drain_delay_s: float,
) -> None:
    stopping = asyncio.Event()
    code, delay_s = CloseCode.GOING_AWAY, 0.0
    hurrying: list[asyncio.Task[None]] = []

    def stop(chosen: CloseCode) -> None:
        nonlocal code, delay_s
        if not stopping.is_set():
            code = chosen
            delay_s = drain_delay_s if code is CloseCode.RESTART else 0.0
            stopping.set()
        elif delay_s and not hurrying:
            hurrying.append(asyncio.create_task(server.stop_server(code)))  # ends the delay
        else:
            os._exit(130)

    if sys.platform != "win32":
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, stop, CloseCode.GOING_AWAY)
        loop.add_signal_handler(signal.SIGTERM, stop, CloseCode.RESTART)
        loop.add_signal_handler(signal.SIGHUP, _on_hangup(server, stop, options))
    if metrics is not None:  # before the server, which other nodes would see otherwise
        await metrics.start()
    try:
        await server.start_server()
    except BroadcastError:
        if metrics is not None:
            await metrics.stop()
        raise
    # Collect garbage rarely: scanning thousands of long-lived connections pauses the server.
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    print_safely(f"Broadcast server started on {server.url}")
    with contextlib.suppress(OSError):  # only `invite` needs it
        info.save(data_path())
    print_safely("\n".join(lines))
    if metrics is not None:
        print_safely(f"Metrics are at {metrics.url}")
    print_safely("Press Ctrl+C to stop.")
    if warning:
        print_safely(warning, sys.stderr)
    watch = asyncio.create_task(_follow_input(server, stopping)) if options["stop_on_eof"] else None
    await stopping.wait()
    if watch is not None:
        watch.cancel()
    await server.stop_server(code, delay_s=delay_s)
    if metrics is not None:
        await metrics.stop()
    flush_logs()
    print_safely("Broadcast server stopped.")


async def _follow_input(server: BroadcastServer, stopping: asyncio.Event) -> None:
    """Set `stopping` when standard input ends, unless its last line is KEEP; then discard all output.

    Replies to COUNT at once.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    last = b""
    while data := await reader.read(4096):
        last = (last + data)[-max(len(KEEP), len(COUNT)) :]
        if last.endswith(COUNT):
            print_safely(str(server.connection_count))
    if not last.endswith(KEEP):
        stopping.set()
        return
    redirect_to_devnull((sys.stdout.fileno(), sys.stderr.fileno()))
