"""Load from one hostile address, in its most expensive form, and a healthy pair that has to get through.

The requests are derived from the structs in `core/protocol/commands.py`: each field is filled from the knobs
of a `Form`. A seeded search mutates the knobs and keeps what costs the server the most processor time.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, get_args

import msgspec

from broadcast_tui.core.limits import AdmissionLimits, Limits
from broadcast_tui.core.notes import author_key
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import commands
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.cli.program import Program, program
from tests.support.process_cost import processor_s, resident_bytes
from tests.support.raw_socket import CLOSE, PONG, TEXT, RawSocket, frame, raw_socket
from tests.support.running import PATIENCE_S

COMMANDS: dict[str, type[msgspec.Struct]] = {
    str(command.__struct_config__.tag): command for command in get_args(commands.Command)
}
"""The commands by frame type."""
SETTLE_S = 3.0
"""Time after which the cost of a request is clear enough."""
AUTHORS = 100
"""Authors of the lobby's posts, in turn: the connections by number."""
BIG_ROOMS = 32
BIG_ROOM_POSTS = 70
LONG_POST_BYTES = 15_000
TEXTS = frozenset({"name", "who", "sender", "message", "query", "topic", "text", "reason"})
EDGES = frozenset({"since", "before", "after", "around", "latest", "last"})
ALPHABETS = {
    "letter": "e",
    "accented": "é",
    "decomposed": "e\u0301",
    "marks": "a\u0301\u0302\u0303\u0304\u0306",
    "mark": "\u0301",
    "hangul": "\u1112\u1161\u11ab",
    "ligature": "\ufdfa",
    "wide": "漢",
    "emoji": "👩\u200d👩\u200d👧",
    "invisible": "a\u200b",
    "control": "\x01",
    "digits": "19",
    "quote": '"',
    "random": "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=9_973)),
    "various": "".join(map(chr, range(0x4E00, 0x4E00 + 997))),
}
SERVE_BEHIND_PROXY = (
    *("serve", "--host", "127.0.0.1", "--port", "0", "--trusted-proxy", "127.0.0.1"),
    *("--watchdog", "--log-level", "warning"),
)
"""A server that applies its default limits to the addresses in `X-Forwarded-For`."""
KNOBS: dict[str, Sequence[Any]] = {
    "alphabet": tuple(ALPHABETS),
    "share": (1.0, 0.5, 0.1, 0.01),
    "word_chars": (1, 2, 3, 8, 60, 100_000),
    "room": ("lobby", "big", "each big", "own", "new"),
    "edge": ("since", "before", "after", "around", "latest", "last"),
    "position": ("newest", "middle", "oldest", "none", "other epoch"),
    "number": (1, 20, 200, 1_000, 2**40),
    "padding_bytes": (0, 60_000),
    "in_big_rooms": (False, True),
    "note": tuple(NoteKind),
    "scope": ("all", "thread", "pinned"),
    "asks": (False, True),
}
RELEVANT = {
    "alphabet": TEXTS,
    "share": TEXTS,
    "word_chars": TEXTS,
    "room": frozenset({"room", "rooms"}),
    "edge": EDGES,
    "position": EDGES,
    "number": frozenset({"last", "limit", "seconds"}),
    "note": frozenset({"note"}),
    "scope": frozenset({"root"}),
    "asks": frozenset({"ask"}),
}
"""The fields that a knob has an effect on; the others have an effect on every frame."""


@lru_cache(maxsize=256)
def _words(letters: str, word_chars: int, bytes_max: int, shift: int) -> str:
    chars = itertools.cycle(letters[shift:] + letters[:shift])
    parts: list[str] = []
    size = 0
    for count in itertools.count(1):
        char = " " if count % (word_chars + 1) == 0 else next(chars)
        size += len(char.encode())
        if size > bytes_max:
            break
        parts.append(char)
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class Form:
    """How a request is filled in. The fields and their values are in `KNOBS`."""

    alphabet: str = "letter"
    share: float = 1.0
    """Length of texts, as a share of what the server allows."""
    word_chars: int = 8
    room: str = "lobby"
    edge: str = "since"
    """Which of the fields that exclude each other has a value."""
    position: str = "newest"
    number: int = 200
    padding_bytes: int = 0
    """Size of a key that the server ignores."""
    in_big_rooms: bool = False
    """Whether the connections are in all big rooms, or in the lobby only."""
    note: NoteKind = NoteKind.EDIT
    scope: str = "all"
    """Which posts a history request or a search is for."""
    asks: bool = False
    """Whether posts are questions."""

    def text(self, bytes_max: int, number: int = 0) -> str:
        """Words of at most `bytes_max` bytes. Texts with other numbers have other words."""
        letters = ALPHABETS[self.alphabet]
        return _words(letters, self.word_chars, max(1, int(bytes_max * self.share)), number % len(letters))

    def post_id(self, epoch: str, last_seq: int) -> str:
        seq = {"newest": last_seq, "middle": last_seq // 2, "oldest": 1}.get(self.position, 2**50)
        return (
            "" if self.position == "none" else f"{'zzzz' if self.position == 'other epoch' else epoch}-{seq}"
        )

    def room_name(self, who: int, number: int) -> str:
        match self.room:
            case "big":
                return "big-0"
            case "each big":
                return f"big-{number % BIG_ROOMS}"
            case "own":
                return f"own-{who}"
            case "new":
                return f"new-{who}-{number}"
        return self.room


WORST_FORMS: dict[str, Form] = {
    "hello": Form(edge="last", room="each big", number=1_000),
    "message": Form(alphabet="random", word_chars=3),
    "note": Form(alphabet="random", word_chars=3),
    "join": Form(edge="last", room="each big", number=1_000),
    "leave": Form(room="each big"),
    "history": Form(room="each big", edge="latest", in_big_rooms=True),
    "search": Form(word_chars=1, alphabet="various"),
    "rename": Form(in_big_rooms=True),
    "topic": Form(share=0.1, room="each big", in_big_rooms=True),
    "away": Form(share=0.01, in_big_rooms=True),
}
"""The most expensive forms found so far; the others are about as costly as the default."""


@dataclass(slots=True)
class World:
    """What the attacker knows of the server."""

    epoch: str = ""
    last_seq: int = 0

    def post_of(self, who: int) -> str:
        """The id of the newest post in the lobby that connection `who` may edit."""
        return f"{self.epoch}-{max(1, self.last_seq - (self.last_seq - 1 - who) % AUTHORS)}"


def requests(kind: str, form: Form, world: World, who: int, number: int) -> list[str]:
    """The `number`-th request of connection `who`, with what has to come before and after it."""
    fields = _fields(COMMANDS[kind], form, world, who, number)
    main = _encode(kind, fields, form)
    room = fields.get("room", "")
    match kind:
        case "join":
            return [main, _encode("leave", {"room": room}, Form())]
        case "leave":
            return [_encode("join", {"room": room, "ref": "j"}, Form()), main]
    return [main]


def _encode(kind: str, fields: dict[str, object], form: Form) -> str:
    padding = {"x": form.text(form.padding_bytes)} if form.padding_bytes else {}
    return json.dumps({"type": kind, **padding, **fields}, ensure_ascii=form.position == "none")


def _fields(
    struct: type[msgspec.Struct], form: Form, world: World, who: int, number: int
) -> dict[str, object]:
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    filled = {field.name: _value(field.name, field.type, form, world, who, number) for field in info.fields}
    filled = {name: value for name, value in filled.items() if value is not None}
    exclusive = EDGES & filled.keys()
    for name in exclusive - {form.edge}:
        del filled[name]
    return filled


def _value(name: str, kind: msgspec.inspect.Type, form: Form, world: World, who: int, number: int) -> object:
    bytes_max = getattr(kind, "max_length", None) or Limits().max_message_bytes
    match name:
        case "room":
            return form.room_name(who, number)
        case "rooms":
            rooms = [form.room_name(who, n) for n in range(BIG_ROOMS)]
            return [{**_fields(commands.RoomRequest, form, world, who, 0), "room": room} for room in rooms]
        case "ref" | "nonce":
            return f"{number}"
        case "token":
            return ""  # an invalid one ends the connection
        case "client_id":
            return f"client-{who}"
        case "name" | "who" | "sender":
            letter = "bcdfghkm"[number % 8]
            return f"{form.text(20)}{letter}{who}{letter}{number}"
        case "message" | "query" | "topic" | "text" | "reason":
            return form.text(bytes_max, number)
        case "since" | "before" | "after" | "around":
            return form.post_id(world.epoch, world.last_seq)
        case "last" | "limit":
            return form.number
        case "seconds":
            return float(form.number)
        case "latest" | "away" | "presence" | "notes" | "epochs":
            return True
        case "re":
            return world.post_of(who)
        case "root":
            return world.post_of(who) if form.scope == "thread" else ""
        case "pinned":
            return form.scope == "pinned"
        case "note":
            return form.note
        case "on":
            return number % 2 == 0
        case "key":
            return ("👍", "🎉", "lgtm")[number % 3]
        case "choice":
            return "ok"
        case "ask":
            return _question(form) if form.asks else None
    raise LookupError(f"no value for the field {name!r}; add one, so that its cost is tested")


def _question(form: Form) -> dict[str, object]:
    """A question with the longest choices to the most people."""
    choices = [f"{number} {form.text(50)}" for number in range(10)]
    return {"choices": choices, "until_s": 600, "to": [f"{form.text(20)}{n}" for n in range(100)]}


# -- one address


class WriteOnlyClient(asyncio.BufferedProtocol):
    """A connection that writes without waiting and discards what it reads."""

    def __init__(self, who: int) -> None:
        self.who = who
        self.head = b""
        self.error_count = 0
        self.greeted = asyncio.Event()
        self.lost = asyncio.Event()
        self._buffer = bytearray(262_144)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.error_count += self._buffer.count(b'"type":"error"', 0, nbytes)
        if not self.greeted.is_set():
            self.head += bytes(self._buffer[:nbytes])
            answers = (b'"type":"welcome"', b'"type":"error"', b"HTTP/1.1 4", b"HTTP/1.1 5")
            if any(answer in self.head for answer in answers):
                self.greeted.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.greeted.set()
        self.lost.set()

    @property
    def is_admitted(self) -> bool:
        return self.head.startswith(b"HTTP/1.1 101") and not self.lost.is_set()

    def send(self, text: str) -> None:
        """Send a frame, unless the server does not read."""
        if not self.transport.is_closing() and self.transport.get_write_buffer_size() < 1_000_000:
            self.transport.write(frame(TEXT, text.encode("utf-8", "surrogatepass")))


def upgrade(address: str) -> bytes:
    """A WebSocket handshake of a v1 client behind a proxy."""
    return (
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: broadcast-tui.v1\r\nX-Forwarded-For: {address}\r\n\r\n"
    ).encode()


async def connect(port: int, address: str, who: int, hello: str) -> WriteOnlyClient:
    """An attacker that has been greeted, or rejected."""
    loop = asyncio.get_running_loop()
    _, attacker = await loop.create_connection(lambda: WriteOnlyClient(who), "127.0.0.1", port)
    attacker.transport.write(upgrade(address) + frame(TEXT, hello.encode()))
    async with asyncio.timeout(PATIENCE_S):
        await attacker.greeted.wait()
    return attacker


def plain_hello(form: Form, who: int) -> str:
    rooms = ["lobby", *(f"big-{n}" for n in range(BIG_ROOMS - 1) if form.in_big_rooms)]
    hello = {"name": f"mallory{who}x", "client_id": f"client-{who}", "rooms": [{"room": r} for r in rooms]}
    return json.dumps({"type": "hello", **hello})


# -- the server


class ServerProcess:
    """A server in a process of its own, measured from outside."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid

    def cpu_s(self) -> float:
        """Processor time of all its threads."""
        return processor_s(self.pid)

    def resident_bytes(self) -> int:
        return resident_bytes(self.pid)

    async def settled(self) -> None:
        """Wait until it has nothing to do, or for a while."""
        before, quiet = self.cpu_s(), 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                while quiet < 3:
                    await asyncio.sleep(0.005)
                    now = self.cpu_s()
                    quiet = quiet + 1 if now - before < 0.0005 and not self._is_running() else 0
                    before = now

    def _is_running(self) -> bool:
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                if (task / "stat").read_text().rpartition(")")[2].split()[0] in "RD":
                    return True
        return False


WORDS = ("e", "er", "the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "is", "watching", "ébène")


def history_posts(lobby_posts: int, rooms: int) -> list[NewPost]:
    """A long lobby, rooms full of long posts, and many rooms."""
    rng = Random(1)
    at = datetime.now(UTC)
    lobby = [
        NewPost(
            "lobby", "ana", " ".join(rng.choices(WORDS, k=12)), at,
            author=author_key("", f"client-{number % AUTHORS}"),
        )
        for number in range(lobby_posts)
    ]  # fmt: skip
    long_text = "e" * 20 + " er" * (LONG_POST_BYTES // 3)
    big = [
        NewPost(f"big-{room}", "ana", f"{number} {long_text}"[:LONG_POST_BYTES], at)
        for room in range(BIG_ROOMS)
        for number in range(BIG_ROOM_POSTS)
    ]
    return [*lobby, *big, *(NewPost(f"room-{number}", "ana", "hello", at) for number in range(rooms))]


async def fill_history(path: Path, lobby_posts: int, rooms: int) -> None:
    """Write a history file."""
    posts = history_posts(lobby_posts, rooms)
    engine = SqliteEngine(path)
    await engine.start()
    try:
        for start in range(0, len(posts), 500):
            await engine.append(posts[start : start + 500])
    finally:
        await engine.close()


SERVE_FROM_MEMORY = r"""
from datetime import UTC, datetime
from broadcast_tui.cli import main
from broadcast_tui.core.post import NewPost
from broadcast_tui.engine.memory import MemoryEngine
from tests.support.hostile_load import history_posts

start = MemoryEngine.start

async def start_filled(engine):
    await start(engine)
    await engine.append(history_posts(0, 0))
    text = "\u00e9" * 1_600
    await engine.append([NewPost("lobby", "ana", text, datetime.now(UTC)) for _ in range(9_000)])

MemoryEngine.start = start_filled
main()
"""
"""A server with `--history memory` whose lobby is full of accents, which are the most expensive to search."""


@asynccontextmanager
async def running_behind_proxy(
    history: Path | None, home: Path, code: str = ""
) -> AsyncIterator[tuple[ServerProcess, Program]]:
    """A server on a copy of the file `history` in `home`, or on a filled history in memory.

    Args:
        code: Python code to run instead of the program, if there is a file.
    """
    storage = "memory"
    if history is not None:
        storage = str(home / "history.db")
        Path(storage).write_bytes(history.read_bytes())
    else:
        code = SERVE_FROM_MEMORY
    async with program(*SERVE_BEHIND_PROXY, "--history", storage, home=home, code=code) as running:
        yield ServerProcess(await running.port(), running.process.pid), running


# -- search


async def most_expensive(
    server: ServerProcess, kind: str, rng: Random, evaluations: int
) -> tuple[Form, float]:
    """The form of a frame type that costs the server the most processor time per request, and that time.

    Tries all values of one knob after another, from the worst form known. Every form is tried from an address
    of its own, so that no limit has been reached before.
    """
    knobs = relevant_knobs(kind)
    best = WORST_FORMS.get(kind, Form())
    best_cost = await cost_s(server, kind, best, random_address(rng))
    while evaluations > 0:
        for knob in rng.sample(knobs, len(knobs)):
            for value in KNOBS[knob]:
                form = replace(best, **{knob: value})
                if form == best or evaluations <= 0:
                    continue
                evaluations -= 1
                cost = await cost_s(server, kind, form, random_address(rng))
                if cost > best_cost:
                    best, best_cost = form, cost
    return best, best_cost


def relevant_knobs(kind: str) -> list[str]:
    fields = set(COMMANDS[kind].__struct_fields__)
    return [knob for knob in KNOBS if knob not in RELEVANT or RELEVANT[knob] & fields]


def random_address(rng: Random) -> str:
    return f"10.{rng.randrange(256)}.{rng.randrange(256)}.1"


async def cost_s(server: ServerProcess, kind: str, form: Form, address: str, count: int = 8) -> float:
    """Processor time of the server per request."""
    world = World()
    hello = plain_hello(form, 99)
    if kind == "hello":
        count, hello = 1, requests(kind, form, await look_around(server.port), 99, 0)[0]
        before = server.cpu_s()
        attacker = await connect(server.port, address, 99, hello)
    else:
        attacker = await connect(server.port, address, 99, hello)
        world = world_of(attacker)
        await server.settled()
        before = server.cpu_s()
        for number in range(count):
            for text in requests(kind, form, world, 99, number):
                attacker.send(text)
    await server.settled()
    cost = (server.cpu_s() - before) / count
    refused = attacker.error_count
    attacker.transport.abort()
    await server.settled()
    # A connection whose requests are invalid is closed soon.
    return cost if refused <= count // 2 else cost / 10


def world_of(attacker: WriteOnlyClient) -> World:
    found = re.search(rb'"room":"lobby","head":"(\w+)-(\d+)"', attacker.head)
    return World(found[1].decode(), int(found[2])) if found else World("e", 1)


async def look_around(port: int) -> World:
    attacker = await connect(port, "10.255.255.1", 98, plain_hello(Form(), 98))
    attacker.transport.abort()
    return world_of(attacker)


# -- attack


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast each connection sends."""

    burst: int
    rate: float


def allowed_pace(kind: str, size_bytes: int) -> Pace:
    """The pace that the limits of a connection allow."""
    limits = Limits()
    if kind in ("message", "note"):
        by_size = limits.byte_rate / max(1, size_bytes)
        burst = min(limits.message_burst, limits.byte_burst // max(1, size_bytes))
        return Pace(burst, min(limits.message_rate, by_size))
    return Pace(int(2 * limits.history_rate), limits.history_rate)


AS_FAST_AS_POSSIBLE = Pace(64, 1_000.0)


async def attack(
    server: ServerProcess, kind: str, form: Form, seconds: float, address: str, pace: Pace | None = None
) -> None:
    """Send requests over all connections that one address may have, for some seconds."""
    world = await look_around(server.port)
    until = asyncio.get_running_loop().time() + seconds
    async with asyncio.TaskGroup() as group:
        for who in range(AdmissionLimits().max_connections_per_ip):
            run = _greet_again if kind == "hello" else _send
            group.create_task(run(server, kind, form, world, who, until, address, pace))


async def _send(
    server: ServerProcess, kind: str, form: Form, world: World, who: int, until: float, address: str,
    pace: Pace | None,
) -> None:  # fmt: skip
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        attacker = await connect(server.port, address, who, plain_hello(form, who))
        if who % 4 == 3:  # some never read the answers
            attacker.transport.pause_reading()
        size = len(requests(kind, form, world, who, 0)[-1])
        chosen = pace or allowed_pace(kind, size)
        due = loop.time() - chosen.burst / chosen.rate
        for number in itertools.count():
            for text in requests(kind, form, world, who, number):
                attacker.send(text)
            due = max(due + 1 / chosen.rate, loop.time() - chosen.burst / chosen.rate)
            await asyncio.sleep(max(0.0, due - loop.time()))
            if loop.time() > until or attacker.transport.is_closing():
                break
        attacker.transport.abort()


async def _greet_again(
    server: ServerProcess, kind: str, form: Form, world: World, who: int, until: float, address: str,
    pace: Pace | None,
) -> None:  # fmt: skip
    """Connect, send a hello, and disconnect, again and again."""
    loop = asyncio.get_running_loop()
    for number in itertools.count():
        with contextlib.suppress(ConnectionError):
            attacker = await connect(
                server.port, address, who, requests("hello", form, world, who, number)[0]
            )
            await asyncio.sleep(0.2)
            attacker.transport.abort()
        if loop.time() > until:
            return


async def flood(server: ServerProcess, data: bytes, seconds: float, address: str) -> None:
    """Write the same frames over and over, over all connections that one address may have."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    form = Form()
    attackers = [
        await connect(server.port, address, who, plain_hello(form, who))
        for who in range(AdmissionLimits().max_connections_per_ip)
    ]
    while loop.time() < until:
        for attacker in attackers:
            if not attacker.transport.is_closing() and not attacker.transport.get_write_buffer_size():
                attacker.transport.write(data)
        await asyncio.sleep(0.01)
    for attacker in attackers:
        attacker.transport.abort()


REQUEST_FLOODS = {
    "GET": ("/", ""),
    "rejected handshake": (
        "/",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://example.org\r\n",
    ),
}
"""Requests that are sent as fast as possible: paths, and headers with line ends."""


async def request_pages(server: ServerProcess, path: str, seconds: float, address: str, headers: str) -> int:
    """Ask for a path over and over, 20 connections at a time; returns the number of answers."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n{headers}\r\n"
    answers = 0

    async def ask() -> None:
        nonlocal answers
        while loop.time() < until:
            async with raw_socket(server.port) as sock:
                with contextlib.suppress(ConnectionError):
                    await sock.send(request.encode("latin-1"))
                    answers += bool(await sock.read_to_end())

    await asyncio.gather(*(ask() for _ in range(20)))
    return answers


# -- everyone else


class Bystanders:
    """A pair in a room of its own: one posts, the other has to receive every post."""

    def __init__(self, room: str, writer: RawSocket, reader: RawSocket) -> None:
        self.latencies_s: list[float] = []
        self._room = room
        self._writer = writer
        self._reader = reader
        self._count = 0

    async def post(self) -> None:
        """Post, and wait until it arrives."""
        loop = asyncio.get_running_loop()
        self._count += 1
        text = f"post {self._count}."
        started = loop.time()
        say = {"type": "message", "message": text, "room": self._room, "nonce": text}
        await self._writer.send_text(json.dumps(say))
        async with asyncio.timeout(PATIENCE_S):
            await _read_until(self._writer, b'"ack"')
            await _read_until(self._reader, text.encode())
        self.latencies_s.append(loop.time() - started)

    async def post_until(self, done: Callable[[], bool], interval_s: float = 0.11) -> None:
        """Post at the allowed rate until `done`."""
        while not done():
            await self.post()
            await asyncio.sleep(interval_s)


async def _read_until(sock: RawSocket, text: bytes) -> None:
    while True:
        opcode, payload = await sock.read_frame()
        if opcode == TEXT and text in payload:
            return
        if opcode == 0x9:
            await sock.send(frame(PONG, payload))
        assert opcode != CLOSE, payload
        assert b'"type":"error"' not in payload, payload


@asynccontextmanager
async def bystanders(port: int, number: int = 0) -> AsyncIterator[Bystanders]:
    """A pair from two addresses."""
    room = f"elsewhere-{number}"
    async with AsyncExitStack() as stack:
        pair: list[RawSocket] = []
        for name in (f"ana{number}", f"ben{number}"):
            sock = await stack.enter_async_context(raw_socket(port))
            address = f"203.0.113.{2 * number + len(pair) + 1}"
            head = await sock.handshake("broadcast-tui.v1", X_Forwarded_For=address)
            assert " 101 " in head
            hello = {"type": "hello", "name": name, "client_id": name, "rooms": [{"room": room}]}
            await sock.send_text(json.dumps(hello))
            await _read_until(sock, b'"welcome"')
            pair.append(sock)
        yield Bystanders(room, *pair)
