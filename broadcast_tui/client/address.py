"""What people write for a server, made into one WebSocket address and a room."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from broadcast_tui.core.endpoint import websocket_url
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.names import check_room

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 8765


class AddressError(BroadcastError):
    """What was given is no address of a server; the caller's fault."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and the room to enter there."""

    host: str
    port: int
    room: str = DEFAULT_ROOM
    secure: bool = False

    @property
    def url(self) -> str:
        """The WebSocket address, without the room: `ws://host:port`."""
        return websocket_url(self.host, self.port, secure=self.secure)

    @property
    def wanted_room(self) -> str:
        """The room, if it is another than the one that is meant when none is given; else empty."""
        return "" if self.room == DEFAULT_ROOM else self.room

    @property
    def is_local(self) -> bool:
        """Whether it is this machine by its name."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


def parse_address(text: str) -> Address:
    """`ws://host:port/room`, `host:port`, `host/room`, `:port` or `host`; what is left out has defaults.

    Raises:
        AddressError: other scheme than ws or wss, port out of range, user or password in it.
        Refused: the room breaks the rules for rooms.
    """
    hint = "write it like ws://localhost:8765 or chat.example.org:8765/lobby"
    full = text.strip() if "://" in text else f"ws://{text.strip()}"
    try:
        parts = urlsplit(full)
        port = parts.port
    except ValueError:
        raise AddressError(f"The address {text!r} is not right; {hint}.") from None
    if parts.scheme not in ("ws", "wss"):
        raise AddressError(f"The address {text!r} must begin with ws:// or wss://; {hint}.")
    if parts.username is not None or parts.password is not None or any(c.isspace() for c in full):
        raise AddressError(f"The address {text!r} is not right; {hint}.")
    room = unquote(parts.path.strip("/")) or DEFAULT_ROOM
    return Address(
        parts.hostname or DEFAULT_HOST,
        DEFAULT_PORT if port is None else port,
        check_room(room),
        parts.scheme == "wss",
    )
