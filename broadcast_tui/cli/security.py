"""Access control and TLS of a server, from the options of `serve`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from broadcast_tui.cli.errors import UsageError
from broadcast_tui.cli.server_info import ServerInfo, data_path
from broadcast_tui.core.network import is_loopback_host
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.hook_store import Hooks, HookStore
from broadcast_tui.server.tls import (
    CertificateError,
    MissingPackageError,
    ServerTls,
    outward_address,
    self_signed,
)
from broadcast_tui.server.token_store import Tokens, TokenStore

Auth = Literal["open", "token"]
Tls = Literal["off", "self-signed"]


def tokens_path(given: str) -> Path:
    """Path of the token file: the given one, or the default of this user."""
    return Path(given).expanduser().absolute() if given else data_path() / "tokens.json"


def hooks_path(tokens: str) -> Path:
    """Path of the file with hooks, beside the token file that is given or the default."""
    return tokens_path(tokens).with_suffix(".hooks.json")


@dataclass(frozen=True, slots=True)
class Security:
    """Security options of `serve`."""

    auth: Auth
    tokens: str
    tls: Tls
    tls_cert: str
    tls_key: str

    def authenticator(self, tokens: Tokens | None = None, hooks: Hooks | None = None) -> TokenAuthenticator:
        """Authenticates the given tokens and hooks, by default those in the files."""
        return TokenAuthenticator(
            tokens if tokens is not None else TokenStore(tokens_path(self.tokens)),
            needs_token=self.auth == "token",
            hooks=hooks if hooks is not None else HookStore(hooks_path(self.tokens)),
        )

    def given_certificate(self) -> ServerTls | None:
        """The certificate given by the options; None if there is none. Creates nothing.

        Raises:
            UsageError: The options contradict each other.
            CertificateError: The certificate is unusable.
        """
        if self.tls_cert:
            if self.tls == "self-signed":
                raise UsageError("Use either --tls self-signed or --tls-cert, not both.")
            key = Path(self.tls_key).expanduser() if self.tls_key else None
            return ServerTls(Path(self.tls_cert).expanduser(), key)
        if self.tls_key:
            raise UsageError("--tls-key requires --tls-cert.")
        return None

    def server_tls(self, host: str) -> ServerTls | None:
        """The certificate to use; None without TLS. Creates the self-signed certificate if it is missing.

        Raises:
            UsageError, CertificateError: As `given_certificate`, or the certificate cannot be created.
        """
        given = self.given_certificate()
        if given is not None or self.tls != "self-signed":
            return given
        try:
            return ServerTls(self_signed(data_path() / "self-signed.pem", host))
        except MissingPackageError:
            raise
        except CertificateError as error:  # about a file that no option names
            raise UsageError(f"--tls self-signed: {error}") from error

    def info(self, host: str, port: int, tls: ServerTls | None, shared_tokens: str = "") -> ServerInfo:
        """The data that `invite` needs."""
        pin = tls.fingerprint if tls is not None and self.tls == "self-signed" else ""
        return ServerInfo(
            host=public_host(host),
            port=port,
            secure=tls is not None,
            pin=pin,
            tokens=shared_tokens or str(tokens_path(self.tokens)),
            needs_token=self.auth == "token",
        )

    def lines(self, info: ServerInfo) -> list[str]:
        """Lines for the operator about how others join."""
        lines = []
        if is_loopback_host(info.host) and not info.secure:
            lines.append(f"Join from this machine with: {info.address().command}")
        else:
            lines.append(f"Others join with: {info.address().command}")
        if info.needs_token:
            port = f" --port {info.port}" if info.port != 8765 else ""
            lines.append(
                f"A token is required to join. Create one with: broadcast-tui invite{port} --token NAME"
            )
        return lines

    def warning(self, host: str, *, secure: bool) -> str:
        """A warning if the server is reachable from other machines without token or TLS; else empty."""
        if is_loopback_host(host):
            return ""
        if self.auth == "open":
            add = "--auth token" if secure else "--auth token --tls self-signed"
            return (
                f"Warning: {host} is reachable from other machines, and anyone can read and write. "
                f"Restrict access with 'broadcast-tui serve --host {host} {add}', or listen on this machine "
                "only with --host localhost."
            )
        if not secure:
            return (
                f"Warning: {host} is reachable from other machines, and tokens and posts are sent "
                "unencrypted. Encrypt with --tls self-signed."
            )
        return ""


def network_host(host: str) -> str:
    """The host to listen on for others in the network: the given one unless it is `localhost`.

    Raises UsageError if this machine has no address in a network.
    """
    if host.casefold() != "localhost":
        return host
    if not (address := outward_address()):
        raise UsageError("--qr: This machine has no address in a network. Use --host to choose one.")
    return address


def public_host(host: str) -> str:
    """The host that others use for a server that listens on `host`."""
    try:
        unspecified = not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        unspecified = False
    return (outward_address() or "localhost") if unspecified else host
