"""A `redis-server` or `valkey-server` of a test's own, on a free port of 127.0.0.1.

Tests that need one have the mark `needs_redis`, which skips them where neither is installed.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.certificates import Authority, Pair
from tests.support.ports import unused_port

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
START_S = 20.0
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec")
NO_FILE = ("--appendonly", "no")
"""Options for the durability of writes: synced before each reply, once a second, or not stored."""

needs_redis = pytest.mark.skipif(
    PROGRAM is None, reason="needs redis-server or valkey-server: apt install redis-server"
)


class RedisServer:
    """A server process with its files in `directory`; it can be killed, paused and restarted.

    Args:
        options: Options of the command line.
        password: Password of the default user; empty for none.
        port: Port to use; by default an unused one.
        tls: Accept TLS connections with this certificate, from clients with one of the same authority.
    """

    def __init__(
        self,
        directory: Path,
        *options: str,
        password: str = "",
        port: int = 0,
        tls: tuple[Authority, Pair] | None = None,
    ) -> None:
        self.directory = directory
        self.options = options
        self.password = password
        self.port = port or unused_port()
        self.tls_port = unused_port() if tls is not None else 0
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The address without the password."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def url(self) -> str:
        """The address with the password, if there is one."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The address through a proxy on another port."""
        user = f":{self.password}@" if self.password else ""
        return f"redis://{user}127.0.0.1:{port}/0"

    @property
    def socket_url(self) -> str:
        """The address of the Unix socket."""
        return f"unix://{self.directory / 'redis.sock'}"

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        """Start it with its options and these; returns when it has loaded its files and answers."""
        assert PROGRAM is not None
        self.directory.mkdir(parents=True, exist_ok=True)
        words = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        words += ["--dir", str(self.directory), "--logfile", str(self.directory / "redis.log")]
        words += ["--repl-diskless-sync-delay", "0", "--enable-debug-command", "local"]
        if len(str(self.directory)) < 80:  # the path of a socket is at most 107 characters
            words += ["--unixsocket", str(self.directory / "redis.sock")]
        if self._tls is not None:
            authority, pair = self._tls
            words += ["--tls-port", str(self.tls_port), "--tls-ca-cert-file", str(authority.ca)]
            words += ["--tls-cert-file", str(pair.cert), "--tls-key-file", str(pair.key)]
        if self.password:
            words += ["--requirepass", self.password, "--masterauth", self.password]
        self._cut_transaction()
        self._process = subprocess.Popen(
            [*words, *self.options, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.wait_for("PONG", "PING")

    def _cut_transaction(self) -> None:
        """Cut off a transaction at the end of the append-only file that was not written completely.

        Redis may cut off its last command only (https://github.com/valkey-io/valkey/pull/4342). The others
        are executed with the next transaction after another restart, in the place of what was written since.
        """
        program = shutil.which("redis-check-aof") or shutil.which("valkey-check-aof")
        for manifest in self.directory.glob("appendonlydir/*.manifest"):
            if program is not None:
                subprocess.run(
                    [program, "--fix", str(manifest)], input=b"y\n", capture_output=True, check=False
                )

    def cli(self, *words: str) -> str:
        """The reply to a command, as `redis-cli` prints it."""
        program = [shutil.which("redis-cli") or "valkey-cli", "--no-auth-warning", "-p", str(self.port)]
        password = ["-a", self.password] if self.password else []
        done = subprocess.run([*program, *password, *words], capture_output=True, text=True, timeout=START_S)
        return done.stdout.strip()

    def kill(self) -> None:
        """Kill it: nothing is written or answered any more."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Stop it from answering, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, if it is running; it would wait for replicas if it were asked to."""
        if self._process is not None:
            self.kill()

    def follow(self, port: int) -> None:
        """Make it a replica of the server on another port, and wait until it has copied everything."""
        self.cli("REPLICAOF", "127.0.0.1", str(port))
        self.wait_synced()

    def promote(self) -> None:
        """Make it a primary."""
        self.cli("REPLICAOF", "NO", "ONE")

    def wait_synced(self) -> None:
        """Wait until its link to the primary is up."""
        self.wait_for("master_link_status:up", "INFO", "replication")

    def wait_for(self, text: str, *words: str) -> None:
        """Wait until the reply to a command contains `text`."""
        deadline = time.monotonic() + START_S
        while text not in self.cli(*words):
            assert time.monotonic() < deadline, (self.directory / "redis.log").read_text()
            time.sleep(0.02)


class Sentinel(RedisServer):
    """A Sentinel that watches a primary, named `chat`, and promotes its replica within seconds."""

    def __init__(self, directory: Path, primary: RedisServer) -> None:
        super().__init__(directory)
        self._primary = primary

    @property
    def url(self) -> str:
        user = f":{self._primary.password}@" if self._primary.password else ""
        return f"redis+sentinel://{user}127.0.0.1:{self.port}/chat"

    def start(self, *options: str) -> None:
        assert PROGRAM is not None
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.directory}",
            f"logfile {self.directory / 'redis.log'}",
            f"sentinel monitor chat 127.0.0.1 {self._primary.port} 1",
            "sentinel down-after-milliseconds chat 500",
            "sentinel failover-timeout chat 2000",
        ]
        if self._primary.password:
            lines.append(f"sentinel auth-pass chat {self._primary.password}")
        configuration = self.directory / "sentinel.conf"
        configuration.write_text("\n".join(lines) + "\n")
        self._process = subprocess.Popen(
            [PROGRAM, str(configuration), "--sentinel", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait_for("PONG", "PING")

    def wait_for_replicas(self, count: int = 1) -> None:
        """Wait until it knows this many replicas of the primary."""
        self.wait_for(f"slaves={count}", "INFO", "sentinel")


class Cluster:
    """A Redis Cluster of three primaries, in directories below `directory`."""

    SLOTS = 16_384

    def __init__(self, directory: Path, *options: str) -> None:
        self.nodes = [
            RedisServer(
                directory / str(number),
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"),
                *("--cluster-port", str(unused_port())),
                *options,
            )
            for number in range(3)
        ]

    @property
    def url(self) -> str:
        """The address of the first node."""
        return f"redis://127.0.0.1:{self.nodes[0].port}?cluster=true"

    def start(self) -> None:
        """Start it; returns when all nodes serve all slots."""
        for number, node in enumerate(self.nodes):
            node.start()
            first, end = (self.SLOTS * part // len(self.nodes) for part in (number, number + 1))
            node.cli("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            node.cli("CLUSTER", "ADDSLOTSRANGE", str(first), str(end - 1))
        for node in self.nodes[1:]:
            bus = node.options[node.options.index("--cluster-port") + 1]
            self.nodes[0].cli("CLUSTER", "MEET", "127.0.0.1", str(node.port), bus)
        for node in self.nodes:
            node.wait_for("cluster_state:ok", "CLUSTER", "INFO")
            node.wait_for(f"cluster_known_nodes:{len(self.nodes)}", "CLUSTER", "INFO")

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()


@contextlib.contextmanager
def running(*servers: RedisServer | Cluster) -> Iterator[Sequence[RedisServer | Cluster]]:
    """Servers that are started in order, and stopped at the end."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        yield servers
