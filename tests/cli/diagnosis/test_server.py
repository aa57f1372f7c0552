"""`doctor` and servers: each cause of a failure is named, with what to do about it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from broadcast_tui.cli.diagnosis import Check, Status
from broadcast_tui.cli.diagnosis.server import check_server, clock_check
from broadcast_tui.client import SecurityOptions
from broadcast_tui.client.address import parse_address
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.tls import ServerTls
from broadcast_tui.server.token_store import TokenStore
from tests.support.certificates import Authority, Pair
from tests.support.plain import v1_client
from tests.support.ports import unused_port
from tests.support.running import PATIENCE_S, running_server

LIMIT_S = 15.0


async def checks_of(
    url: str, *, is_wanted: bool = True, limit_s: float = LIMIT_S, **options: object
) -> dict[str, Check]:
    """The results about a server, by id."""
    address = parse_address(url)
    security = SecurityOptions(address.token, address.pin, **options)  # type: ignore[arg-type]
    found: dict[str, Check] = {}

    def report(check: Check) -> None:
        assert check.id not in found
        assert "\n" not in check.text + check.advice
        assert check.advice or check.status in (Status.OK, Status.SKIPPED)
        found[check.id] = check

    await check_server(address, security, report, is_wanted=is_wanted, limit_s=limit_s)
    return found


def only_failure(found: dict[str, Check]) -> Check:
    """The last result, which is the only failure."""
    [failure] = [check for check in found.values() if check.status is Status.FAILED]
    assert failure is [*found.values()][-1]
    return failure


@asynccontextmanager
async def tls_server(pair: Pair) -> AsyncIterator[str]:
    async with running_server(tls=ServerTls(pair.cert, pair.key)) as server:
        yield server.url


async def test_a_server_without_faults() -> None:
    async with running_server() as server:
        found = await checks_of(server.url)
    assert list(found) == ["tcp", "websocket", "token", "latency", "clock", "origin"]
    assert {check.status for check in found.values()} == {Status.OK}


async def test_a_host_name_is_looked_up() -> None:
    async with running_server() as server:
        found = await checks_of(server.url.replace("127.0.0.1", "localhost"))
    assert "127.0.0.1" in found["dns"].text


async def test_nobody_is_announced() -> None:
    async with running_server() as server, v1_client(server.url, "bob") as bob:
        assert "clock" in await checks_of(server.url)
        await bob.say("hello", nonce="1")
        frames = await bob.until(type="ack")
    assert not [frame for frame in frames if frame["type"] in ("system", "presence")]


async def test_a_missing_server_is_a_failure_only_if_the_user_asked_for_it() -> None:
    url = f"ws://127.0.0.1:{unused_port()}"
    failure = only_failure(await checks_of(url))
    assert (failure.id, "connection refused" in failure.text) == ("tcp", True)
    assert "broadcast-tui chat --serve" in failure.advice
    found = await checks_of(url, is_wanted=False)
    assert found["tcp"].status is Status.SKIPPED


async def test_an_unknown_host() -> None:
    failure = only_failure(await checks_of("ws://no-such-host.invalid"))
    assert (failure.id, "no-such-host.invalid" in failure.text) == ("dns", True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_trusted_certificate(authority: Authority) -> None:
    async with tls_server(authority.issue("server", "127.0.0.1", days=(-1, 60))) as url:
        found = await checks_of(url, ca=authority.ca)
    until = datetime.now(UTC) + timedelta(days=60)
    assert found["tls"].status is Status.OK
    assert f"valid until {until:%Y}" in found["tls"].text
    assert "clock" in found


async def test_a_certificate_that_expires_soon(authority: Authority) -> None:
    async with tls_server(authority.issue("server", "127.0.0.1", days=(-1, 5))) as url:
        found = await checks_of(url, ca=authority.ca)
    assert (found["tls"].status, "clock" in found) == (Status.WARNING, True)
    assert "renew" in found["tls"].advice


@pytest.mark.parametrize(
    ("names", "days", "reason", "advice"),
    [
        (("127.0.0.1",), (-3, -2), "has expired", "dates of both machines"),
        (("127.0.0.1",), (2, 3), "not valid yet", "dates of both machines"),
        (("chat.example.org",), (-1, 60), "another host name", "host name that the certificate contains"),
    ],
)
async def test_an_invalid_certificate(
    authority: Authority, names: tuple[str, ...], days: tuple[int, int], reason: str, advice: str
) -> None:
    async with tls_server(authority.issue("server", *names, days=days)) as url:
        failure = only_failure(await checks_of(url, ca=authority.ca))
    assert failure.id == "tls"
    assert reason in failure.text
    assert advice in failure.advice


async def test_a_certificate_of_nobody_we_trust(authority: Authority) -> None:
    async with tls_server(authority.issue("server", "127.0.0.1")) as url:
        failure = only_failure(await checks_of(url))
    assert "no trusted authority" in failure.text.casefold()
    assert "--ca" in failure.advice


async def test_a_pin(authority: Authority) -> None:
    tls = ServerTls((pair := authority.issue("server", "x.example", days=(-3, -2))).cert, pair.key)
    async with running_server(tls=tls) as server:
        found = await checks_of(f"{server.url}#pin={tls.fingerprint}")
        assert found["tls"].status is Status.WARNING
        assert "expired" in found["tls"].text
        assert "clock" in found
        failure = only_failure(await checks_of(f"{server.url}#pin=sha256:{'A' * 43}"))
    assert "does not match the invite" in failure.text


async def test_a_server_without_tls() -> None:
    async with running_server() as server:
        failure = only_failure(await checks_of(server.url.replace("ws://", "wss://")))
    assert (failure.id, "does not use TLS" in failure.text) == ("tls", True)
    assert "ws://127.0.0.1" in failure.advice


async def test_an_address_without_tls(authority: Authority) -> None:
    async with tls_server(authority.issue("server", "127.0.0.1")) as url:
        failure = only_failure(await checks_of(url.replace("wss://", "ws://")))
    assert failure.text.startswith("ws://")
    assert "uses TLS; write wss://" in failure.text
    assert "invite" in failure.advice


async def test_tokens(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    token, _ = store.create("mia", Role.MEMBER, None)
    async with running_server(authenticator=TokenAuthenticator(store, needs_token=True)) as server:
        found = await checks_of(f"{server.url}#token={token}")
        assert found["token"].text == "The token is accepted, as mia"
        refused = await checks_of(f"{server.url}#token={token[:-4]}AAAA")
        missing = await checks_of(server.url)
    for failure in (only_failure(refused), only_failure(missing)):
        assert failure.id == "token"
        assert "--token-file" in failure.advice
    texts = [check.text + check.advice for checks in (found, refused) for check in checks.values()]
    assert not any(token[:-8] in text for text in texts)


async def test_a_token_is_not_sent_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server() as server:
        monkeypatch.setattr("broadcast_tui.client.address.Address.is_local", False)
        failure = only_failure(await checks_of(f"{server.url}#token=abc"))
    assert (failure.id, "unencrypted" in failure.text) == ("token", True)


async def test_another_websocket_server() -> None:
    async def greet(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(greet, "127.0.0.1", 0) as other:
        port = next(iter(other.sockets)).getsockname()[1]
        failure = only_failure(await checks_of(f"ws://127.0.0.1:{port}"))
    assert (failure.id, "broadcast-tui.v1" in failure.text) == ("websocket", True)
    assert "Sec-WebSocket-Protocol" in failure.advice


@asynccontextmanager
async def raw_server(answer: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        answer(writer)

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_proxy_that_passes_on_no_websockets() -> None:
    def refuse(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with raw_server(refuse) as url:
        failure = only_failure(await checks_of(url))
    assert "502" in failure.text
    assert "proxy" in failure.advice


async def test_a_silent_server_is_given_up() -> None:
    writers: list[asyncio.StreamWriter] = []
    async with raw_server(writers.append) as url:
        failure = only_failure(await checks_of(url, limit_s=0.2))
        for writer in writers:
            writer.close()
    assert "not answer" in failure.text


async def test_clocks_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    class FastClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(minutes=20, seconds=30)

    async with running_server() as server:
        monkeypatch.setattr("broadcast_tui.cli.diagnosis.server.datetime", FastClock)
        clock = (await checks_of(server.url))["clock"]
    assert clock.status is Status.WARNING
    assert clock.text == "This machine's clock is 20 min ahead of the server's"
    assert "timedatectl" in clock.advice


@pytest.mark.parametrize(
    ("theirs", "status", "text"),
    [
        ("2026-05-01T12:00:00Z", Status.OK, "differ by 0.0 s"),
        ("2026-05-01T12:00:04+00:00", Status.OK, "differ by 4.0 s"),
        ("2026-05-01T14:00:00Z", Status.WARNING, "2 h behind"),
        ("2026-05-01T12:00:00", Status.SKIPPED, "does not say"),
        ("soon", Status.SKIPPED, "does not say"),
    ],
)
def test_clock(theirs: str, status: Status, text: str) -> None:
    check = clock_check(theirs, datetime(2026, 5, 1, 12, tzinfo=UTC))
    assert (check.status, text in check.text) == (status, True)


async def test_a_proxy_that_changes_the_host_keeps_browsers_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "broadcast_tui.cli.diagnosis.server.Address.link", "https://chat.example.org/rooms/lobby"
    )
    async with running_server() as server:
        found = await checks_of(server.url)
    assert found["origin"].status is Status.WARNING
    assert "Web pages from this origin" in found["origin"].text
    assert "--origin https://chat.example.org" in found["origin"].advice


async def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def hang(*_: object, **__: object) -> None:
        asked.wait(PATIENCE_S)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    failure = only_failure(await checks_of("ws://chat.example.org", limit_s=0.1))
    asked.set()
    assert (failure.id, "No answer about the name" in failure.text) == ("dns", True)


async def test_a_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://me:hunter2@127.0.0.1:{unused_port()}")
    monkeypatch.setenv("no_proxy", "")
    found = await checks_of("wss://chat.example.org")
    assert found["proxy"].text.startswith("Connections go through the proxy http://127.0.0.1:")
    assert only_failure(found).id == "websocket"
    assert not any("hunter2" in check.text + check.advice for check in found.values())
