"""A certificate of the server's own, made once and used again: what clients trust is its fingerprint."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from broadcast_tui.private_file import sole_writer, write_private
from broadcast_tui.server.tls import CertificateError

if TYPE_CHECKING:
    from cryptography import x509

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
                write_private(path, _make([host, *local_names()]))
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


def _make(names: list[str]) -> str:
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
