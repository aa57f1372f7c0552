"""Fast starts of `broadcast-tui`: a process that has imported the program and forks for each start.

`install()` makes `subprocess.Popen` (which asyncio uses too) and `pexpect.spawn` ask this process for a fork
if the command is `broadcast-tui` or `python -m broadcast_tui`. A fork skips the start
of an interpreter and all imports. Any other command is executed as usual, including `broadcast-tui` in a
shell command, so the tests cover the real start too. Set BROADCAST_TESTS_EXEC=1 to execute every command.

The fork is a child of the test process, just as an executed command is: the fork server forks twice, and the
test process is a "child subreaper" (prctl(2)) while it does. Only Linux has this; elsewhere every command is
executed.

Before its first fork the server runs the chat once without a terminal. Forks share the style sheets that were
parsed, the modules that were imported late, and the caches that were filled.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import fcntl
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXEC_VARIABLE = "BROADCAST_TESTS_EXEC"
CONSOLE_SCRIPT = str(Path(sys.executable).parent / "broadcast-tui")
MODULES = ("broadcast_tui",)
"""Modules that `python -m` starts."""
PRELOADED = (
    "broadcast_tui.cli.chat",
    "broadcast_tui.cli.serve",
    "broadcast_tui.cli.send",
    "broadcast_tui.cli.tail",
    "broadcast_tui.cli.token",
    "broadcast_tui.cli.invite",
    "broadcast_tui.cli.chat_invites",
    "broadcast_tui.cli.cluster",
    "broadcast_tui.cli.forget",
    "broadcast_tui.cli.config",
    "broadcast_tui.server",
    "broadcast_tui.cli.history",
    "broadcast_tui.cli.hook",
    "broadcast_tui.cli.replay",
    "broadcast_tui.tui.app",
    "uvloop",
    # What these import when they need it.
    "broadcast_tui.engine.redis_engine",
    "broadcast_tui.engine.sqlite",
    "broadcast_tui.server.cluster.hooks",
    "broadcast_tui.server.cluster.node_list",
    "broadcast_tui.server.cluster.redis_link",
    "broadcast_tui.server.cluster.tokens",
    "broadcast_tui.server.metrics",
    "broadcast_tui.server.web.app",
    "broadcast_tui.tui.line_mode",
    "cryptography.x509",
    "cyclopts.help",
    "segno",
    "tomllib",
)
READ_AT_START = ("PYTHON", "LC_", "LANG", "TEXTUAL_")
"""Prefixes of environment variables that are read once. Each set of values has its own fork server."""
PR_SET_CHILD_SUBREAPER = 36
MAX_REQUEST_BYTES = 200_000
STARTS_MIN = 4
"""Number of starts in an environment other than that of the tests from which a server is worth its start."""


# -- in the test process


def module_of(command: Sequence[str]) -> tuple[str, list[str]] | None:
    """The module that `command` runs and its arguments; None for other programs."""
    if command[0] == CONSOLE_SCRIPT:
        return MODULES[0], list(command[1:])
    if command[0] == sys.executable and list(command[1:2]) == ["-m"] and command[2] in MODULES:
        return command[2], list(command[3:])
    return None


class ForkServer:
    """A running fork server, started with `environment`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=dict(environment),
                cwd=ROOT,
                start_new_session=True,
            )

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        directory: str,
        streams: Sequence[int],
        *,
        new_session: bool = False,
        terminal: bool = False,
    ) -> int:
        """Start `module` as a child of this process; returns its process id.

        Args:
            streams: Descriptors of its standard streams.
            terminal: Make standard input its controlling terminal (needs `new_session`).
        """
        request = json.dumps(
            [module, list(arguments), dict(environment), directory, new_session, terminal]
        ).encode("utf-8", "surrogateescape")
        with self._lock:
            _adopt_orphans(True)
            try:
                socket.send_fds(self._socket, [request], list(streams))
                (pid,) = struct.unpack("i", self._socket.recv(4))
            finally:
                _adopt_orphans(False)
        return int(pid)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _adopt_orphans(on: bool) -> None:
    if _libc().prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


Key = tuple[tuple[str, str], ...]
_servers: dict[Key, ForkServer] = {}
_starts: Counter[Key] = Counter()
_servers_lock = threading.Lock()


def _fixed(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}


def _server_for(environment: Mapping[str, str]) -> ForkServer | None:
    """The fork server for an environment; None if so few starts need it that they are faster without."""
    fixed = _fixed(environment)
    key = tuple(sorted(fixed.items()))
    with _servers_lock:  # tests start programs from several threads
        _starts[key] += 1
        if fixed != _fixed(os.environ) and _starts[key] < STARTS_MIN:
            return None
        if key not in _servers:
            others = {name: value for name, value in os.environ.items() if not name.startswith(READ_AT_START)}
            _servers[key] = ForkServer({**others, **fixed})
        return _servers[key]


def start(
    command: Sequence[str],
    environment: Mapping[str, str] | None,
    directory: str | os.PathLike[str] | None,
    streams: Sequence[int],
    *,
    new_session: bool = False,
    terminal: bool = False,
) -> int | None:
    """Fork `command` off a server; returns its process id, or None if it must be executed."""
    if not all(isinstance(word, str) for word in command) or (found := module_of(command)) is None:
        return None
    environment = dict(os.environ if environment is None else environment)
    module, arguments = found
    if (server := _server_for(environment)) is None:
        return None
    return server.start(
        module,
        arguments,
        environment,
        os.fspath(directory or os.getcwd()),
        streams,
        new_session=new_session,
        terminal=terminal,
    )


def install() -> None:
    """Fork the program instead of executing it, in this process from now on."""
    if sys.platform != "linux" or os.environ.get(EXEC_VARIABLE):
        return
    _install_in_subprocess()
    _install_in_pexpect()


def _install_in_subprocess() -> None:
    execute: Any = vars(subprocess.Popen)["_execute_child"]

    def execute_child(self: Any, *given: Any) -> None:
        args, executable, preexec_fn, _, pass_fds, cwd, env, _, _, shell = given[:10]
        pipes = given[10:16]
        _, gid, gids, uid, umask, new_session, process_group = given[16:]
        special = (executable, preexec_fn, gid, gids, uid) != (None,) * 5 or umask >= 0 or process_group != -1
        if not (special or pass_fds or shell or isinstance(args, str)):
            child_side = (pipes[0], pipes[3], pipes[5])
            streams = tuple(number if fd < 0 else fd for number, fd in enumerate(child_side))
            pid = start(list(args), env, cwd, streams, new_session=new_session)
            if pid is not None:
                self.pid = pid
                self._child_created = True
                self._close_pipe_fds(*pipes)
                return
        execute(self, *given)

    setattr(subprocess.Popen, "_execute_child", execute_child)  # noqa: B010


def _install_in_pexpect() -> None:
    try:
        import pexpect
        import ptyprocess
    except ImportError:
        return
    spawn: Any = vars(pexpect.spawn)["_spawnpty"]

    def spawn_pty(self: Any, args: list[Any], **options: Any) -> Any:
        words = [word.decode() if isinstance(word, bytes) else word for word in args]
        if module_of(words) is None or options.get("preexec_fn"):
            return spawn(self, args, **options)
        ours, theirs = os.openpty()
        try:
            rows, columns = options.get("dimensions") or (24, 80)
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            streams = (theirs, theirs, theirs)
            pid = start(
                words, options.get("env"), options.get("cwd"), streams, new_session=True, terminal=True
            )
        finally:
            os.close(theirs)
        if pid is None:
            os.close(ours)
            return spawn(self, args, **options)
        return ptyprocess.PtyProcess(pid, ours)

    setattr(pexpect.spawn, "_spawnpty", spawn_pty)  # noqa: B010


# -- in the fork server


def serve(connection: socket.socket) -> None:
    """Fork for each request. Returns in the forked process only, once it is set up."""
    while True:
        data, streams, _, _ = socket.recv_fds(connection, MAX_REQUEST_BYTES, 3)
        if not data:
            os._exit(0)
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            pid = os.fork()
            if pid == 0:
                for number in (reader, writer, connection.detach()):
                    os.close(number)
                _become(json.loads(data.decode("utf-8", "surrogateescape")), streams)
                return
            os.write(writer, struct.pack("i", pid))
            os._exit(0)
        os.waitpid(between, 0)
        # The test process is now the parent of the fork.
        connection.send(os.read(reader, 4))
        os.close(reader)
        os.close(writer)
        for number in streams:
            os.close(number)


def _become(request: list[Any], streams: Sequence[int]) -> None:
    """Make this fork look like a new interpreter that runs a module."""
    module, arguments, environment, directory, new_session, terminal = request
    if new_session:
        os.setsid()
    for number, given in enumerate(streams):
        os.dup2(given, number)
    for given in streams:
        if given > 2:
            os.close(given)
    if terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        old: Any = getattr(sys, name)
        is_terminal = os.isatty(number)
        stream = open(  # noqa: SIM115
            number,
            mode,
            buffering=1 if is_terminal or name == "stderr" else -1,
            encoding=old.encoding,
            errors=old.errors,
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = [module, *arguments]


async def _chat_once() -> None:
    """Run the chat without a terminal, a connection, or files that last."""
    from tests.support import stylesheets
    from tests.support.chat_app import chatting

    stylesheets.install()
    async with chatting("ana"):
        pass


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        importlib.import_module(name)
    asyncio.run(_chat_once())
    assert threading.active_count() == 1, "a fork has only the thread that forked"
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    serve(connection)
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=False)
        status = 0
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        status = end.code or 0
    _exit(status)


def _exit(status: int) -> None:
    """End as an interpreter does, but without freeing all modules: that takes longer than many a command.

    Objects that were created since the fork and are no longer used are freed. If the output cannot be
    written, the interpreter ends and reports it.
    """
    vars(threading)["_shutdown"]()
    vars(atexit)["_run_exitfuncs"]()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        gc.collect()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(status)
    os._exit(status)


if __name__ == "__main__":
    main()
