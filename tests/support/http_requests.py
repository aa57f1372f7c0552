"""HTTP requests by raw socket, as no client library sends them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.support.raw_socket import RawSocket, raw_socket


@dataclass(frozen=True)
class Answer:
    """A response: its status, its headers by their names in lower case, and its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(json.loads(self.body)["code"])


def request(method: str, target: str, *lines: str, body: bytes = b"", host: str = "localhost") -> bytes:
    """A request with header lines; with a body, `Content-Length` is added."""
    length = [f"Content-Length: {len(body)}"] if body else []
    hosts = [f"Host: {host}"] if host else []
    head = "\r\n".join((f"{method} {target} HTTP/1.1", *hosts, *lines, *length))
    return head.encode("latin-1") + b"\r\n\r\n" + body


async def read_answer(sock: RawSocket, *, has_body: bool = True) -> Answer:
    """The next response, with a body of known length."""
    head = await sock.read_head()
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await sock.read_exactly(int(headers.get("content-length", "0"))) if has_body else b""
    return Answer(int(first.split()[1]), headers, body)


async def ask(port: int, sent: bytes) -> Answer:
    """The response to a request on a connection of its own."""
    async with raw_socket(port) as sock:
        await sock.send(sent)
        return await read_answer(sock, has_body=not sent.startswith(b"HEAD "))
