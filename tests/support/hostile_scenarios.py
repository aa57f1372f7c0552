"""What a hostile server can do to a client, as data: `SCENARIOS`, and a server that performs them.

A scenario is a name and the bytes to send, mostly after a normal welcome. After each of them the server posts
`FOLLOW_UP` with the scenario's name, on the same connection or, if that has ended, on the next one. The
client must show it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.support import raw_socket
from tests.support.hostile_server import HOSTILE
from tests.support.profile import by_profile

FOLLOW_UP = "still here after"
AT = "2025-08-30T10:30:40+00:00"
FEW, MANY, LARGE = by_profile(500, 5_000), by_profile(2_000, 20_000), by_profile(200_000, 7_900_000)
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Answer = Callable[[dict[str, Any]], Iterable[bytes]]


def frame(payload: bytes, opcode: int = raw_socket.TEXT, *, final: bool = True) -> bytes:
    return raw_socket.frame(opcode, payload, final=final, masked=False)


def event(kind: str, **fields: object) -> bytes:
    """A text frame; `start` and `end` stand for the keys `from` and `to`."""
    names = {"start": "from", "end": "to"}
    return frame(
        json.dumps({"type": kind, **{names.get(key, key): value for key, value in fields.items()}}).encode()
    )


def message(post_id: str, text: str = "hi", **fields: object) -> bytes:
    sent = {"message": text, "sender": "mallory", "timestamp": AT, "id": post_id, "room": "lobby", **fields}
    return event("message", **sent)


def note(number: int, kind: str, re: int, **now: object) -> bytes:
    """A note with this seq about the post with seq `re`."""
    return event(
        "note",
        id=f"k3f9-{number}",
        room="lobby",
        note=kind,
        re=f"k3f9-{re}",
        by="mallory",
        timestamp=AT,
        now=now,
    )


def hostile_notes() -> Iterator[bytes]:
    """Posts that all kinds of notes change, with hostile text in every field."""
    seq = itertools.count(1)
    for evil in HOSTILE.values():
        votes = {f"{evil}{n}": {"count": 2, "names": [evil, "ana"]} for n in range(3)}
        ask = {"choices": [evil, "ok"], "until": evil, "of": 9, "to": [evil, "ana"]}
        post = next(seq)
        yield message(f"k3f9-{post}", evil, ask=ask, tally=votes, waiting=[evil], **{"as": post})
        yield message(f"k3f9-{next(seq)}", "a reply", re=f"k3f9-{post}", root=f"k3f9-{post}")
        yield note(next(seq), "edit", post, message=evil, edited=evil)
        yield note(next(seq), "react", post, reactions=votes)
        yield note(next(seq), "pin", post, pinned={"by": evil, "at": evil})
        yield note(next(seq), "answer", post, tally=votes, of=-1, waiting=[evil] * 100, closed="")
        yield note(next(seq), "delete", post + 1, deleted={"by": evil, "at": evil, "reason": evil})


def note_of(number: int) -> bytes:
    """Post 1, then notes about it and about posts that do not exist."""
    if number == 1:
        return message("k3f9-1")
    votes = {str(key): {"count": number, "names": [f"name {number}"] * 20} for key in range(20)}
    return note(number, "react", 1 if number % 2 else 10**9 + number, reactions=votes)


def system(kind: str, *names: str, **fields: object) -> bytes:
    frame = {"message": "people", "timestamp": AT, "room": "lobby", "online": 3, "names": names, **fields}
    return event("system", event=kind, **frame)


def welcome(*rooms: str) -> bytes:
    limits = {"message_bytes": 16_384, "rate": 10, "burst": 30, "page": 200, "rooms": 32}
    states = [
        {"room": room, "head": "k3f9-0", "recovered": True, "missed": 0, "online": 1}
        for room in rooms or ["lobby"]
    ]
    return event("welcome", name="ana", node="n", time=AT, ping=25, limits=limits, rooms=states)


SYNCED = event("synced", room="lobby", id="k3f9-0")


@dataclass(frozen=True)
class Scenario:
    """What to send after the welcome, or with `handshake` in its place from the first byte."""

    name: str
    sent: Callable[[], Iterable[bytes]]
    handshake: bool = False
    close: bool = False
    """Whether to cut the connection afterwards."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """Replies to requests, by type."""
    piece: int = 65_536
    """Number of bytes written at once."""


def numbered(count: int, make: Callable[[int], bytes]) -> Callable[[], Iterable[bytes]]:
    return lambda: map(make, range(1, count + 1))


def just(*parts: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: parts


def http(head: str, body: bytes = b"") -> bytes:
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


def wrong_types() -> Iterator[bytes]:
    """Each field of each kind of frame with a value of each wrong type."""
    fields = {
        "message": ("message", "sender", "timestamp", "id", "room", "nonce"),
        "system": ("event", "message", "timestamp", "room", "names", "online", "retry_after"),
        "history": ("ref", "room", "items", "more"),
        "presence": ("ref", "room", "online", "members", "truncated"),
        "joined": ("ref", "room", "head", "recovered", "missed", "online", "topic"),
        "gap": ("room", "from", "to", "reason"),
        "drain": ("reason", "spread"),
    }
    values: list[object] = [None, True, -1, 1.5, "x", [], [[]], {}, {"a": 1}]
    for kind, names in fields.items():
        for name, value in itertools.product(names, values):
            yield frame(json.dumps({"type": kind, "room": "lobby", name: value}).encode())


def shuffled_ids() -> Iterator[bytes]:
    ids = list(range(1, FEW))
    random.Random(7).shuffle(ids)
    return (message(f"k3f9-{number}") for number in ids)


def endless_page(asked: dict[str, Any]) -> Iterator[bytes]:
    """A page of one post, and always more."""
    epoch, _, seq = str(asked.get("after", "")).rpartition("-")
    post = {
        "message": "more",
        "sender": "m",
        "timestamp": AT,
        "id": f"{epoch}-{int(seq) + 1}",
        "room": "lobby",
    }
    yield event("history", ref=asked["ref"], room="lobby", items=[post], more=True)


def empty_page(asked: dict[str, Any]) -> Iterator[bytes]:
    yield event("history", ref=asked["ref"], room="lobby", items=[], more=False)


def crowd(asked: dict[str, Any]) -> Iterator[bytes]:
    members = [{"name": f"name {number}", "connections": 1, "away": "x" * 50} for number in range(MANY)]
    yield event("presence", ref=asked["ref"], room="lobby", online=3, members=members, truncated=False)


SCENARIOS = [
    # Posts
    Scenario(
        "a flood of posts", numbered(by_profile(5_000, 100_000), lambda n: message(f"k3f9-{n}", f"{n}"))
    ),
    Scenario("ids backwards", numbered(FEW, lambda n: message(f"k3f9-{FEW - n}"))),
    Scenario("ids in any order", shuffled_ids, answers={"history": empty_page}),
    Scenario("the same id for all posts", numbered(MANY, lambda n: message("k3f9-1", f"{n}"))),
    Scenario(
        "every other id", numbered(FEW, lambda n: message(f"k3f9-{2 * n}")), answers={"history": empty_page}
    ),
    Scenario("a new epoch for each post", numbered(by_profile(1_000, 5_000), lambda n: message(f"e{n}-1"))),
    Scenario("the largest id", just(message("k3f9-9007199254740991")), answers={"history": empty_page}),
    Scenario(
        "the largest id and endless pages",
        just(message("k3f9-900719925474099")),
        answers={"history": endless_page},
    ),
    Scenario(
        "invalid ids",
        lambda: (message(i) for i in ("", "-", "k3f9--1", "k3f9-" + "9" * 30, "x" * 5_000)),
    ),
    Scenario("a large post", just(message("k3f9-1", "word " * (LARGE // 5)))),
    Scenario("one long word", just(message("k3f9-1", "x" * LARGE))),
    Scenario("a post of wide characters", just(message("k3f9-1", "漢" * (LARGE // 6)))),
    Scenario("a post of escape characters", just(message("k3f9-1", "\x1b" * (LARGE // 6)))),
    Scenario("a post of line ends", just(message("k3f9-1", "\n" * (LARGE // 2)))),
    Scenario("a post of marks", just(message("k3f9-1", "Z\u0301\u0489\u0335" * (LARGE // 24)))),
    Scenario("a post of zero width", just(message("k3f9-1", "\u200b\u2060\u200d" * (LARGE // 18)))),
    Scenario("a post of overrides", just(message("k3f9-1", "\u202e\u2066" * (LARGE // 12)))),
    Scenario(
        "many large posts", numbered(by_profile(10, 200), lambda n: message(f"k3f9-{n}", "漢字" * 8_000))
    ),
    Scenario(
        "posts of hostile text",
        lambda: (message(f"k3f9-{n}", t, sender=t) for n, t in enumerate(HOSTILE.values(), 1)),
    ),
    Scenario("a long name", just(message("k3f9-1", sender="n" * LARGE))),
    Scenario(
        "a long time, room and nonce", just(message("k3f9-1", timestamp="2" * LARGE, nonce="x" * LARGE))
    ),
    Scenario(
        "times out of range",
        lambda: (
            message(f"k3f9-{n}", timestamp=t)
            for n, t in enumerate(
                ("0001-01-01T00:00:00", "9999-12-31T23:59:59+00:00", "2025-01-01T00:00:00+23:59", "x", ""), 1
            )
        ),
    ),
    Scenario("notes with hostile text", hostile_notes),
    Scenario("many notes", numbered(FEW, note_of)),
    Scenario("posts of other rooms", numbered(MANY, lambda n: message("k3f9-1", room=f"room {n}"))),
    # Frames that are wrong
    Scenario("deep JSON", just(frame(b'{"type":' + b"[" * 100_000), frame(b"[" * 100_000 + b"]" * 100_000))),
    Scenario(
        "invalid numbers",
        just(
            frame(b'{"type":"drain","reason":"","spread":NaN}'),
            frame(b'{"type":"drain","reason":"","spread":1e999}'),
            frame(b'{"type":"gap","room":"lobby","from":-Infinity}'),
        ),
    ),
    Scenario(
        "huge integers",
        just(
            system("join", "bob", online=10**30),
            system("join", "bob", online=-(10**18)),
            frame(
                b'{"type":"system","event":"online","message":"","timestamp":"","room":"lobby","online":'
                + b"9" * 5_000
                + b"}"
            ),
        ),
    ),
    Scenario("wrong types", wrong_types),
    Scenario("unknown types", numbered(MANY, lambda n: event(f"type {n}", room="lobby"))),
    Scenario("invalid JSON", numbered(MANY, lambda n: frame(b"garbage"))),
    Scenario("empty frames", just(frame(b"") * MANY)),
    Scenario("binary frames", just(frame(b"\0\xff" * 100, raw_socket.BINARY) * FEW)),
    Scenario("invalid UTF-8", just(frame(b'{"type":"message","message":"\xff\xfe"}') * FEW)),
    Scenario(
        "lone surrogates", just(frame(message("k3f9-1", "\ud800\udfff")[4:]), message("k3f9-2", "\ud800"))
    ),
    Scenario(
        "fragments of a byte",
        lambda: [frame(b"{", final=False), *[frame(b" ", 0, final=False)] * FEW, frame(b"}", 0)],
    ),
    Scenario(
        "an endless message",
        lambda: [frame(b"x" * 60_000, final=False), *[frame(b"x" * 60_000, 0, final=False)] * 150],
    ),
    Scenario("a frame of an exabyte", just(b"\x81\x7f" + b"\x0f" * 8 + b"x" * 100)),
    Scenario("a masked frame", just(raw_socket.frame(raw_socket.TEXT, b"{}", masked=True))),
    Scenario("reserved bits", just(b"\xf1\x02{}")),
    Scenario("a fragment of nothing", just(frame(b"{}", 0))),
    Scenario("pings", just(frame(b"ping", raw_socket.PING) * MANY)),
    Scenario("pongs", just(frame(b"pong", raw_socket.PONG) * MANY)),
    Scenario("byte by byte", lambda: [message(f"k3f9-{n}") for n in range(1, 5)], piece=1),
    # Ends
    Scenario("half a frame", just(message("k3f9-1")[:20]), close=True),
    Scenario("a cut", just(), close=True),
    Scenario(
        "a close reason of escape sequences",
        just(frame(b"\x03\xf3" + ("\x1b]0;EVIL\x07" * 12).encode(), raw_socket.CLOSE)),
    ),
    Scenario("an invalid close code", just(frame(b"\x00\x05no", raw_socket.CLOSE))),
    Scenario("a final close code", just(frame(b"\x11\x97no", raw_socket.CLOSE))),
    Scenario("a close frame that is too long", just(frame(b"\x03\xe8" + b"x" * 124, raw_socket.CLOSE))),
    Scenario("posts after the close", just(frame(b"\x03\xe8", raw_socket.CLOSE), message("k3f9-1") * FEW)),
    # Control frames
    Scenario("two welcomes", just(welcome(), welcome())),
    Scenario("a flood of welcomes", numbered(FEW, lambda n: welcome("lobby", f"room {n}"))),
    Scenario("a welcome to many rooms", just(welcome(*(f"room {n}" for n in range(MANY))))),
    Scenario(
        "acks of unknown posts",
        numbered(
            MANY, lambda n: event("ack", nonce=f"n{n}", id=f"k3f9-{n}", room="lobby", timestamp=AT, dup=False)
        ),
    ),
    Scenario("errors", numbered(MANY, lambda n: event("error", code="internal", message=f"error {n}"))),
    Scenario(
        "errors with absurd delays",
        lambda: (
            event(
                "error",
                code="rate_limited",
                message="no",
                temporary=True,
                retry_after=delay,
                nonce="x",
                ref="r1",
            )
            for delay in (-1, 0, 1e308, 10**15)
        ),
    ),
    Scenario(
        "unrequested rooms",
        numbered(
            MANY,
            lambda n: event(
                "joined", ref="", room=f"room {n}", head="k3f9-0", recovered=True, missed=0, online=1
            ),
        ),
    ),
    Scenario(
        "the same room joined repeatedly",
        numbered(
            MANY,
            lambda n: event(
                "joined", ref="", room="lobby", head="k3f9-0", recovered=True, missed=n, online=n
            ),
        ),
    ),
    Scenario("rooms left", numbered(MANY, lambda n: event("left", ref="", room=f"room {n}"))),
    Scenario(
        "a line of many names",
        lambda: [system("join", *(f"name {n}" for n in range(by_profile(20_000, 100_000))))],
    ),
    Scenario(
        "a line of hostile names",
        just(system("join", *HOSTILE.values()), system("leave", "bob", reason="\x1b[2J" * 999)),
    ),
    Scenario("joins", numbered(MANY, lambda n: system("join", f"name {n}"))),
    Scenario("leaves", numbered(MANY, lambda n: system("leave", f"name {n}", reason="bye"))),
    Scenario("renames", numbered(MANY, lambda n: system("rename", f"name {n}", f"name {n + 1}"))),
    Scenario("presence in other rooms", numbered(MANY, lambda n: system("join", "bob", room=f"room {n}"))),
    Scenario(
        "a member count that jumps", numbered(FEW, lambda n: system("online", online=1 + 200 * (n % 2)))
    ),
    Scenario(
        "a list of many members",
        just(system("online", online=200), system("online", online=3)),
        answers={"presence": crowd},
    ),
    Scenario(
        "away status of many people",
        numbered(MANY, lambda n: event("away", name=f"name {n}", away=True, text="x" * 100)),
    ),
    Scenario(
        "away status of this client",
        numbered(MANY, lambda n: event("away", name="ana", away=n % 2 == 0, text=f"{n}")),
    ),
    Scenario("typing notices", numbered(MANY, lambda n: event("typing", room="lobby", name=f"name {n}"))),
    Scenario(
        "topics",
        numbered(
            MANY,
            lambda n: event("topic", room="lobby", topic=f"topic {n} \x1b]0;EVIL\x07", name="bob", ref=""),
        ),
    ),
    Scenario("a long topic", just(event("topic", room="lobby", topic="t" * LARGE, name="n" * LARGE, ref=""))),
    Scenario(
        "notices",
        numbered(MANY, lambda n: event("system", event="notice", message=f"notice {n}", timestamp=AT)),
    ),
    Scenario("renames of this client", numbered(MANY, lambda n: event("renamed", ref="", name=f"name {n}"))),
    Scenario("repeated synced frames", just(SYNCED * MANY)),
    Scenario(
        "gaps backwards",
        numbered(
            MANY,
            lambda n: event("gap", room="lobby", start=f"k3f9-{n}", end=f"k3f9-{MANY - n}", reason="trimmed"),
        ),
    ),
    Scenario(
        "gaps of other epochs",
        numbered(MANY, lambda n: event("gap", room="lobby", start=f"e{n}-1", end=f"e{n}-9", reason="epoch")),
    ),
    Scenario(
        "a huge gap",
        just(event("gap", room="lobby", start="k3f9-1", end="k3f9-9007199254740991", reason="lagged")),
        answers={"history": endless_page},
    ),
    Scenario(
        "unrequested answers",
        lambda: [
            event(
                "list",
                ref="",
                rooms=[{"room": f"r{n}", "online": 1, "topic": "t"} for n in range(MANY)],
                truncated=False,
            ),
            event("search", ref="", room="lobby", items=[], more=True),
            event(
                "bans",
                ref="",
                items=[{"action": "ban", "kind": "name", "who": f"n{n}", "by": "x"} for n in range(MANY)],
                truncated=False,
            ),
            event("moderated", ref="", action="ban", who="bob", addresses=["10.0.0.1"] * MANY),
        ],
    ),
    Scenario(
        "a huge drain spread",
        just(event("drain", reason="", spread=1e9), frame(b"\x03\xf4", raw_socket.CLOSE)),
    ),
    # Handshakes
    Scenario(
        "429 with NaN as delay",
        just(http("HTTP/1.1 429 Too Many\nRetry-After: NaN\nContent-Length: 0")),
        True,
        True,
    ),
    Scenario(
        "503 with a huge delay",
        just(http("HTTP/1.1 503 No\nRetry-After: 1e308\nContent-Length: 2", b"no")),
        True,
        True,
    ),
    Scenario(
        "403 with escapes",
        just(http("HTTP/1.1 403 No\nContent-Type: text/plain\nContent-Length: 12", b"\x1b]0;EVIL\x07no!")),
        True,
        True,
    ),
    Scenario(
        "a redirect to itself", just(http("HTTP/1.1 302 Found\nLocation: /\nContent-Length: 0")), True, True
    ),
    Scenario(
        "a redirect to nowhere",
        just(http("HTTP/1.1 302 Found\nLocation: ws://127.0.0.1:1/\nContent-Length: 0")),
        True,
        True,
    ),
    Scenario(
        "an endless body",
        numbered(2_000, lambda n: http("HTTP/1.1 503 No") if n == 1 else b"\n" * 1_000),
        True,
    ),
    Scenario(
        "endless headers",
        numbered(2_000, lambda n: b"HTTP/1.1 101 Yes\r\n" if n == 1 else b"A: b\r\n" * 100),
        True,
    ),
    Scenario("an endless line", numbered(2_000, lambda n: b"x" * 1_000), True),
    Scenario("half a handshake", just(b"HTTP/1.1 101 Switching Pro"), True, True),
    Scenario(
        "a wrong accept key",
        just(http("HTTP/1.1 101 Yes\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: x")),
        True,
        True,
    ),
    Scenario("TLS", just(b"\x15\x03\x01\x00\x02\x02\x46"), True, True),
    Scenario("SSH", just(b"SSH-2.0-OpenSSH_9.9\r\n"), True, True),
    Scenario("no response", just(), True, True),
]


ENDLESS = [
    Scenario("endless posts", lambda: (message(f"k3f9-{n}", f"post {n}") for n in itertools.count(1))),
    Scenario(
        "endless large posts", lambda: (message(f"k3f9-{n}", "漢字" * 2_000) for n in itertools.count(1))
    ),
    Scenario(
        "endless notices",
        lambda: itertools.repeat(event("system", event="notice", message="n", timestamp=AT)),
    ),
    Scenario("endless pings", lambda: itertools.repeat(frame(b"", raw_socket.PING) * 1_000)),
]
"""Floods that last until the client leaves."""


class ScenarioServer:
    """Performs one scenario on the first connection after `begin`; later ones are normal."""

    def __init__(self) -> None:
        self.port = 0
        self._scenario: Scenario | None = None
        self._name = ""
        self._count = 0
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def begin(self, scenario: Scenario) -> None:
        """Cut all connections; the next one gets `scenario`."""
        self._cut()
        self._scenario, self._name = scenario, scenario.name
        self._count += 1

    def _cut(self) -> None:
        for writer in self._connections.values():
            writer.transport.abort()

    async def close(self) -> None:
        self._cut()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            scenario, self._scenario = self._scenario, None
            if scenario is not None and scenario.handshake:
                await self._write(writer, scenario)
            else:
                await self._talk(reader, writer, request, scenario)
        writer.close()

    async def _talk(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: bytes,
        scenario: Scenario | None,
    ) -> None:
        key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key.split(b":")[1].strip() + GUID).digest()).decode()
        upgrade = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n"
        protocol = "Sec-WebSocket-Protocol: broadcast-tui.v1"
        writer.write(http(f"{upgrade}Sec-WebSocket-Accept: {accept}\n{protocol}"))
        await _read_frame(reader)  # the hello
        writer.write(welcome() + SYNCED)
        answers = scenario.answers if scenario is not None else {}
        answering = asyncio.create_task(self._answer(reader, writer, answers))
        try:
            if scenario is not None:
                await self._write(writer, scenario)
                if scenario.close:
                    return
            writer.write(message(f"f{self._count}-1", f"{FOLLOW_UP} {self._name}", sender="bob"))
            await writer.drain()
            await answering
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    @staticmethod
    async def _write(writer: asyncio.StreamWriter, scenario: Scenario) -> None:
        for sent in scenario.sent():
            for start in range(0, len(sent), scenario.piece):
                writer.write(sent[start : start + scenario.piece])
                await writer.drain()

    @staticmethod
    async def _answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: dict[str, Answer]
    ) -> None:
        """Answer requests until the client closes."""
        while (asked := await _read_frame(reader)) is not None:
            match asked:
                case {"type": str(kind)} if kind in answers:
                    writer.writelines(answers[kind](asked))
                case {"type": "presence"}:
                    listed = {"online": 1, "members": [{"name": "ana", "connections": 1}], "truncated": False}
                    writer.write(event("presence", ref=asked["ref"], room="lobby", **listed))
                case {"type": "history"}:
                    writer.writelines(empty_page(asked))
            await writer.drain()


async def _read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next frame of a client as JSON, empty for control frames; None if it closes."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(size)
    if first & 0xF == raw_socket.CLOSE:
        return None
    if first & 0xF != raw_socket.TEXT:
        return {}
    read: dict[str, Any] = json.loads(bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked)))
    return read


@asynccontextmanager
async def scenario_server() -> AsyncIterator[ScenarioServer]:
    """A server on 127.0.0.1 and a free port, in this event loop."""
    hostile = ScenarioServer()
    server = await asyncio.start_server(hostile.handle, "127.0.0.1", 0, limit=2**20)
    hostile.port = server.sockets[0].getsockname()[1]
    try:
        yield hostile
    finally:
        server.close()
        await hostile.close()


@contextmanager
def threaded_scenario_server() -> Iterator[ScenarioServer]:
    """The same in a thread of its own."""
    servers: list[ScenarioServer] = []
    stops: list[Callable[[], object]] = []
    ready = threading.Event()

    async def serve() -> None:
        stop = asyncio.Event()
        async with scenario_server() as server:
            servers.append(server)
            stops.append(partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    try:
        yield servers[0]
    finally:
        stops[0]()
        thread.join()
