"""Several connections to one server, and a transcript of every frame that they send and receive.

Values that differ between runs are replaced: times, the log's epoch, the node, delays, long texts. Prose of
errors and system lines is replaced too, so that it may be reworded; only the two lines that the protocol
promises word for word are kept.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

Frame = dict[str, Any]
LIMIT_S = 20.0
V1 = "broadcast-tui.v1"
PROMISED = re.compile(
    r"Welcome! You are now connected to the broadcast server\. \d+ client\(s\) online\."
    r"|A new client has joined the chat\. \d+ client\(s\) online\."
)
"""Texts of system frames that clients may rely on."""
LONG = 200


class Transcript:
    """Connections by name, and `lines` for each frame sent (`>`) or received (`<`), and each close (`x`)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.lines: list[str] = []
        self._sockets: dict[str, ClientConnection] = {}
        self._opened: defaultdict[str, ExitStack] = defaultdict(ExitStack)
        self._listed: tuple[str, ...] = ()
        self._epoch = ""

    # -- connections

    def open(
        self,
        name: str,
        *,
        v1: bool = True,
        token: str = "",
        path: str = "",
        compression: str | None = None,
        offer: Sequence[str] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        """Connect; the server sends nothing to a v1 connection before its hello."""
        offered = [Subprotocol(text) for text in offer or ([V1] if v1 else [])]
        sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        about = {"offers": offered, "headers": sorted(sent), "path": path}
        self._note(name, ">", "CONNECT " + json.dumps({key: value for key, value in about.items() if value}))
        try:
            socket = self._opened[name].enter_context(
                connect(
                    self.url + path,
                    subprotocols=offered or None,
                    compression=compression,
                    additional_headers=sent,
                    open_timeout=LIMIT_S,
                    close_timeout=LIMIT_S,
                    ping_interval=None,
                    max_size=None,
                    max_queue=None,
                    proxy=None,
                )
            )
        except InvalidStatus as refused:
            response = refused.response
            assert response.body, "a refusal says why"
            also = [
                key for key in ("Retry-After", "WWW-Authenticate", "Content-Type") if key in response.headers
            ]
            self._note(name, "x", f"HTTP {response.status_code} {', '.join(also)} <text>")
            return
        assert socket.response is not None
        extensions = socket.response.headers.get("Sec-WebSocket-Extensions", "none")
        self._note(name, "<", f"CONNECTED subprotocol {socket.subprotocol}, extensions {extensions}")
        self._sockets[name] = socket

    def hello(
        self, name: str, *, as_name: str | None = None, rooms: Sequence[Frame] = (), **fields: object
    ) -> Frame:
        """Send hello and read up to the last `synced`; returns the welcome."""
        given: Frame = {"client_id": f"id-of-{name}", **fields}
        called = name if as_name is None else as_name
        given |= {"name": called} if called else {}
        self.send(name, "hello", **given, rooms=list(rooms))
        welcome = self.expect(name, type="welcome")
        for state in welcome["rooms"]:
            self.expect(name, type="synced", room=state["room"])
        return welcome

    def enter(self, name: str, *rooms: str, **fields: Any) -> None:
        """Open a v1 connection named `name` that is in `rooms` and live."""
        self.open(name, token=fields.pop("token", ""))
        self.hello(name, rooms=[{"room": room} for room in rooms], **fields)

    def close(self, *names: str) -> None:
        """Read all pending frames, then close these connections."""
        for name in names:
            self._sockets.pop(name).close()
            self._opened.pop(name).close()
            self._note(name, ">", "CLOSE")

    def drop(self, name: str) -> None:
        """Abort a connection."""
        self._sockets.pop(name).close_socket()
        self._opened.pop(name).close()
        self._note(name, ">", "LOST")

    def closed(self, name: str) -> None:
        """Read until the server closes the connection."""
        socket = self._sockets.pop(name)
        try:
            while True:
                self._received(name, json.loads(socket.recv(LIMIT_S)))
        except ConnectionClosed as end:
            received = end.rcvd
        self._opened.pop(name).close()
        assert received is not None, f"{name} was cut without a close code"
        self._note(name, "x", f"CLOSED {received.code} {'<text>' if received.reason else 'without a reason'}")

    # -- frames

    def send(self, name: str, type: str, /, **fields: object) -> None:
        frame = {"type": type, **fields}
        self._note(name, ">", self._shown(frame))
        self._sockets[name].send(json.dumps(frame))

    def send_raw(self, name: str, data: str | bytes, *, text: bool | None = None) -> None:
        """Send raw data."""
        shown = (
            repr(data)
            if len(data) <= LONG
            else f"<{len(data)} {'bytes' if isinstance(data, bytes) else 'characters'}>"
        )
        self._note(name, ">", f"RAW {'binary ' if isinstance(data, bytes) and not text else ''}{shown}")
        self._sockets[name].send(data, text=text)

    def expect(self, name: str, /, **fields: object) -> Frame:
        """Read up to the next frame that has all of `fields`, and return it."""
        *_, last = self._read(name, fields)
        return last

    def expect_set(self, name: str, *wanted: Frame) -> list[Frame]:
        """Read frames that may arrive in any order; they are recorded in the order of `wanted`."""
        left, found = list(wanted), {}
        while left:
            frame = self._next(name)
            matching = [each for each in left if _has(frame, each)]
            if not matching:
                self._received(name, frame)
                continue
            left.remove(matching[0])
            found[wanted.index(matching[0])] = frame
        frames = [found[index] for index in range(len(wanted))]
        for frame in frames:
            self._received(name, frame)
        return frames

    def ask(self, name: str, type: str, /, **fields: object) -> Frame:
        """Send a request and read up to its answer, which may be an error."""
        fields.setdefault("ref", f"r-{type}")
        self.send(name, type, **fields)
        return self.expect(name, ref=fields["ref"])

    def say(self, name: str, text: str, *, room: str, nonce: str, to: Sequence[str] = ()) -> Frame:
        """Post and wait until it is acknowledged and everyone in `to` has received it; returns the ack."""
        self.send(name, "message", message=text, room=room, nonce=nonce)
        ack, _ = self.expect_set(name, {"type": "ack", "nonce": nonce}, {"type": "message", "nonce": nonce})
        for other in to:
            assert "nonce" not in self.expect(other, type="message", id=ack["id"])
        return ack

    def count(self, name: str, /, **fields: object) -> None:
        """Read up to the next frame that has all of `fields`; record the number of frames of each type."""
        kinds = Counter(
            f"{frame['type']} {frame.get('code', '')}".strip() for frame in self._each(name, fields)
        )
        for kind, number in sorted(kinds.items()):
            self._note(name, "<", f"{number} × {kind}")

    def settle(self, *names: str) -> None:
        """Read all pending frames of v1 connections."""
        for name in names:
            self.ask(name, "list", ref="settle")

    def wait_until_one(self, name: str, person: str, *, room: str) -> None:
        """Wait until `person` has one connection left in `room`; records nothing."""
        left = 0
        while left != 1:
            self._sockets[name].send(json.dumps({"type": "presence", "room": room, "ref": "how many"}))
            *_, answer = self._each(name, {"ref": "how many"})
            [left] = [each["connections"] for each in answer["members"] if each["name"] == person]

    def part(self, heading: str, *, listed: Sequence[str] = ()) -> None:
        """Begin a part of the transcript; room lists are recorded with the rooms in `listed` only."""
        self._listed = (*listed,)
        self.lines += ["", f"# {heading}"]

    def end(self) -> None:
        """Close all open connections; records nothing."""
        for socket in self._sockets.values():
            socket.close_socket()
        for opened in self._opened.values():
            opened.close()

    # -- inside

    def _next(self, name: str) -> Frame:
        try:
            data = self._sockets[name].recv(LIMIT_S)
        except ConnectionClosed as end:
            raise AssertionError(f"{name}: {end}\n" + "\n".join(self.lines[-12:])) from None
        except TimeoutError:
            raise AssertionError(f"{name} received nothing\n" + "\n".join(self.lines[-12:])) from None
        assert isinstance(data, str), "the server sends text frames only"
        frame: Frame = json.loads(data)
        return frame

    def _each(self, name: str, fields: Frame) -> Iterator[Frame]:
        while True:
            frame = self._next(name)
            yield frame
            if _has(frame, fields):
                return

    def _read(self, name: str, fields: Frame) -> Iterator[Frame]:
        for frame in self._each(name, fields):
            self._received(name, frame)
            yield frame

    def _received(self, name: str, frame: Frame) -> None:
        if frame["type"] == "welcome" and not self._epoch:
            self._epoch = frame["rooms"][0]["head"].rpartition("-")[0]
        if frame["type"] == "list":
            # The last people of earlier parts may or may not have left yet.
            frame = {**frame, "rooms": [room for room in frame["rooms"] if room["room"] in self._listed]}
        self._note(name, "<", self._shown(frame))

    def _shown(self, frame: Frame) -> str:
        text = json.dumps(self._stable(frame, "", frame), ensure_ascii=False)
        return text.replace(self._epoch, "EPOCH") if self._epoch else text

    def _stable(self, value: Any, key: str, frame: Frame) -> Any:
        """`value` without parts that differ between runs, and without prose."""
        if isinstance(value, dict):
            ordered = sorted(value.items(), key=lambda item: (item[0] != "type", item[0]))
            return {name: self._stable(part, name, value) for name, part in ordered}
        if isinstance(value, list):
            return [self._stable(part, "", frame) for part in value]
        if key in ("timestamp", "time", "until") and value:
            assert value.endswith("+00:00")
            datetime.fromisoformat(value)
            return "<time>"
        if key == "retry_after" and value is not None:
            assert value > 0
            return "<seconds>"
        if key in ("node", "token"):
            return f"<{key}>"
        if key == "message" and frame.get("type") in ("error", "system") and not PROMISED.fullmatch(value):
            assert value, "an error or system line says something"
            return "<text>"
        if key == "reason" and frame.get("type") == "drain":
            return "<text>"
        if isinstance(value, str) and len(value) > LONG:
            return f"<{len(value)} characters>"
        return value

    def _note(self, name: str, mark: str, text: str) -> None:
        self.lines.append(f"{name} {mark} {text}")


def _has(frame: Frame, fields: Frame) -> bool:
    return all(frame.get(key) == value for key, value in fields.items())


@contextmanager
def transcript(url: str) -> Iterator[Transcript]:
    """A transcript of connections to `url`; they are closed at the end."""
    script = Transcript(url)
    try:
        yield script
    finally:
        script.end()
