"""Data that `serve` saves for `invite`, `token` and `hook`: the server last started on a port."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path

import msgspec
import platformdirs

from broadcast_tui.cli.errors import UsageError
from broadcast_tui.client.address import DEFAULT_PORT, Address
from broadcast_tui.core.names import DEFAULT_ROOM
from broadcast_tui.private_file import write_private

KNOWN_MAX = 10
"""Maximum number of servers to look for."""
ANSWER_S = 0.5


def data_path() -> Path:
    """Directory for the data of this user's servers."""
    return platformdirs.user_data_path("broadcast-tui", appauthor=False)


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

    @classmethod
    def known(cls, directory: Path) -> list[ServerInfo]:
        """The servers last started on each port, the newest first; at most `KNOWN_MAX`."""
        files = [(_started_at(path), path) for path in directory.glob("server-*.json")]
        ports = [path.stem.removeprefix("server-") for _, path in sorted(files, reverse=True)]
        found = [cls.load(directory, int(port)) for port in ports[:KNOWN_MAX] if port.isdecimal()]
        return [info for info in found if info is not None]

    def is_running(self) -> bool:
        """Whether something listens at its address; takes at most `ANSWER_S`."""
        try:
            socket.create_connection((self.host, self.port), timeout=ANSWER_S).close()
        except OSError:
            return False
        return True


def choose_port(directory: Path, port: int | None) -> int:
    """The given port, or that of the only server that runs on this machine, or of the last one that ran.

    The default port if no server is known, or if it is one of several.

    Raises UsageError if several servers run, and none on the default port.
    """
    if port is not None:
        return port
    known = ServerInfo.known(directory)
    running = [info.port for info in known if info.is_running()]
    ports = running or [info.port for info in known[:1]]
    if not ports or DEFAULT_PORT in ports:
        return DEFAULT_PORT
    if len(ports) > 1:
        raise UsageError(f"Several servers run on this machine: choose one with --port {_choices(ports)}.")
    return ports[0]


def find_server(directory: Path, port: int | None) -> ServerInfo:
    """The server on a port of this machine, or on the port that `choose_port` returns.

    Raises UsageError if no server was started there.
    """
    port = choose_port(directory, port)
    info = ServerInfo.load(directory, port)
    if info is None:
        raise UsageError(f"No server was started on port {port}. Use --port, or run 'broadcast-tui serve'.")
    return info


def check_host(text: str, option: str = "--host") -> str:
    """The value of an option, a host name or address without brackets; may be empty.

    Raises UsageError if it is invalid.
    """
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not re.fullmatch(r"[\w.-]*", text):
            advice = f" Write the port with {option.replace('host', 'port')}." if ":" in text else ""
            raise UsageError(f"{option}: Invalid host name or address: {text!r}.{advice}") from None
        return text
    return host


def _choices(ports: list[int]) -> str:
    *others, last = map(str, sorted(ports))
    return f"{', '.join(others)} or {last}"


def _started_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _path(directory: Path, port: int) -> Path:
    return directory / f"server-{port}.json"
