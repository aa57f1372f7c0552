"""`python tests/benchmarks/flood_server.py`: a chat server of one client, told on stdin what to post.

It speaks `broadcast-tui.v1` on one port and IRC on another, prints both, and then takes lines:

    post COUNT LAST     post at once; LAST is the text of the last one. "posting" is printed before it
    rate COUNT          go on posting so many a second
    stop LAST           no more of that, and a last post
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from broadcast_tui.core.protocol.codec import frame

TICK_S = 0.005
WORDS = """
the quick brown fox jumps over a lazy dog while nobody is watching and then goes home to read about it
deploy build failed again but why who knows maybe later today see https://example.org/some/page?with=query
"""
FOREIGN_WORDS = "naïve café 漢字 日本語です 😀 🎉 Größe"
FOREIGN_SHARE = 0.09
WORDS_OF_POST = (2, 4, 6, 8, 10, 12, 16, 35)

Write = Callable[[bytes], object]


class Room:
    """The posts, whoever reads them. The same each time."""

    def __init__(self) -> None:
        dice, words, foreign = random.Random(1), WORDS.split(), FOREIGN_WORDS.split()
        self._texts: list[str] = []
        for _ in range(997):
            chosen = dice.choices(words, k=dice.choice(WORDS_OF_POST))
            if dice.random() < FOREIGN_SHARE:
                chosen[::3] = dice.choices(foreign, k=len(chosen[::3]))
            self._texts.append(" ".join(chosen))
        self._seq = 0
        self._rate = 0.0
        self._owed = 0.0
        self.write: Write | None = None
        self.encode: Callable[[int, str, str], bytes] = encode_frame

    def post(self, count: int, last: str = "") -> None:
        data = bytearray()
        for n in range(count):
            self._seq += 1
            text = last if last and n == count - 1 else f"{self._seq} {self._texts[self._seq % 997]}"
            data += self.encode(self._seq, f"user{self._seq * 7 % 23}", text)
        if self.write is not None:
            if last:
                print("posting", flush=True)
            self.write(bytes(data))

    def obey(self, line: str) -> None:
        """Do what one line of input says."""
        order, *words = line.split()
        if order == "post":
            self.post(int(words[0]), words[1])
        elif order == "rate":
            self._rate = float(words[0])
        elif order == "stop":
            self._rate = 0.0
            self.post(1, words[0])

    async def go_on(self) -> None:
        """Post at the rate that is wanted."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            self._owed += self._rate * (now - before)
            before = now
            if self._owed >= 1:
                self.post(int(self._owed))
                self._owed -= int(self._owed)


def encode_frame(seq: int, sender: str, text: str) -> bytes:
    post = {
        "type": "message",
        "message": text,
        "sender": sender,
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds"),
        "id": f"k3f9-{seq}",
        "room": "lobby",
    }
    return frame(json.dumps(post).encode())


def encode_line(seq: int, sender: str, text: str) -> bytes:
    return f":{sender}!u@example.org PRIVMSG #lobby :{text}\r\n".encode()


async def speak_v1(room: Room, connection: ServerConnection) -> None:
    async for data in connection:
        asked = json.loads(data)
        match asked["type"]:
            case "hello":
                place = {"room": "lobby", "head": "k3f9-0", "recovered": True, "missed": 0, "online": 3}
                welcome = {
                    "type": "welcome",
                    "name": "ana",
                    "node": "n1",
                    "time": datetime.now(UTC).isoformat(),
                    "ping": 25.0,
                    "limits": {"message_bytes": 16384, "rate": 0.0, "burst": 0, "page": 200, "rooms": 16},
                    "rooms": [place],
                }
                await connection.send(json.dumps(welcome))
                await connection.send(json.dumps({"type": "synced", "room": "lobby", "id": "k3f9-0"}))
                room.encode, room.write = encode_frame, connection.transport.write
                print("ready", flush=True)
            case "presence":
                members = [{"name": name, "connections": 1} for name in ("ana", "bob", "cleo")]
                answer = {"type": "presence", "ref": asked["ref"], "room": "lobby", "online": 3}
                await connection.send(json.dumps({**answer, "members": members, "truncated": False}))


async def speak_irc(room: Room, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    def say(text: str) -> None:
        writer.write(f"{text}\r\n".encode())

    while line := (await reader.readline()).decode().split():
        match line[0].upper():
            case "USER":
                for number in ("001", "376"):
                    say(f":irc.example.org {number} ana :Welcome")
            case "PING":
                say(f":irc.example.org PONG irc.example.org {line[1]}")
            case "CAP":
                if line[1] == "LS":
                    say(":irc.example.org CAP * LS :")
            case "JOIN":
                say(f":ana!u@example.org JOIN {line[1]}")
                say(f":irc.example.org 353 ana = {line[1]} :ana bob cleo")
                say(f":irc.example.org 366 ana {line[1]} :End")
                room.encode, room.write = encode_line, writer.write
                print("ready", flush=True)


async def main() -> None:
    room = Room()
    loop = asyncio.get_running_loop()

    async def v1(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await speak_v1(room, connection)

    async def irc(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await speak_irc(room, reader, writer)

    protocols = [Subprotocol("broadcast-tui.v1")]
    server = await serve(v1, "127.0.0.1", 0, subprotocols=protocols, compression=None, ping_interval=None)
    irc_server = await asyncio.start_server(irc, "127.0.0.1", 0)
    ports = [next(iter(each.sockets)).getsockname()[1] for each in (server, irc_server)]
    print(*ports, flush=True)
    posting = loop.create_task(room.go_on())
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        room.obey(line)
    posting.cancel()


if __name__ == "__main__":
    asyncio.run(main())
