"""A server that sanitizes nothing: it sends hostile text in every field that a client may show.

It speaks `broadcast-tui.v1`, runs in its own threads, and serves one client after another. `HOSTILE` contains
the texts: each tries something else, and may be embedded in any other.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

Frame = dict[str, object]

PATIENCE_S = 20.0
NUMBER = "66613"
"""A parameter of escape sequences that no program sends."""

WRAP_CRASHER = "\u200d\u200d\u2764\ufe0f" + "漢" * 60
"""The line wrapping of Textual 8.2 fails on this word at half of all widths."""

HOSTILE: dict[str, str] = {
    "title": "\x1b]0;EVIL\x07",
    "title ended by ST": "\x1b]2;EVIL\x1b\\",
    "clipboard": "\x1b]52;c;RVZJTA==\x07",
    "link left open": "\x1b]8;;http://EVIL.example/\x1b\\",
    "unterminated OSC": "\x1b]0;EVIL",
    "DCS": "\x1bP$qEVIL\x1b\\",
    "APC": "\x1b_GEVIL\x1b\\",
    "PM and SOS": "\x1b^EVIL\x1b\\\x1bXEVIL\x1b\\",
    "colours": f"\x1b[{NUMBER}m",
    "erasing": f"\x1b[2J\x1b[3J\x1b[1;1H\x1b[{NUMBER}A",
    "questions": "\x1b[6n\x1b[c\x1b[>c\x1b[21t\x1b]11;?\x07\x05",
    "reset": "\x1bc\x1b[!p\x1b(0\x0e\x1b#8",
    "split pairs": "\x1b\x1b[\x1b",
    "C1": f"\x9b{NUMBER}m\x9d0;EVIL\x9c\x90EVIL\x9c\x9eEVIL\x9f\x85\x8d",
    "controls": "".join(map(chr, [*range(0x20), 0x7F])),
    "line ends": "\r\n\n\r\x0b\x0c\x85\u2028\u2029",
    "overprint": "\b\b\b\b\b\b\rEVIL",
    "bidi": "\u202e\u202d\u202b\u202a\u202c\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "invisible": "\u200b\u2060\u2061\u2064\ufeff\u00ad\u034f\u180e\u206a\u206f",
    "tags": "".join(chr(0xE0000 + ord(letter)) for letter in "EVIL") + "\U000e0001\U000e007f",
    "no characters": "\ufffe\uffff\ufdd0\U0001ffff\ue000\U000f0000\U0010fffd\ufff9\ufffb",
    "wrap crasher": WRAP_CRASHER,
    "joiners": "\u200d\u200d\u200d\U0001f469\u200d\u200d\u200d\U0001f469\ufe0f\ufe0f\ufe0f",
    "flags": "\U0001f1e9" * 31 + "\U0001f3f4\U000e0067",
    "zalgo": "Z" + "\u0301\u0489\u0335\u20e3" * 1024,
    "marks on nothing": "\u0301\u0302\u0303",
    "blank": "\u2800\u3164\u115f\u1160\uffa0\u00a0\u3000",
    "odd widths": "\ufdfd\U0001242b\u0bf5\u200c\u200d",
}


def post(seq: int, text: str, sender: str = "mallory", *, nonce: str = "", room: str = "lobby") -> Frame:
    """The post number `seq` of a room."""
    return {
        "type": "message",
        "message": text,
        "sender": sender,
        "timestamp": "2025-08-30T10:30:40.123456+00:00",
        "id": f"k3f9-{seq}",
        "room": room,
        "nonce": nonce,
    }


def system(event: str, text: str, *names: str, **fields: object) -> Frame:
    """A system event about people in the lobby."""
    about: Frame = {"names": list(names)} if names else {}
    return {
        "type": "system",
        "event": event,
        "message": text,
        "timestamp": "2025-08-30T10:30:41+00:00",
        "room": "lobby",
        "online": 3,
        **about,
        **fields,
    }


def error(code: str, text: str, **fields: object) -> Frame:
    return {"type": "error", "code": code, "message": text, **fields}


class HostileServer:
    """Settings for the next client; `send` and `close` affect the connected one."""

    def __init__(self) -> None:
        self.welcome: Frame = {
            "type": "welcome",
            "name": "victim",
            "node": "n1",
            "time": "2025-08-30T10:30:40+00:00",
            "ping": 25.0,
            "limits": {"message_bytes": 0, "rate": 0.0, "burst": 0, "page": 200, "rooms": 16},
            "rooms": [{"room": "lobby", "head": "k3f9-0", "recovered": True, "missed": 0, "online": 3}],
        }
        self.greeting: list[Frame] = []
        """Sent between `welcome` and `synced`."""
        self.denial: Frame | None = None
        """Sent instead of the welcome."""
        self.refusal: tuple[HTTPStatus, str] | None = None
        """Status and body of the response to every handshake."""
        self.members: list[str] = []
        self.answers: dict[str, Callable[[Frame], list[Frame]]] = {}
        """Answers to frames of a type."""
        self.port = 0
        self._clients: queue.Queue[ServerConnection] = queue.Queue()
        self._client: ServerConnection | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def client(self) -> ServerConnection:
        """The client that was welcomed last; waits for the first."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._client = self._clients.get_nowait()
        if self._client is None:
            self._client = self._clients.get(timeout=PATIENCE_S)
        return self._client

    def send(self, *frames: Frame | str) -> None:
        """Send frames unchanged; a string is one frame, JSON or not."""
        for frame in frames:
            self.client.send(frame if isinstance(frame, str) else json.dumps(frame))

    def close(self, code: int, reason: str) -> None:
        """Close the client's connection; the next client to connect replaces it."""
        self.client.close(code, reason)
        self._client = None

    def handle(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            for data in connection:
                for answer in self._answer(json.loads(data)):
                    connection.send(json.dumps(answer))
                    if answer is self.welcome:
                        self._clients.put(connection)

    def _answer(self, frame: Frame) -> list[Frame]:
        kind = str(frame.get("type"))
        if kind in self.answers:
            return self.answers[kind](frame)
        if kind == "hello":
            synced: Frame = {"type": "synced", "room": "lobby", "id": "k3f9-0"}
            return [self.denial] if self.denial else [self.welcome, *self.greeting, synced]
        if kind == "presence":
            members = [{"name": name, "connections": 1} for name in self.members]
            listed: Frame = {"room": "lobby", "online": len(members), "members": members, "truncated": False}
            return [{"type": "presence", "ref": frame["ref"], **listed}]
        return []

    def check(self, connection: ServerConnection, request: Request) -> Response | None:
        """Reject a handshake if `refusal` is set."""
        if self.refusal is None:
            return None
        status, body = self.refusal[0], self.refusal[1].encode()
        headers = Headers({"Content-Length": str(len(body)), "Content-Type": "text/plain"})
        return Response(status.value, status.phrase, headers, body)


@contextmanager
def hostile_server() -> Iterator[HostileServer]:
    """A hostile server on 127.0.0.1 and a free port."""
    hostile = HostileServer()
    listening = serve(
        hostile.handle,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol("broadcast-tui.v1")],
        process_request=hostile.check,
        compression=None,
        ping_interval=None,
        close_timeout=1.0,
    )
    with listening as server:
        hostile.port = int(server.socket.getsockname()[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield hostile
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)
