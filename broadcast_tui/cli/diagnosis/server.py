"""Checks of a server, from its name to the first frame: each uses what the one before has found."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from broadcast_tui.cli.diagnosis import Check, Report, failed, ok, skipped, warning
from broadcast_tui.client import SecurityOptions, TrustError
from broadcast_tui.client.address import Address
from broadcast_tui.client.connection import open_socket
from broadcast_tui.client.disconnect import Disconnect
from broadcast_tui.client.frame_connection import FrameConnection
from broadcast_tui.client.security import tls_reason
from broadcast_tui.core.clock import format_duration
from broadcast_tui.core.errors import BroadcastError, CloseCode
from broadcast_tui.core.names import DEFAULT_ROOM
from broadcast_tui.core.network import parse_ip
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import decode_event, encode
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL, fingerprint
from broadcast_tui.core.session.updates import DisconnectCause
from broadcast_tui.core.text import log_safe, visible_line

STEP_S = 5.0
"""Longest duration of each step."""
EXPIRY_DAYS = 14
"""Remaining days of a certificate from which it is time to renew it."""
CLOCK_S = 5.0
"""Difference to the server's clock from which times in the chat look wrong."""
PINGS = 3
SLOW_MS = 500
LOBBY = commands.RoomRequest(DEFAULT_ROOM, last=0)
"""The room that connections without another one enter, without its posts."""
OVERLOADED = "Try again: the line or the server may be overloaded."
TOKEN_ADVICE = "Ask the operator for an invite or a token, and pass the token with --token-file FILE."


async def check_server(
    address: Address, security: SecurityOptions, report: Report, *, is_wanted: bool, limit_s: float = STEP_S
) -> None:
    """Check the server at `address`; stops at the first failure, which explains all that follows.

    Args:
        is_wanted: Whether the user has asked about this server. Otherwise it may be missing.
    """
    problem = skipped if not is_wanted else failed
    proxy = _proxy_of(address)
    if proxy:
        report(ok("proxy", f"Connections go through the proxy {proxy}"))
    else:
        addresses = await _resolve(address, limit_s)
        if isinstance(addresses, Check):
            report(addresses)
            return
        if parse_ip(address.host) is None:
            report(ok("dns", f"{address.host} is {', '.join(addresses[:3])}"))
        started = time.monotonic()
        if reason := await _connect(address, limit_s):
            advice = (
                "Start one: broadcast-tui chat --serve. For another server: broadcast-tui doctor URL"
                if address.is_local
                else "Check host and port, whether the server runs, listens on its network (serve --host "
                "0.0.0.0), and whether a firewall blocks the port."
            )
            report(problem("tcp", f"No server at {address.url}: {reason}", advice))
            return
        report(ok("tcp", f"Port {address.port} accepts connections ({_ms(started)} ms)"))
        if address.secure:
            check = await _check_tls(address, security, limit_s)
            report(check)
            if check.status == "failed":
                return
        elif not address.is_local:
            report(
                warning("tls", "The connection is not encrypted", "On the server: serve --tls self-signed")
            )
    await _check_websocket(address, security, report, limit_s)


def _proxy_of(address: Address) -> str:
    """The configured proxy for a server, without user and password; empty if there is none."""
    if address.is_local:
        return ""
    found = get_proxy(parse_uri(address.url))
    if not found:
        return ""
    parts = urlsplit(found)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


async def _resolve(address: Address, limit_s: float) -> list[str] | Check:
    host = log_safe(address.host, 100)
    try:
        async with asyncio.timeout(limit_s):
            found = await _look_up(address)
    except TimeoutError:
        return failed("dns", f"No answer about the name {host}", "Check the network and its DNS server.")
    except (OSError, UnicodeError):
        return failed("dns", f"There is no host {host}", "Check its spelling, and the network.")
    return list(dict.fromkeys(str(entry[0]) for entry in found))


async def _look_up(address: Address) -> list[tuple[object, ...]]:
    """The addresses of a host. Raises OSError and UnicodeError.

    In a daemon thread: the program can end while a name server does not answer.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[tuple[object, ...]]] = loop.create_future()

    def set_answer(found: list[tuple[object, ...]], error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    def look_up() -> None:
        found: list[tuple[object, ...]] = []
        error: Exception | None = None
        try:
            found = [
                entry[4] for entry in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            ]
        except (OSError, UnicodeError) as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(set_answer, found, error)

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    return await answer


async def _connect(address: Address, limit_s: float) -> str:
    """Why no TCP connection can be opened; empty if one can."""
    try:
        async with asyncio.timeout(limit_s):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except TimeoutError:
        return f"no answer within {limit_s:g} s"
    except ConnectionRefusedError:
        return "connection refused"
    except OSError as error:
        refused = "Multiple exceptions" in str(error)
        return "connection refused" if refused else log_safe(error.strerror or str(error), 200)
    writer.transport.abort()
    return ""


async def _check_tls(address: Address, security: SecurityOptions, limit_s: float) -> Check:
    try:
        trusted = security.context()
    except TrustError as error:
        return failed("tls", log_safe(str(error).rstrip(".")), "Check --ca.")
    try:
        version, certificate = await _handshake(address, _any_certificate(), limit_s)
        if security.pin and fingerprint(certificate) != security.pin:
            return failed(
                "tls",
                "The certificate does not match the invite: it was replaced, or somebody intercepts the line",
                f"Get a new invite over a channel you trust, then run: broadcast-tui forget {address.url}",
            )
        if not security.pin:
            await _handshake(address, trusted, limit_s)
    except ssl.SSLError as error:
        advice = _tls_advice(error, address)
        return failed("tls", _sentence(tls_reason(error, address.url)), advice)
    except TimeoutError:
        return failed("tls", "The server does not answer a TLS handshake", "Is it the right port?")
    except OSError as error:
        reason = log_safe(error.strerror or str(error), 200)
        return failed("tls", f"The TLS handshake failed: {reason}", "Is it the right port?")
    trust = "pinned" if security.pin else "trusted"
    text = f"{version}, {trust} certificate"
    expires = await _expiry(address, certificate, limit_s)
    if expires is None:
        return ok("tls", text)
    days = (expires - datetime.now(UTC)).days
    text = f"{text}, valid until {expires:%Y-%m-%d}"
    if days < 0 and security.pin:  # an invite is trusted whatever the dates say
        return warning(
            "tls", f"{version}, pinned certificate that has expired", "Its operator should renew it."
        )
    if days < EXPIRY_DAYS:
        return warning("tls", f"{text}, {days} days from now", "Its operator must renew it.")
    return ok("tls", text)


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _handshake(address: Address, context: ssl.SSLContext, limit_s: float) -> tuple[str, bytes]:
    """TLS version and certificate (DER) of the server. Raises OSError and TimeoutError."""
    async with asyncio.timeout(limit_s):
        _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.transport.abort()
    return tls.version() or "TLS", tls.getpeercert(binary_form=True) or b""


async def _expiry(address: Address, certificate: bytes, limit_s: float) -> datetime | None:
    """The end of a certificate's validity; None if it cannot be read.

    Python decodes only certificates that it has verified: this one vouches for itself.
    """
    context = _any_certificate()
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=certificate)
        async with asyncio.timeout(limit_s):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        return datetime.fromtimestamp(0, UTC) if error.verify_code == 10 else None
    except (OSError, TimeoutError):
        return None
    decoded = writer.get_extra_info("peercert") or {}
    writer.transport.abort()
    with contextlib.suppress(KeyError, ValueError, TypeError):
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(decoded["notAfter"]), UTC)
    return None


def _tls_advice(error: ssl.SSLError, address: Address) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        match error.verify_code:
            case 9 | 10:
                return "Check the dates of both machines; if they are right, the certificate must be renewed."
            case 62 | 64:
                return "Use a host name that the certificate contains, or an invite with its fingerprint."
            case _:
                return "Use an invite of the server, or pass the certificate of its authority with --ca FILE."
    return f"If the server has no TLS: {address.url.replace('wss://', 'ws://')}"


async def _check_websocket(
    address: Address, security: SecurityOptions, report: Report, limit_s: float
) -> None:
    try:
        async with asyncio.timeout(2 * limit_s):
            opened = await open_socket(address, security)
    except TimeoutError:
        opened = Disconnect("the server did not answer in time")
    if isinstance(opened, Disconnect):
        report(_handshake_failure(opened))
        return
    if opened.subprotocol != SUBPROTOCOL:
        opened.transport.abort()
        advice = "Check the address. A proxy in front must pass on the header Sec-WebSocket-Protocol."
        report(failed("websocket", f"The server does not speak {SUBPROTOCOL}", advice))
        return
    report(ok("websocket", f"WebSocket with {SUBPROTOCOL}"))
    try:
        is_welcome = await _check_frames(opened, security, report, limit_s)
    finally:
        opened.transport.abort()
    if is_welcome:
        report(await _check_origin(address, security, limit_s))


async def _check_origin(address: Address, security: SecurityOptions, limit_s: float) -> Check:
    """Check whether the server's own page can connect in browsers, which send its origin."""
    origin = address.link.partition("/rooms/")[0].removesuffix(":443" if address.secure else ":80")
    try:
        async with asyncio.timeout(2 * limit_s):
            opened = await open_socket(address, security, origin=origin)
    except TimeoutError:
        return skipped("origin", f"No answer to a browser's request from {origin}")
    if isinstance(opened, Disconnect):
        advice = f"A proxy in front must pass on the header Host; or start the server with --origin {origin}"
        reason = log_safe(opened.reason.rstrip("."), 200)
        return warning("origin", f"Browsers cannot connect: {reason}", advice)
    opened.transport.abort()
    return ok("origin", f"Browsers can connect from {origin}")


def _handshake_failure(end: Disconnect) -> Check:
    reason = _sentence(log_safe(end.reason, 300))
    match end.cause:
        case DisconnectCause.UNUSABLE:
            return failed("websocket", reason, "Use the address or the invite that the operator gives you.")
        case DisconnectCause.UNAUTHORIZED:
            return failed("token", reason, TOKEN_ADVICE)
        case DisconnectCause.UNENCRYPTED_TOKEN:
            return failed("token", "The token would be sent unencrypted", "Use wss://, or --insecure-token.")
        case _:
            advice = (
                "Check the address. A proxy in front must pass on WebSockets: the headers Upgrade and "
                "Connection, and HTTP/1.1."
            )
            return failed("websocket", reason, advice)


async def _check_frames(
    connection: FrameConnection, security: SecurityOptions, report: Report, limit_s: float
) -> bool:
    """Say hello as a program, and compare clocks; returns whether the server has welcomed it."""
    received: asyncio.Queue[bytes] = asyncio.Queue()

    def receive(messages: list[bytes]) -> None:
        for message in messages:
            received.put_nowait(message)

    connection.start_receiving(receive)
    sent_at = datetime.now(UTC)
    await connection.send(encode(commands.Hello(rooms=(LOBBY,), presence=False)), text=True)
    welcome = await _welcome(connection, received, limit_s)
    if isinstance(welcome, Check):
        report(welcome)
        return False
    arrived_at = datetime.now(UTC)
    if security.token:
        report(ok("token", f"The token is accepted, as {visible_line(welcome.name)}"))
    else:
        report(ok("token", "No token is required"))
    times = []
    with contextlib.suppress(TimeoutError, OSError):
        for _ in range(PINGS):
            async with asyncio.timeout(limit_s):
                times.append(await (await connection.ping()))
    if not times:
        report(warning("latency", "The server answers no pings", OVERLOADED))
    elif (best_ms := min(times) * 1000) > SLOW_MS:
        report(warning("latency", f"Round trip of {best_ms:.0f} ms", OVERLOADED))
    else:
        report(ok("latency", f"Round trip of {best_ms:.1f} ms"))
    report(clock_check(welcome.time, sent_at + (arrived_at - sent_at) / 2))
    return True


async def _welcome(
    connection: FrameConnection, received: asyncio.Queue[bytes], limit_s: float
) -> events.Welcome | Check:
    """The welcome, or why there is none."""
    error: events.Error | None = None
    closed = asyncio.create_task(connection.wait_closed())
    try:
        async with asyncio.timeout(limit_s):
            while True:
                message = asyncio.create_task(received.get())
                await asyncio.wait((message, closed), return_when=asyncio.FIRST_COMPLETED)
                if not message.done():
                    message.cancel()
                    return _rejection(connection, error)
                with contextlib.suppress(BroadcastError):
                    match decode_event(message.result()):
                        case events.Welcome() as welcome:
                            return welcome
                        case events.Error() as received_error:
                            error = received_error
                        case _:
                            pass
    except TimeoutError:
        return failed("websocket", f"The server sent no welcome within {limit_s:g} s", OVERLOADED)
    finally:
        closed.cancel()


def _rejection(connection: FrameConnection, error: events.Error | None) -> Check:
    """Why the server has closed the connection before its welcome."""
    close = connection.protocol.close_rcvd
    reason = error.message if error is not None else close.reason if close is not None else ""
    text = _sentence(log_safe(reason, 300)) or "The server closed the connection without a reason"
    if close is not None and close.code == CloseCode.UNAUTHORIZED:
        return failed("token", text, TOKEN_ADVICE)
    return failed("websocket", text, "Ask the operator; the log of the server says more.")


def clock_check(theirs: str, ours: datetime) -> Check:
    """Compare the time of the server, an ISO 8601 text, with that of this machine."""
    try:
        ahead_s = (ours - datetime.fromisoformat(theirs)).total_seconds()
    except (ValueError, TypeError):
        return skipped("clock", "The server does not say what time it is")
    if abs(ahead_s) < CLOCK_S:
        return ok("clock", f"The clocks differ by {abs(ahead_s):.1f} s")
    side = "ahead of" if ahead_s > 0 else "behind"
    text = f"This machine's clock is {format_duration(abs(ahead_s))} {side} the server's"
    return warning("clock", text, "Synchronize both clocks, on Linux with: timedatectl set-ntp true")


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _sentence(text: str) -> str:
    text = text.rstrip(".")
    return text if text.startswith("ws") else text[:1].upper() + text[1:]
