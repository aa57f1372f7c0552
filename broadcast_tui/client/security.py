"""Whom to believe and what to show them: our token, and how the server proves that it is the right one.

Invariants: a token goes over TLS or stays on this machine, unless the user says otherwise; with a
fingerprint exactly that certificate is trusted, and it is checked before anything is sent.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.protocol.handshake import FINGERPRINT_PREFIX
from broadcast_tui.core.text import log_safe

PROBE_S = 3.0
TOKEN_CHARS_MAX = 512
INVITE = "use the invite that 'broadcast-tui invite' prints there"


class TrustError(BroadcastError):
    """A token, a fingerprint or a file of certificates that cannot be used; the text says what to change."""


class CertificateMismatchError(Exception):
    """The server's certificate is not the one that is trusted."""


@dataclass(slots=True)
class SecurityOptions:
    """What a client trusts and is trusted with.

    Raises:
        TrustError: the token or the fingerprint has a form that none has.
    """

    token: str = field(default="", repr=False)
    pin: str = ""
    """Fingerprint of the one certificate to trust; empty: whatever the authorities vouch for."""
    ca: Path | None = None
    """PEM file of the authorities to trust instead of the system's."""
    insecure_token: bool = False
    """Send the token over unencrypted connections to other machines too."""

    def __post_init__(self) -> None:
        self.token = checked_token(self.token)
        self.pin = checked_pin(self.pin) if self.pin else ""

    def headers(self) -> dict[str, str]:
        """What the handshake carries of the token; for nobody's log."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def context(self) -> ssl.SSLContext:
        """For connections by `wss://`. Raises TrustError if the authorities cannot be read."""
        try:
            context = ssl.create_default_context(cafile=self.ca if not self.pin else None)
        except ssl.SSLError as error:
            raise TrustError(f"--ca: {self.ca} has no certificates in PEM form.") from error
        except OSError as error:
            raise TrustError(f"--ca: {self.ca} cannot be read: {error.strerror}.") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.pin:
            # Instead, `pinned.PinnedConnection` compares the certificate itself.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def checked_token(text: str) -> str:
    """A token without the white space around it. Raises TrustError if it could not be sent."""
    token = text.strip()
    if len(token) > TOKEN_CHARS_MAX or not all("!" <= char <= "~" for char in token):
        raise TrustError("This is no token: it must be one word of ASCII characters; copy it again.")
    return token


def checked_pin(text: str) -> str:
    """A fingerprint in its one form, from base64 of either alphabet or hexadecimal with or without colons.

    Raises:
        TrustError: it is no SHA-256 fingerprint.
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
        raise TrustError("The pin is no SHA-256 fingerprint; copy the whole invite again.")
    return FINGERPRINT_PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def tls_reason(error: ssl.SSLError | CertificateMismatchError, url: str) -> str:
    """Why there is no TLS with `url`, and what to do about it."""
    if isinstance(error, CertificateMismatchError):
        return (
            f"the certificate of {url} is not the one of the invite: the server has a new one, or somebody "
            "listens in. Ask for a new invite, and compare it by other means; "
            f"'broadcast-tui forget {url}' forgets the old one"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        match error.verify_code:
            case 18 | 19 | 20 | 21:
                return f"no authority vouches for the certificate of {url}; {INVITE}, or --ca FILE"
            case 10:
                return f"the certificate of {url} has expired; whoever runs it must renew it"
            case 9:
                return f"the certificate of {url} is not valid yet; is the clock right on both machines?"
            case 62 | 64:
                return f"the certificate of {url} is for another name; write the name it is for, or {INVITE}"
            case _:
                return f"the certificate of {url} is not good: {log_safe(error.verify_message)}"
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"):
        return f"{url} does not speak TLS; write ws:// if that is meant to be so"
    return f"no encrypted connection to {url} can be made: {log_safe(error.reason or str(error))}"


async def speaks_tls(host: str, port: int) -> bool:
    """Whether what listens there makes a TLS connection; nothing is sent over it."""
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
