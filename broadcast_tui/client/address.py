"""What people write for a server, made into one WebSocket address and a room."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from broadcast_tui.client.security import checked_pin, checked_token
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.names import check_room
from broadcast_tui.core.network import is_loopback_host
from broadcast_tui.core.protocol.handshake import websocket_url
from broadcast_tui.core.redaction import contains_token, redact

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
    pin: str = ""
    """Fingerprint of the server's certificate, if the address was an invite."""
    token: str = field(default="", repr=False)
    """Our token, if the invite had one."""

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
        """Whether the host is this machine."""
        return is_loopback_host(self.host)


def parse_address(text: str) -> Address:
    """`ws://host:port/room`, `host:port`, `host/room`, `:port` or `host`; what is left out has defaults.

    An invite adds `#pin=…` or `#pin=…&token=…`, which stays here: no part of it is sent in a URL.

    Raises:
        AddressError: other scheme than ws or wss, port out of range, user or password or token in it.
        TrustError: the pin or token of an invite is not right.
        Refused: the room breaks the rules for rooms.
    """
    hint = "write it like ws://localhost:8765 or chat.example.org:8765/lobby"
    full = text.strip() if "://" in text.partition("#")[0] else f"ws://{text.strip()}"
    text = redact(text)
    try:
        parts = urlsplit(full)
        port = parts.port
    except ValueError:
        raise AddressError(f"The address {text!r} is not right; {hint}.") from None
    if parts.scheme not in ("ws", "wss"):
        raise AddressError(f"The address {text!r} must begin with ws:// or wss://; {hint}.")
    _refuse_secrets(parts)
    if any(c.isspace() for c in full):
        raise AddressError(f"The address {text!r} is not right; {hint}.")
    room = unquote(parts.path.strip("/")) or DEFAULT_ROOM
    invite = dict(pair.partition("=")[::2] for pair in parts.fragment.split("&"))
    if invite.get("pin") and parts.scheme != "wss":
        raise AddressError("A pin is the fingerprint of a certificate; the address must begin with wss://.")
    return Address(
        parts.hostname or DEFAULT_HOST,
        DEFAULT_PORT if port is None else port,
        check_room(room),
        parts.scheme == "wss",
        checked_pin(unquote(invite["pin"])) if invite.get("pin") else "",
        checked_token(unquote(invite.get("token", ""))),
    )


def _refuse_secrets(parts: SplitResult) -> None:
    """Raises AddressError if there is a secret in what is sent of an address: it ends up in logs."""
    names = {name.casefold() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    sent = unquote(f"{parts.netloc} {parts.path} {parts.query}")
    if "@" in parts.netloc or any("token" in name for name in names) or contains_token(sent):
        raise AddressError(
            "A token or password must not stand in an address, which is logged on its way; write it like "
            "ws://localhost:8765, and give the token with --token-file or in BROADCAST_TUI_TOKEN."
        )
