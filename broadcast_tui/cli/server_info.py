"""Data that `serve` saves for `invite`: address and fingerprint of the server last started on a port."""

from __future__ import annotations

from pathlib import Path

import msgspec

from broadcast_tui.client.address import Address
from broadcast_tui.core.limits import DEFAULT_ROOM
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

    def address(self, *, host: str = "", room: str = DEFAULT_ROOM, token: str = "") -> Address:
        """The address at which others join, by default at the host that the server listens on."""
        return Address(host or self.host, self.port, room, self.secure, self.pin, token)

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
