"""TLS: versions, reloaded certificates, and peers that stall or use another protocol."""

from __future__ import annotations

import asyncio
import logging
import ssl
import stat
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from broadcast_tui.cli.errors import with_advice
from broadcast_tui.core.limits import AdmissionLimits, Limits
from broadcast_tui.core.protocol.handshake import fingerprint
from broadcast_tui.server import tls as making
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.tls import CertificateError, ServerTls, fingerprint_of, self_signed
from broadcast_tui.server.token_store import TokenFileError, TokenStore
from tests.support.certificates import Authority, private_pem
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import raw_socket
from tests.support.running import eventually, in_time, running_server, waiting_bytes

TEXT_16K = "x" * 16_000
BOUND_BYTES = 1_000_000
QUICK = AdmissionLimits(handshake_timeout_s=2.0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.ca)


def serving(authority: Authority, label: str = "server") -> ServerTls:
    pair = authority.issue(label, "localhost", "127.0.0.1")
    return ServerTls(pair.cert, pair.key)


async def certificate_at(port: int) -> bytes:
    """The current certificate, in DER form, requested without SNI."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await in_time(asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=""))
    try:
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found
    finally:
        writer.transport.abort()


async def test_both_kinds_of_client_chat_over_tls(authority: Authority) -> None:
    trusted = trusting(authority)
    async with (
        running_server(tls=serving(authority)) as server,
        v1_client(server.url, "ana", tls=trusted) as ana,
        plain_client(server.url, tls=trusted) as ben,
    ):
        assert server.url.startswith("wss://")
        await ana.say("hi", nonce="n")
        assert (await ben.next_of(type="message"))["message"] == "hi"
        await ben.say("y" * 15_000, sender="ben")
        await ana.next_of(message="y" * 15_000)


@pytest.mark.parametrize(
    ("version", "taken"),
    [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)],
)
async def test_tls_1_2_is_the_minimum_version(authority: Authority, version: str, taken: bool) -> None:
    context = trusting(authority)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = getattr(ssl.TLSVersion, version)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    async with running_server(tls=serving(authority)) as server:
        connecting = asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        if not taken:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await in_time(connecting)
            return
        _, writer = await in_time(connecting)
        assert writer.get_extra_info("ssl_object").version() == version.replace("_", ".")
        writer.transport.abort()


def test_renegotiation_and_compression_are_off(authority: Authority) -> None:
    tls = serving(authority)
    for context in (tls.context, tls._current):
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


# -- peers that stall


async def test_stalled_tls_handshake_is_dropped(authority: Authority) -> None:
    """It is dropped at the handshake timeout, and the others chat meanwhile."""
    trusted = trusting(authority)
    async with (
        running_server(tls=serving(authority), admission=QUICK) as server,
        raw_socket(server.port) as stalled,
    ):
        hello = client_hello()
        await stalled.send(hello[: len(hello) // 2])
        async with (
            v1_client(server.url, "ana", tls=trusted) as ana,
            v1_client(server.url, tls=trusted) as ben,
        ):
            await ana.say("hi", nonce="n")
            await ben.next_of(message="hi")
            assert server.connection_count == 2
        async with asyncio.timeout(15):
            await stalled.read_to_end()


async def test_stalled_peer_after_tls_handshake_is_dropped(authority: Authority) -> None:
    async with running_server(tls=serving(authority), admission=QUICK) as server:
        reader, writer = await in_time(
            asyncio.open_connection("127.0.0.1", server.port, ssl=trusting(authority))
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        async with asyncio.timeout(15):
            await reader.read()
        writer.transport.abort()


async def test_tls_peer_that_never_reads_has_a_bounded_cost(
    authority: Authority,
) -> None:
    trusted = trusting(authority)
    limits = Limits(message_rate=0, stall_timeout_s=1.0)
    async with (
        running_server(tls=serving(authority), limits=limits) as server,
        plain_client(server.url, tls=trusted) as deaf,
        v1_client(server.url, "ana", tls=trusted) as ana,
        v1_client(server.url, "ben", tls=trusted) as ben,
    ):
        deaf.socket.transport.pause_reading()
        worst = number = 0
        while server.connection_count == 3:
            await ana.say(f"{number} {TEXT_16K}", nonce=f"n{number}")
            got = await ben.next_of(type="message")
            assert got["message"].startswith(f"{number} ")
            worst = max(worst, waiting_bytes(server))
            number += 1
        assert 0 < worst < BOUND_BYTES
        deaf.drop()


def client_hello() -> bytes:
    """The first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def test_plain_http_on_the_tls_port_is_closed_at_once(authority: Authority) -> None:
    async with running_server(tls=serving(authority)) as server, raw_socket(server.port) as sock:
        await sock.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"101" not in await sock.read_to_end()


async def test_tls_on_the_plain_port_fails_at_once() -> None:
    async with running_server() as server:
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError, match=r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE"):
            await in_time(asyncio.open_connection("127.0.0.1", server.port, ssl=context))
        async with raw_socket(server.port) as sock:
            await sock.send(client_hello())
            assert b"ws://" in await sock.read_to_end()


# -- another certificate while it runs


async def test_a_changed_certificate_is_used_after_reload_and_open_connections_stay(
    authority: Authority, tmp_path: Path
) -> None:
    tls, trusted = serving(authority, "server"), trusting(authority)
    async with running_server(tls=tls) as server, v1_client(server.url, "ana", tls=trusted) as ana:
        before = await certificate_at(server.port)
        assert fingerprint(before) == tls.fingerprint
        authority.issue("server", "localhost", "127.0.0.1")
        assert await certificate_at(server.port) == before
        server.reload()
        after = await certificate_at(server.port)
        assert after != before
        assert fingerprint(after) == tls.fingerprint
        await ana.say("still here", nonce="n")
        await ana.next_of(type="ack")
        async with v1_client(server.url, "ben", tls=trusted):
            pass


async def test_invalid_token_file_blocks_a_new_certificate(authority: Authority, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    authenticator = TokenAuthenticator(TokenStore(tokens), needs_token=False)
    async with running_server(tls=serving(authority), authenticator=authenticator) as server:
        before = await certificate_at(server.port)
        authority.issue("server", "localhost", "127.0.0.1")
        tokens.write_text("broken")
        with pytest.raises(TokenFileError):
            server.reload_security()
        assert await certificate_at(server.port) == before
        tokens.write_text("{}")
        server.reload_security()()
        assert await certificate_at(server.port) != before


@pytest.mark.parametrize("what", ["nonsense", "other key", "missing"])
async def test_invalid_new_certificate_is_logged_and_not_applied(
    authority: Authority, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    tls = serving(authority)
    async with running_server(tls=tls) as server:
        before = await certificate_at(server.port)
        match what:
            case "nonsense":
                (tmp_path / "server.pem").write_text("nonsense")
            case "other key":
                (tmp_path / "server.key").write_bytes(authority.issue("other", "x").key.read_bytes())
            case "missing":
                (tmp_path / "server.key").unlink()
        with caplog.at_level(logging.ERROR):
            server.reload()
        [record] = caplog.records
        assert "cannot reload" in record.getMessage()
        assert "\n" not in record.getMessage()
        assert await certificate_at(server.port) == before
        async with v1_client(server.url, "ana", tls=trusting(authority)):
            pass


def test_certificate_errors_name_the_file(authority: Authority, tmp_path: Path) -> None:
    good = authority.issue("good", "localhost")
    other = authority.issue("other", "localhost")
    locked = tmp_path / "locked.key"
    locked.write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1()), b"secret"))
    empty = tmp_path / "empty.pem"
    empty.touch()
    missing = tmp_path / "missing.pem"
    for cert, key, named in (
        (good.cert, other.key, "other.key does not match"),
        (good.cert, locked, "locked.key is encrypted"),
        (good.cert, missing, "Cannot read .*missing.pem"),
        (missing, good.key, "Cannot read .*missing.pem"),
        (good.cert, None, "not a certificate and its key"),
        (empty, None, "not a certificate and its key"),
    ):
        with pytest.raises(CertificateError, match=named) as failed:
            ServerTls(cert, key)
        assert "\n" not in str(failed.value)


# -- a certificate of our own


def test_self_signed_certificate_is_created_once_and_private(
    tmp_path: Path,
) -> None:
    path = self_signed(tmp_path / "new" / "self-signed.pem", "chat.example.org")
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    pem = path.read_bytes()
    certificate = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERT") :])
    years = (certificate.not_valid_after_utc - datetime.now(UTC)).days / 365
    assert 9.9 < years < 10.1
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"chat.example.org", "localhost"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "::1"} <= {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}
    assert self_signed(path, "other.example.org").read_bytes() == pem, "it is used again"
    assert ServerTls(path).fingerprint == fingerprint_of(path)


async def test_a_self_signed_certificate_can_be_trusted_by_its_file(tmp_path: Path) -> None:
    path = self_signed(tmp_path / "self-signed.pem", "localhost")
    trusted = ssl.create_default_context(cafile=path)
    async with (
        running_server(tls=ServerTls(path)) as server,
        v1_client(server.url, "ana", tls=trusted),
    ):
        assert server.connection_count == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "bad name", "xn--", "é" * 300])
def test_invalid_host_names_are_omitted_from_the_certificate(tmp_path: Path, host: str) -> None:
    assert ServerTls(self_signed(tmp_path / "self-signed.pem", host)).fingerprint


def test_missing_cryptography_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(CertificateError, match=r"pip install 'broadcast-tui\[tls\]'") as caught:
        self_signed(tmp_path / "self-signed.pem", "localhost")
    assert with_advice(caught.value) == str(caught.value)


def test_without_a_network_there_is_no_outward_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_ROUTE_PROBE_ADDRESS", "not an address")
    assert making.outward_address() == ""
    assert "localhost" in making.local_names()


async def test_waiting_for_stalled_peers_ends(authority: Authority) -> None:
    """A server with half-open TLS connections stops in time."""
    async with running_server(tls=serving(authority)) as server, raw_socket(server.port) as stalled:
        await stalled.send(client_hello()[:10])
        await in_time(server.stop_server())
        await eventually(lambda: server.connection_count == 0)
