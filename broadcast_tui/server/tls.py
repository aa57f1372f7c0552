"""TLS at the server: a certificate that can be changed while it runs, or one made here.

Invariants: TLS 1.2 or newer, no renegotiation; new files are taken whole or not at all; connections
that are open keep what they began with.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from broadcast_tui.core.endpoint import fingerprint
from broadcast_tui.core.errors import BroadcastError

log = logging.getLogger("broadcast_tui.server")


class CertificateError(BroadcastError):
    """The certificate or its key cannot be used; the text says what to change."""


class ServerTls:
    """The certificate in `cert` with the key in `key` (or in the same file), as an SSL context.

    Raises:
        CertificateError: they cannot be read, or do not belong together.
    """

    def __init__(self, cert: Path, key: Path | None = None) -> None:
        self._cert = cert
        self._key = key
        self._current = load_context(cert, key)
        self.fingerprint = fingerprint_of(cert)
        self.context = load_context(cert, key)
        """Give this one to each connection; handshakes continue with what was loaded last."""
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Use the files as they are now for connections to come.

        Raises:
            CertificateError: they cannot be used; everything stays as it was.
        """
        self.read()()

    def read(self) -> Callable[[], None]:
        """Read the files as they are now; what is returned uses them for connections to come.

        Raises:
            CertificateError: they cannot be used.
        """
        fresh, fingerprint = load_context(self._cert, self._key), fingerprint_of(self._cert)

        def put_in_force() -> None:
            self._current, self.fingerprint = fresh, fingerprint
            log.info("the certificate was read again: %s", fingerprint)

        return put_in_force

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def load_context(cert: Path, key: Path | None) -> ssl.SSLContext:
    """An SSL context for servers. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    locked = False

    def password() -> str:
        """Asked for the password of a key; OpenSSL would ask on the terminal."""
        nonlocal locked
        locked = True
        return ""

    try:
        context.load_cert_chain(cert, key, password)
    except ssl.SSLError as error:
        if locked:
            raise CertificateError(
                f"The key {key or cert} has a password; give one without ('openssl pkey' makes it)."
            ) from error
        raise CertificateError(_ssl_sentence(error, cert, key)) from error
    except OSError as error:
        wrong = key if key is not None and _is_readable(cert) else cert
        raise CertificateError(
            f"{wrong} cannot be read: {error.strerror}; see to --tls-cert and --tls-key."
        ) from error
    return context


def fingerprint_of(cert: Path) -> str:
    """The fingerprint of the first certificate in a PEM file.

    Raises:
        CertificateError: there is none.
    """
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    try:
        pem = cert.read_text("ascii", errors="replace")
        first = pem[pem.index(begin) : pem.index(end) + len(end)]
        der = ssl.PEM_cert_to_DER_cert(first)
    except OSError as error:
        raise CertificateError(f"{cert} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CertificateError(f"{cert} is no certificate in PEM form; give another one.") from error
    return fingerprint(der)


def _is_readable(path: Path) -> bool:
    try:
        path.open("rb").close()
    except OSError:
        return False
    return True


def _ssl_sentence(error: ssl.SSLError, cert: Path, key: Path | None) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The key {key or cert} does not belong to the certificate {cert}; give the right pair."
    holder = f"{cert} and {key} are" if key is not None else f"{cert} is"
    return f"{holder} not a certificate and its key in PEM form; give --tls-cert and --tls-key."
