"""Client security: where the token is sent, and which certificates are trusted."""

from __future__ import annotations

import base64
import hashlib
import logging
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.client import BroadcastClient, ConnectError, SecurityOptions, TrustError, Unauthorized
from broadcast_tui.client.security import derive_client_id, normalize_pin, normalize_token
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.protocol.handshake import fingerprint
from broadcast_tui.core.session.updates import ConnectionState, DisconnectCause
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.tls import ServerTls, self_signed
from broadcast_tui.server.token_store import TokenStore
from tests.client.watching import Watcher
from tests.support.certificates import Authority
from tests.support.plain import plain_client
from tests.support.running import eventually, in_time, running_server

WRONG = "bt_" + "wrong" * 8


async def error_of(url: str, security: SecurityOptions | None = None) -> ConnectError:
    """The error of a client that does not retry; its text is one line."""
    client = BroadcastClient(url, name="ana", security=security)
    with pytest.raises(ConnectError) as failed:
        await in_time(client.connect(retry=True))
    assert "\n" not in str(failed.value)
    return failed.value


async def reason_of(url: str, security: SecurityOptions | None = None) -> str:
    """The text of that error."""
    return str(await error_of(url, security))


# -- client ids


def test_client_ids_of_servers_are_unrelated_and_constant() -> None:
    servers = [f"chat{number}.example:8765" for number in range(50)]
    ids = [derive_client_id("secret", server) for server in servers]
    assert ids == [derive_client_id("secret", server) for server in servers]
    assert len({*ids, derive_client_id("other", servers[0])}) == 51
    assert all(len(each) == 32 and int(each, 16) >= 0 and "secret" not in each for each in ids)


async def test_servers_never_see_the_secret_or_the_same_id() -> None:
    secret, seen = "0123456789abcdef" * 2, []
    for _ in range(2):
        async with running_server() as server:
            for _ in range(2):
                async with BroadcastClient(server.url, name="ana", client_id=secret):
                    [peer] = server._runner.hub.peers.values()
                    seen.append(peer.client_id)
                await eventually(lambda server=server: not server._runner.hub.peers)  # type: ignore[misc]
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert secret not in seen
    assert {len(each) for each in seen} == {32}


# -- tokens


async def test_token_sets_the_name(tmp_path: Path) -> None:
    book = TokenStore(tmp_path / "tokens.json")
    token, _ = book.create("ana", Role.MEMBER, None)
    async with (
        running_server(authenticator=TokenAuthenticator(book, needs_token=True)) as server,
        BroadcastClient("127.0.0.1", server.port, name="ben", token=token) as client,
    ):
        assert client.name == "ana"
        await in_time(client.post("lobby", "hi"))


@pytest.mark.parametrize("token", ["", WRONG], ids=["none", "wrong"])
async def test_invalid_token_is_rejected_and_can_be_replaced(tmp_path: Path, token: str) -> None:
    book = TokenStore(tmp_path / "tokens.json")
    right, _ = book.create("ana", Role.MEMBER, None)
    async with running_server(authenticator=TokenAuthenticator(book, needs_token=True)) as server:
        with pytest.raises(Unauthorized, match="token"):
            await in_time(BroadcastClient("127.0.0.1", server.port, token=token).connect())
        client = BroadcastClient("127.0.0.1", server.port, name="ana", token=token)
        watcher = Watcher(client)
        client.start()
        refused = await watcher.state(ConnectionState.REFUSED)
        assert refused.cause is DisconnectCause.UNAUTHORIZED
        assert "token" in refused.reason
        client.authenticate(f" {right}\n")
        assert (await watcher.state(ConnectionState.ONLINE)).cause is DisconnectCause.OTHER
        book.revoke("ana")
        assert (await watcher.state(ConnectionState.REFUSED)).cause is DisconnectCause.UNAUTHORIZED
        await client.close()


async def test_other_rejections_are_not_unauthorized() -> None:
    async with running_server() as server, plain_client(server.url) as ben:
        await ben.say("hi", sender="ben")
        client = BroadcastClient("127.0.0.1", server.port, name="ben")
        watcher = Watcher(client)
        client.start()
        assert (await watcher.state(ConnectionState.REFUSED)).cause is DisconnectCause.OTHER
        await client.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "127.evil.example", "evil.localhost"])
async def test_token_is_sent_to_other_machines_over_tls_only(host: str) -> None:
    security = SecurityOptions(token=WRONG)
    error = await error_of(f"ws://{host}:9", security)
    assert "wss://" in str(error)
    assert error.cause is DisconnectCause.UNENCRYPTED_TOKEN
    assert WRONG not in str(error)


async def test_insecure_token_option_allows_unencrypted_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server(authenticator=None) as server:
        monkeypatch.setattr("broadcast_tui.client.address.Address.is_local", False)
        error = await error_of(server.url, SecurityOptions(token=WRONG))
        assert error.cause is DisconnectCause.UNENCRYPTED_TOKEN
        async with BroadcastClient(
            server.url, security=SecurityOptions(token=WRONG, insecure_token=True)
        ) as client:
            assert client.state is ConnectionState.ONLINE


def test_token_is_not_in_the_representation() -> None:
    security = SecurityOptions(token=WRONG)
    assert WRONG not in repr(security)


async def test_client_never_logs_the_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="broadcast_tui.websockets.client")
    book = TokenStore(tmp_path / "tokens.json")
    token, _ = book.create("ana", Role.MEMBER, None)
    async with running_server(authenticator=TokenAuthenticator(book, needs_token=True)) as server:
        async with BroadcastClient("127.0.0.1", server.port, token=token) as client:
            await in_time(client.post("lobby", "hi"))
        await reason_of(server.url, SecurityOptions(token=token[:-1]))
    assert caplog.records
    assert token[3:-1] not in caplog.text


@pytest.mark.parametrize("text", ["two words", "a\nb: c", "é", "x" * 513, "\x1b[31m"])
def test_malformed_token_is_rejected(text: str) -> None:
    with pytest.raises(TrustError, match="Invalid token"):
        normalize_token(text)


@given(st.text())
def test_normalized_token_is_valid_in_a_header(text: str) -> None:
    try:
        token = normalize_token(text)
    except TrustError:
        return
    assert token.isascii()
    assert not token or token.isprintable()
    assert normalize_token(token) == token


# -- fingerprints


@given(st.binary(max_size=100))
def test_fingerprint_is_parsed_in_all_notations(certificate: bytes) -> None:
    digest = hashlib.sha256(certificate)
    pin = fingerprint(certificate)
    written = [
        pin,
        pin.removeprefix("sha256:"),
        "sha256:" + base64.b64encode(digest.digest()).decode(),
        "sha256:" + digest.hexdigest(),
        digest.hexdigest().upper(),
        ":".join(digest.hexdigest()[start : start + 2] for start in range(0, 64, 2)),
    ]
    assert {normalize_pin(text) for text in written} == {pin}


@pytest.mark.parametrize(
    "text", ["sha256:", "x", "sha256:" + "A" * 42, "sha256:" + "A" * 44, "sha1:" + "A" * 43]
)
def test_malformed_fingerprint_is_rejected(text: str) -> None:
    with pytest.raises(TrustError, match="Copy the whole invite"):
        normalize_pin(text)


async def test_pinned_certificate_needs_no_authority(tmp_path: Path) -> None:
    tls = ServerTls(self_signed(tmp_path / "self-signed.pem", "elsewhere"))
    async with (
        running_server(tls=tls) as server,
        BroadcastClient(f"{server.url}/lobby#pin={tls.fingerprint}", name="ana") as client,
    ):
        await in_time(client.post("lobby", "hi"))


async def test_changed_certificate_is_rejected_before_sending(tmp_path: Path) -> None:
    tls = ServerTls(self_signed(tmp_path / "old.pem", "localhost"))
    other = ServerTls(self_signed(tmp_path / "new.pem", "localhost"))
    asked: list[object] = []
    async with running_server(tls=other) as server:
        server._admission.process_request = lambda *request: asked.append(request)  # type: ignore[method-assign]
        reason = await reason_of(server.url, SecurityOptions(token=WRONG, pin=tls.fingerprint))
    assert "does not match the invite" in reason
    assert "new invite" in reason
    assert asked == []


# -- authorities


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def serving(authority: Authority, *names: str, days: tuple[int, int] = (-1, 1)) -> ServerTls:
    pair = authority.issue("server", *names, days=days)
    return ServerTls(pair.cert, pair.key)


async def test_given_authority_is_trusted(authority: Authority) -> None:
    async with (
        running_server(tls=serving(authority, "127.0.0.1")) as server,
        BroadcastClient(server.url, name="ana", security=SecurityOptions(ca=authority.ca)) as client,
    ):
        assert client.state is ConnectionState.ONLINE


@pytest.mark.parametrize(
    ("names", "days", "given_ca", "says"),
    [
        (("127.0.0.1",), (-1, 1), False, "no trusted authority signed"),
        (("example.org",), (-1, 1), True, "for another host name"),
        (("192.0.2.1",), (-1, 1), True, "for another host name"),
        (("127.0.0.1",), (-3, -1), True, "has expired"),
        (("127.0.0.1",), (1, 2), True, "not valid yet"),
    ],
)
async def test_invalid_certificate_is_rejected_with_advice(
    authority: Authority, names: tuple[str, ...], days: tuple[int, int], given_ca: bool, says: str
) -> None:
    async with running_server(tls=serving(authority, *names, days=days)) as server:
        reason = await reason_of(
            server.url, SecurityOptions(token=WRONG, ca=authority.ca if given_ca else None)
        )
    assert says in reason
    assert server.url in reason


async def test_self_signed_certificate_without_a_pin_recommends_an_invite(tmp_path: Path) -> None:
    async with running_server(tls=ServerTls(self_signed(tmp_path / "self.pem", "localhost"))) as server:
        error = await error_of(server.url)
    assert "invite" in str(error)
    assert error.cause is DisconnectCause.UNTRUSTED_CERTIFICATE


async def test_mismatch_of_tls_and_plain_is_reported(
    authority: Authority,
) -> None:
    async with running_server() as server:
        assert "does not use TLS" in await reason_of(server.url.replace("ws://", "wss://"))
    async with running_server(tls=serving(authority, "127.0.0.1")) as server:
        reason = await reason_of(server.url.replace("wss://", "ws://"))
    assert "uses TLS" in reason
    assert "wss://" in reason


async def test_unreadable_ca_file_is_reported(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "empty.pem").touch()
    async with running_server(tls=serving(authority, "127.0.0.1")) as server:
        for name in ("missing.pem", "empty.pem"):
            assert name in await reason_of(server.url, SecurityOptions(ca=tmp_path / name))


def test_context_requires_tls_1_2_and_verification() -> None:
    context = SecurityOptions().context()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
