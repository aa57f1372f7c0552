"""Who may come in and how they are kept from listening in: what the options of `serve` make of it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from broadcast_tui.cli.errors import UsageError
from broadcast_tui.cli.server_info import ServerInfo
from broadcast_tui.core.network import is_loopback_host
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.tls import ServerTls, outward_address, self_signed
from broadcast_tui.server.token_store import TokenStore

Auth = Literal["open", "token"]
Tls = Literal["off", "self-signed"]


def data_path() -> Path:
    """Where the servers of this user keep what they keep."""
    return platformdirs.user_data_path("broadcast-tui", appauthor=False)


def tokens_path(given: str) -> Path:
    """The file of tokens: the one given, else that of this user."""
    return Path(given).expanduser().absolute() if given else data_path() / "tokens.json"


@dataclass(frozen=True, slots=True)
class Security:
    """The options, as given."""

    auth: Auth
    tokens: str
    tls: Tls
    tls_cert: str
    tls_key: str

    def authenticator(self) -> TokenAuthenticator:
        return TokenAuthenticator(TokenStore(tokens_path(self.tokens)), needs_token=self.auth == "token")

    def given_certificate(self) -> ServerTls | None:
        """The certificate that the options name, or None if they name none. Makes nothing.

        Raises:
            UsageError: the options do not go together.
            CertificateError: the certificate cannot be used.
        """
        if self.tls_cert:
            if self.tls == "self-signed":
                raise UsageError("Give either --tls self-signed or --tls-cert, not both.")
            key = Path(self.tls_key).expanduser() if self.tls_key else None
            return ServerTls(Path(self.tls_cert).expanduser(), key)
        if self.tls_key:
            raise UsageError("--tls-key needs the certificate as well; give it with --tls-cert.")
        return None

    def server_tls(self, host: str) -> ServerTls | None:
        """The certificate to serve with, or None without TLS; one of our own is made if it is missing.

        Raises:
            UsageError, CertificateError: as `given_certificate`, or ours cannot be had.
        """
        given = self.given_certificate()
        if given is None and self.tls == "self-signed":
            return ServerTls(self_signed(data_path() / "self-signed.pem", host))
        return given

    def record(self, host: str, port: int, tls: ServerTls | None) -> ServerInfo:
        """What `invite` needs to know of the server."""
        pin = tls.fingerprint if tls is not None and self.tls == "self-signed" else ""
        return ServerInfo(
            host=public_host(host),
            port=port,
            secure=tls is not None,
            pin=pin,
            tokens=str(tokens_path(self.tokens)),
            needs_token=self.auth == "token",
        )

    def lines(self, record: ServerInfo) -> list[str]:
        """What to tell whoever starts the server about letting others in."""
        lines = []
        if record.secure:
            lines.append(f"Others join with: broadcast-tui chat '{record.invite()}'")
        if record.needs_token:
            port = f" --port {record.port}" if record.port != 8765 else ""
            lines.append(
                f"Only who has a token comes in: broadcast-tui invite{port} --token NAME makes one for NAME."
            )
        return lines

    def warning(self, host: str, *, secure: bool) -> str:
        """One sentence if what `host` reaches is less closed than it might be, else empty."""
        if is_loopback_host(host):
            return ""
        if self.auth == "open":
            add = "--auth token" if secure else "--auth token --tls self-signed"
            return (
                f"Warning: {host} is reachable from other machines, and anyone who reaches it may read and "
                f"write; close it with 'broadcast-tui serve --host {host} {add}', or keep it to this machine "
                "with --host localhost."
            )
        if not secure:
            return (
                f"Warning: {host} is reachable from other machines, and tokens and posts travel "
                "unencrypted; add --tls self-signed."
            )
        return ""


def public_host(host: str) -> str:
    """What others write for a server that listens on `host`."""
    try:
        unspecified = not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        unspecified = False
    return (outward_address() or "localhost") if unspecified else host
