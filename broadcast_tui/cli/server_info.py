"""Data that `serve` saves for `invite`: address and fingerprint of the server last started on a port."""

from __future__ import annotations

from pathlib import Path

import msgspec

from broadcast_tui.client.address import Address
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.protocol.handshake import websocket_url
from broadcast_tui.private_file import write_private


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`pin` is the fingerprint of a self-signed certificate, else empty; `tokens` is a path, or a location of
    Redis without user and password."""

    host: str
    port: int
    secure: bool
    pin: str
    tokens: str
    needs_token: bool

    def invite(self, *, host: str = "", room: str = DEFAULT_ROOM, token: str = "") -> str:
        """The address for `chat`. Its fragment (after `#`) is never sent."""
        url = f"{websocket_url(host or self.host, self.port, secure=self.secure)}/{room}"
        parts = [f"pin={self.pin}"] if self.pin else []
        if token:
            parts.append(f"token={token}")
        return f"{url}#{'&'.join(parts)}" if parts else url

    def link(self, *, host: str = "", room: str = DEFAULT_ROOM, token: str = "") -> str:
        """The link for browsers and `chat`; see `Address.link`."""
        return Address(host or self.host, self.port, room, self.secure, self.pin, token).link

    def save(self, directory: Path) -> None:
        """Save to `directory`. Raises OSError."""
        write_private(_path(directory, self.port), msgspec.json.encode(self).decode() + "\n")

    @classmethod
    def load(cls, directory: Path, port: int) -> ServerInfo | None:
        """Load the data for a port; None if it does not exist or is unreadable."""
        try:
            return msgspec.json.decode(_path(directory, port).read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError, ValueError):
            return None


def _path(directory: Path, port: int) -> Path:
    return directory / f"server-{port}.json"
