"""TLS: a certificate that can be reloaded, or a self-signed one.

Invariants: TLS 1.2 or newer, without renegotiation. New files are applied completely or not at all. Open
connections keep their certificate.
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

VALID_DAYS = 3650
_ROUTE_PROBE_ADDRESS = "192.0.2.1"
"""An address that is reserved for documentation (RFC 5737), and routed like any other."""

log = logging.getLogger("broadcast_tui.server")


class CertificateError(BroadcastError):
    """The certificate or its key cannot be used."""


class MissingPackageError(CertificateError):
    """A certificate cannot be created, as an optional package is not installed."""


class ServerTls:
    """SSL context with the certificate in `cert` and its key in `key`, or in the same file.

    Raises:
        CertificateError: They cannot be read, or do not match.
    """

    def __init__(self, cert: Path, key: Path | None = None) -> None:
        self._cert = cert
        self._key = key
        self._current = load_context(cert, key)
        self.fingerprint = fingerprint_of(cert)
        self.context = load_context(cert, key)
        """Context for all connections; their handshakes use the certificate that was loaded last."""
        self.context.sni_callback = self._select_context

    def reload(self) -> None:
        """Reload the files for new connections.

        Raises:
            CertificateError: They cannot be used; nothing has changed.
        """
        self.prepare_reload()()

    def prepare_reload(self) -> Callable[[], None]:
        """Read the files and return a function that applies them to new connections.

        Raises:
            CertificateError: They cannot be used.
        """
        context, fingerprint = load_context(self._cert, self._key), fingerprint_of(self._cert)

        def apply() -> None:
            self._current, self.fingerprint = context, fingerprint
            log.info("reloaded the certificate: %s", fingerprint)

        return apply

    def _select_context(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def load_context(cert: Path, key: Path | None) -> ssl.SSLContext:
    """Create a server context. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    is_encrypted = False

    def password() -> str:
        """Called for an encrypted key, where OpenSSL would prompt on the terminal."""
        nonlocal is_encrypted
        is_encrypted = True
        return ""

    try:
        context.load_cert_chain(cert, key, password)
    except ssl.SSLError as error:
        if is_encrypted:
            raise CertificateError(
                f"The key {key or cert} is encrypted. Decrypt it with 'openssl pkey'."
            ) from error
        raise _key_error(error, cert, key) from error
    except OSError as error:
        unreadable = key if key is not None and _is_readable(cert) else cert
        raise CertificateError(f"Cannot read {unreadable}: {error.strerror}.") from error
    return context


def fingerprint_of(cert: Path) -> str:
    """The fingerprint of the first certificate in a PEM file.

    Raises:
        CertificateError: It cannot be read or contains none.
    """
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    try:
        pem = cert.read_text("ascii", errors="replace")
        first = pem[pem.index(begin) : pem.index(end) + len(end)]
        der = ssl.PEM_cert_to_DER_cert(first)
    except OSError as error:
        raise CertificateError(f"Cannot read {cert}: {error.strerror}.") from error
    except ValueError as error:
        raise CertificateError(f"{cert} is not a certificate in PEM format.") from error
    return fingerprint(der)


def _is_readable(path: Path) -> bool:
    try:
        path.open("rb").close()
    except OSError:
        return False
    return True


def _key_error(error: ssl.SSLError, cert: Path, key: Path | None) -> CertificateError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return CertificateError(f"The key {key or cert} does not match the certificate {cert}.")
    files = f"{cert} and {key} are" if key is not None else f"{cert} is"
    return CertificateError(f"{files} not a certificate and its key in PEM format.")


def self_signed(path: Path, host: str) -> Path:
    """Create a self-signed certificate for `host` and the names of this machine, unless `path` exists.

    Returns:
        `path`, a PEM file with key and certificate.

    Raises:
        CertificateError: It cannot be written, or the package cryptography is not installed.
    """
    if path.exists():
        return path
    try:
        with sole_writer(path):
            if not path.exists():
                write_private(path, _make_certificate([host, *local_names()]))
    except OSError as error:
        raise CertificateError(f"Cannot write {path}: {error.strerror}.") from error
    return path


def local_names() -> list[str]:
    """Names and addresses of this machine, the most useful first. Sends no queries."""
    names = [address for address in (outward_address(),) if address]
    with contextlib.suppress(OSError):
        names.append(socket.gethostname())
        infos = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
        names += [str(info[4][0]).partition("%")[0] for info in infos]
    return list(dict.fromkeys([*names, "localhost", "127.0.0.1", "::1"]))


def outward_address() -> str:
    """The address by which other machines most likely reach this one; empty without a network."""
    # Connecting a datagram socket only looks up the route and sends nothing.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect((_ROUTE_PROBE_ADDRESS, 9))
        return str(probe.getsockname()[0])
    return ""


def _make_certificate(names: list[str]) -> str:
    """Key and certificate in PEM format: P-256, valid for ten years from yesterday, for slow clocks."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError:
        raise MissingPackageError(
            "A self-signed certificate requires the package cryptography. "
            "Run: pip install 'broadcast-tui[tls]'"
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

    general_names: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            with contextlib.suppress(ValueError, UnicodeError):
                general_names.append(x509.DNSName(name.encode("idna").decode()))
        else:
            if not address.is_unspecified:
                general_names.append(x509.IPAddress(address))
    return general_names
