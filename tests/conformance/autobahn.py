"""Our connection class against plain `websockets`, by Autobahn's fuzzing client (not run by pytest).

The suite needs Python 2.7: make it a virtual environment, then

    pip install 'virtualenv<20.22' && virtualenv -p python2.7 ab && ab/bin/pip install autobahntestsuite
    python tests/conformance/autobahn.py ab/bin/wstest

Both answer as echo servers. Exit status 1 if any case went worse for ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from broadcast_tui.core.errors import CloseCode
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.work_budget import UNLIMITED
from broadcast_tui.core.limits import Limits, SharedLimits
from broadcast_tui.server.connection import PeerConnection
from broadcast_tui.server.open_connection import OpenConnection
from broadcast_tui.server.turns import TurnScheduler

RANKS = [
    "OK",
    "INFORMATIONAL",
    "NON-STRICT",
    "UNIMPLEMENTED",
    "WRONG CODE",
    "UNCLEAN",
    "FAILED BY CLIENT",
    "FAILED",
]
MAX_BYTES = 2**25


class Echo:
    """Sends messages back through the class that the server uses, with its check of UTF-8."""

    def __init__(self, opened: Callable[[], OpenConnection]) -> None:
        self._opened = opened
        self.read_buffer = memoryview(b"")

    def receive(self, peer: Peer, data: bytes, is_text: bool) -> None:
        connection = self._opened()
        if not connection.writable:
            return
        if is_text:
            try:
                data.decode()
            except UnicodeDecodeError:
                connection.end(CloseCode.BAD_UTF8, "not UTF-8")
                return
        opcode = Opcode.TEXT if is_text else Opcode.BINARY
        connection.write_now(Frame(opcode, data).serialize(mask=False))

    def set_blocked(self, peer: Peer, blocked: bool) -> None:
        pass

    def closed(self, connection: OpenConnection) -> None:
        pass


async def echo_ours(connection: ServerConnection) -> None:
    assert isinstance(connection, PeerConnection)
    loop = asyncio.get_running_loop()
    opened = OpenConnection(connection, Echo(lambda: opened), TurnScheduler(loop), keep=True)
    limits, now = SharedLimits(Limits()), loop.time()
    peer = Peer(1, opened, v1=False, address="", now=now, limits=limits, budget=UNLIMITED)
    opened.take_over(connection)
    opened.start_receiving(peer)
    await asyncio.shield(connection.connection_lost_waiter)


async def echo_plain(connection: ServerConnection) -> None:
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        pass


async def run(wstest: str) -> int:
    options = {"compression": None, "max_size": MAX_BYTES, "ping_interval": None}
    with TemporaryDirectory() as directory:
        async with (
            serve(echo_ours, "127.0.0.1", 0, create_connection=PeerConnection, **options) as ours,  # type: ignore[arg-type]
            serve(echo_plain, "127.0.0.1", 0, **options) as plain,  # type: ignore[arg-type]
        ):
            servers = [
                {"agent": name, "url": f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"}
                for name, server in (("ours", ours), ("plain", plain))
            ]
            spec = Path(directory) / "spec.json"
            spec.write_text(
                json.dumps(
                    {
                        "outdir": f"{directory}/reports",
                        "servers": servers,
                        "cases": ["*"],
                        "exclude-cases": ["9.*", "12.*", "13.*"],
                    }
                )
            )
            client = await asyncio.create_subprocess_exec(
                wstest, "-m", "fuzzingclient", "-s", str(spec), stdout=asyncio.subprocess.DEVNULL
            )
            await client.wait()
        report = json.loads((Path(directory) / "reports" / "index.json").read_text())
    return compare(report["ours"], report["plain"])


def compare(ours: dict[str, dict[str, str]], plain: dict[str, dict[str, str]]) -> int:
    """Print the counts and the cases that went worse for ours; the exit status."""
    for name, cases in (("ours", ours), ("plain websockets", plain)):
        print(name, dict(Counter(case["behavior"] for case in cases.values())))
    worse = [
        f"{number}: {ours[number]['behavior']} (plain: {case['behavior']})"
        for number, case in plain.items()
        if RANKS.index(ours[number]["behavior"]) > RANKS.index(case["behavior"])
        or RANKS.index(ours[number]["behaviorClose"]) > RANKS.index(case["behaviorClose"])
    ]
    print(f"{len(plain)} cases, worse in {len(worse)}", *worse, sep="\n  ")
    return 1 if worse else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(run(sys.argv[1])))
