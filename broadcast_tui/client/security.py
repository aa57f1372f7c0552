"""Client security: the token, the pinned certificate and the certificate authorities to trust.

Invariants: a token is sent over TLS or to this machine only, unless `insecure_token` is set; with a pin,
only that certificate is trusted, and it is checked before anything is sent.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.protocol.handshake import FINGERPRINT_PREFIX
from broadcast_tui.core.text import log_safe

CLIENT_ID_CHARS = 32
"""Length of a derived client id, 128 bits in hexadecimal."""
PROBE_S = 3.0
TOKEN_CHARS_MAX = 512
INVITE = "use an invite, printed by 'broadcast-tui invite' on the server"


class TrustError(BroadcastError):
    """A token, fingerprint or certificate file is unusable; the text says why."""


class CertificateMismatchError(Exception):
    """The server's certificate does not match the pin."""


def derive_client_id(secret: str, server_key: str) -> str:
    """The client id for a server: constant for one secret and server, and unrelated to those for others.

    A server, or an eavesdropper, therefore cannot use it to impersonate the client elsewhere.

    Args:
        secret: Random, one per installation; never sent.
        server_key: `Address.server_key` of the server.
    """
    digest = hmac.digest(secret.encode(errors="surrogatepass"), server_key.encode(errors="replace"), "sha256")
    return digest.hex()[:CLIENT_ID_CHARS]


@dataclass(slots=True)
class SecurityOptions:
    """The token of a client, and how it verifies the server.

    Raises:
        TrustError: The token or the fingerprint is malformed.
    """

    token: str = field(default="", repr=False)
    pin: str = ""
    """Fingerprint of the only certificate to trust; empty to verify by certificate authorities."""
    ca: Path | None = None
    """PEM file of certificate authorities to trust in place of the system's."""
    insecure_token: bool = False
    """Whether to send the token over unencrypted connections to other machines."""

    def __post_init__(self) -> None:
        self.token = normalize_token(self.token)
        self.pin = normalize_pin(self.pin) if self.pin else ""

    def headers(self) -> dict[str, str]:
        """Headers that carry the token in the handshake. Do not log them."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def context(self) -> ssl.SSLContext:
        """TLS context for `wss://` connections. Raises TrustError if the CA file cannot be read."""
        try:
            context = ssl.create_default_context(cafile=self.ca if not self.pin else None)
        except ssl.SSLError as error:
            raise TrustError(f"The CA file {self.ca} has no certificates in PEM format.") from error
        except OSError as error:
            raise TrustError(f"Cannot read the CA file {self.ca}: {error.strerror}.") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.pin:
            # PinnedConnection compares the certificate itself instead.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def normalize_token(text: str) -> str:
    """Strip white space. Raises TrustError if the text is not a token."""
    token = text.strip()
    if len(token) > TOKEN_CHARS_MAX or not all("!" <= char <= "~" for char in token):
        raise TrustError("Invalid token: it must be one word of ASCII characters. Copy it again.")
    return token


def normalize_pin(text: str) -> str:
    """Convert a fingerprint to its canonical form.

    Accepts standard and URL-safe base64, and hexadecimal with or without colons.

    Raises:
        TrustError: The text is not a SHA-256 fingerprint.
    """
    digits = text.strip().removeprefix(FINGERPRINT_PREFIX)
    plain = digits.replace(":", "")
    try:
        if re.fullmatch("[0-9A-Fa-f]{64}", plain):
            digest = bytes.fromhex(plain)
        else:
            standard = digits.rstrip("=").translate(str.maketrans("-_", "+/"))
            digest = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise TrustError("Invalid pin: not a SHA-256 fingerprint. Copy the whole invite again.")
    return FINGERPRINT_PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_untrusted(error: Exception) -> bool:
    """Whether a TLS handshake failed because no trusted authority signed the certificate."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in (18, 19, 20, 21)


def tls_reason(error: ssl.SSLError | CertificateMismatchError, url: str) -> str:
    """Explain a failed TLS handshake with `url`, and what to do about it."""
    if isinstance(error, CertificateMismatchError):
        return (
            f"the certificate of {url} does not match the invite: it was replaced, or somebody is "
            "intercepting the connection. Get a new invite over a channel you trust, then run "
            f"'broadcast-tui forget {url}' to remove the old fingerprint"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        if is_untrusted(error):
            return f"no trusted authority signed the certificate of {url}; {INVITE}"
        match error.verify_code:
            case 10:
                return f"the certificate of {url} has expired; its operator must renew it"
            case 9:
                return f"the certificate of {url} is not valid yet; check the clocks of both machines"
            case 62 | 64:
                return f"the certificate of {url} is for another host name; use that name, or {INVITE}"
            case _:
                return f"the certificate of {url} is invalid: {log_safe(error.verify_message)}"
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"):
        return f"{url} does not use TLS; write ws:// for an unencrypted connection"
    return f"cannot open an encrypted connection to {url}: {log_safe(error.reason or str(error))}"


async def uses_tls(host: str, port: int) -> bool:
    """Whether the server completes a TLS handshake. Sends nothing else."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return False
    with contextlib.suppress(OSError):
        writer.transport.abort()
    return True
