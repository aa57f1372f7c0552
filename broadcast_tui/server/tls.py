"""TLS at the server: a certificate that can be changed while it runs, or one made here.

Invariants: TLS 1.2 or newer, no renegotiation; new files are taken whole or not at all; connections
that are open keep what they began with.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.protocol.handshake import fingerprint
from broadcast_tui.private_file import sole_writer, write_private

if TYPE_CHECKING:
    from cryptography import x509


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

        def apply() -> None:
            self._current, self.fingerprint = fresh, fingerprint
            log.info("the certificate was read again: %s", fingerprint)

        return apply

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


VALID_DAYS = 3650


DOCUMENTATION_NET = "192.0.2.1"


def self_signed(path: Path, host: str) -> Path:
    """`path`, a PEM file with key and certificate for this machine's names and `host`; made if missing.

    Raises:
        CertificateError: it cannot be written, or what makes certificates is not installed.
    """
    if path.exists():
        return path
    try:
        with sole_writer(path):
            if not path.exists():
                write_private(path, _make_certificate([host, *local_names()]))
    except OSError as error:
        raise CertificateError(
            f"{path} cannot be written: {error.strerror}; see to its directory."
        ) from error
    return path


def local_names() -> list[str]:
    """Names and addresses under which this machine may be reached, the most useful first; asks no server."""
    names = [address for address in (outward_address(),) if address]
    with contextlib.suppress(OSError):
        names.append(socket.gethostname())
        infos = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
        names += [str(info[4][0]).partition("%")[0] for info in infos]
    return list(dict.fromkeys([*names, "localhost", "127.0.0.1", "::1"]))


def outward_address() -> str:
    """The address other machines most likely reach this one by; empty without a network."""
    # Connecting a datagram socket sends nothing: it only looks up the route.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect((DOCUMENTATION_NET, 9))
        return str(probe.getsockname()[0])
    return ""


def _make_certificate(names: list[str]) -> str:
    """Key and certificate in PEM form: P-256, for ten years, since yesterday for clocks that are behind."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError:
        raise CertificateError(
            "Making a certificate needs the package cryptography; run pip install 'broadcast-tui[tls]', "
            "or give a certificate with --tls-cert and --tls-key."
        ) from None
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broadcast-tui")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return secret.decode() + certificate.public_bytes(serialization.Encoding.PEM).decode()


def _alternative_names(names: list[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            with contextlib.suppress(ValueError, UnicodeError):
                found.append(x509.DNSName(name.encode("idna").decode()))
        else:
            if not address.is_unspecified:
                found.append(x509.IPAddress(address))
    return found
