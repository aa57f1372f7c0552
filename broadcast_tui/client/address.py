"""Parsing of server addresses and invites."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from broadcast_tui.client.security import normalize_pin, normalize_token
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.names import DEFAULT_ROOM, check_room
from broadcast_tui.core.network import is_loopback_host, parse_ip
from broadcast_tui.core.protocol.handshake import websocket_url
from broadcast_tui.core.redaction import contains_token, redact

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 8765
SCHEMES = {"ws": DEFAULT_PORT, "wss": DEFAULT_PORT, "http": 80, "https": 443}
"""Schemes of addresses with their default ports. Those of pages are also opened by browsers."""
PAGE_SCHEMES = ("http", "https")
ROOM_PAGES = "/rooms/"
"""Beginning of the paths of the pages of rooms."""


class AddressError(BroadcastError):
    """The text is not a valid server address."""


class SecretInAddressError(AddressError):
    """The address contains a password or token where it would be sent and logged."""


@dataclass(frozen=True, slots=True)
class Address:
    """Address of a server, and the room to enter."""

    host: str
    port: int
    room: str = DEFAULT_ROOM
    secure: bool = False
    pin: str = ""
    """Fingerprint of the server's certificate; empty unless the address was an invite."""
    token: str = field(default="", repr=False)
    """Token of the invite; may be empty."""
    names_room: bool = field(default=False, compare=False)
    """Whether the room was written, even if it is the default room."""

    @property
    def url(self) -> str:
        """WebSocket URL without the room: `ws://host:port`."""
        return websocket_url(self.host, self.port, secure=self.secure)

    @property
    def link(self) -> str:
        """The address of the room's page, which browsers and `parse_address` understand.

        Pin and token are in the fragment, which is never sent.
        """
        server = self.url.replace("ws", "http", 1)
        return f"{server}{ROOM_PAGES}{quote(self.room, safe='')}{self._fragment}"

    @property
    def invite(self) -> str:
        """The address for `chat`, with pin and token in the fragment, which is never sent."""
        return f"{self.url}/{self.room}{self._fragment}"

    @property
    def command(self) -> str:
        """The shell command with which others join the room."""
        if self.secure or self._fragment:
            return f"broadcast-tui chat '{self.invite}'"
        room = "" if self.room == DEFAULT_ROOM else f"/{self.room}"
        return f"broadcast-tui chat {self.url.removeprefix('ws://')}{room}"

    @property
    def _fragment(self) -> str:
        parts = [f"pin={self.pin}"] if self.pin else []
        parts += [f"token={self.token}"] if self.token else []
        return f"#{'&'.join(parts)}" if parts else ""

    @property
    def server_key(self) -> str:
        """Host and port in one spelling, with or without TLS: `host:port`."""
        host = self.host.casefold().rstrip(".")
        with contextlib.suppress(UnicodeError):
            host = host if host.isascii() else host.encode("idna").decode()
        parsed = parse_ip(host)
        return f"{host if parsed is None else parsed}:{self.port}"

    @property
    def explicit_room(self) -> str:
        """The room; empty if it is only the default."""
        return self.room if self.names_room or self.room != DEFAULT_ROOM else ""

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine."""
        return is_loopback_host(self.host)


def parse_address(text: str) -> Address:
    """Parse `ws://host:port/room`, `host:port`, `host/room`, `:port` or `host`; missing parts get defaults.

    The address of a page, `http://host:port/rooms/room`, is the same with the port 80, or 443 for https, as
    default. An invite adds `#pin=…` or `#pin=…&token=…`. This fragment is never sent.

    Raises:
        AddressError: The scheme is none of `SCHEMES`, the port is out of range, or the text is malformed.
        SecretInAddressError: It contains a user, password or token outside the fragment.
        TrustError: The pin or token of an invite is malformed.
        RequestError: The room name is invalid.
    """
    hint = "Use a form such as ws://localhost:8765 or chat.example.org:8765/lobby."
    full = text.strip() if "://" in text.partition("#")[0] else f"ws://{text.strip()}"
    try:
        parts = urlsplit(full)
        port = parts.port
    except ValueError:
        host = full.partition("://")[2].partition("/")[0].partition("#")[0]
        if parse_ip(host) is not None:
            hint = "Write an IPv6 address in brackets, such as [::1]:8765."
        raise AddressError(f"Invalid address: {_quoted(text)}. {hint}") from None
    if parts.scheme not in SCHEMES:
        raise AddressError(
            f"Address {_quoted(text)} must start with ws://, wss://, http:// or https://. {hint}"
        )
    _reject_secrets(parts)
    if any(c.isspace() for c in full):
        raise AddressError(f"Invalid address: {_quoted(text)}. {hint}")
    path = parts.path
    if parts.scheme in PAGE_SCHEMES and path.strip("/"):
        if not path.startswith(ROOM_PAGES):
            raise AddressError(f"Address {_quoted(text)} is not the page of a room: /rooms/NAME. {hint}")
        path = path.removeprefix(ROOM_PAGES)
    room = unquote(path.strip("/"))
    invite = dict(pair.partition("=")[::2] for pair in parts.fragment.split("&"))
    is_secure = parts.scheme in ("wss", "https")
    if invite.get("pin") and not is_secure:
        raise AddressError("An address with a pin, a certificate fingerprint, must start with wss://.")
    return Address(
        parts.hostname or DEFAULT_HOST,
        SCHEMES[parts.scheme] if port is None else port,
        check_room(room or DEFAULT_ROOM),
        is_secure,
        normalize_pin(unquote(invite["pin"])) if invite.get("pin") else "",
        normalize_token(unquote(invite.get("token", ""))),
        names_room=bool(room),
    )


def _quoted(text: str) -> str:
    """An address as it is shown in an error."""
    return repr(redact(text))


def _reject_secrets(parts: SplitResult) -> None:
    """Reject secrets in the part of an address that is sent: servers and proxies log it."""
    names = {name.casefold() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    sent = unquote(f"{parts.netloc} {parts.path} {parts.query}")
    if "@" in parts.netloc or any("token" in name for name in names) or contains_token(sent):
        raise SecretInAddressError(
            "An address must not contain a token or password, because addresses are logged. "
            "Use a form such as ws://localhost:8765."
        )
