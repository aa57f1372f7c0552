"""One WebSocket connection of a client, from opening to `Disconnect`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import CloseCode as WebSocketCloseCode
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from broadcast_tui.client.address import Address
from broadcast_tui.client.disconnect import Disconnect
from broadcast_tui.client.frame_connection import FrameConnection, connection_factory
from broadcast_tui.client.security import (
    INVITE,
    CertificateMismatchError,
    SecurityOptions,
    TrustError,
    is_untrusted,
    tls_reason,
    uses_tls,
)
from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import BroadcastError, CloseCode, may_reconnect
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL
from broadcast_tui.core.session.bounds import DELAY_MAX_S
from broadcast_tui.core.session.session import ClientSession
from broadcast_tui.core.session.updates import CONNECTION_LOST, DisconnectCause
from broadcast_tui.core.text import log_safe

CLOSE_TIMEOUT_S = 1.0
"""Maximum duration of the closing handshake."""


OPEN_TIMEOUT_S = 10.0
WELCOME_TIMEOUT_S = 10.0
"""Maximum time from the handshake to the welcome."""
FRAME_BYTES_MAX = 8_388_608
"""Maximum size of a received message."""
_FAILURES: dict[int, str] = {
    WebSocketCloseCode.MESSAGE_TOO_BIG: f"the server sent a message of more than {FRAME_BYTES_MAX:,} bytes",
    WebSocketCloseCode.PROTOCOL_ERROR: "the server sent an invalid WebSocket frame",
    WebSocketCloseCode.INVALID_DATA: "the server sent invalid UTF-8",
}
"""Reasons for which this client closes a connection, by close code."""
_BANNED = "You are banned"
"""Start of the reason for which a server closes the connection of a banned person, as if it was kicked."""
ABORTED_TOO_LATE = AttributeError
"""Raised by CPython when `websockets` aborts a transport that closed with a full buffer: its loop is None."""
UNENCRYPTED_TOKEN = "the token would be sent unencrypted; use wss://"

log = logging.getLogger("broadcast_tui.client")
_websockets_log = logging.getLogger("broadcast_tui.websockets.client")
# At DEBUG the library logs the headers of a handshake, which include the token.
_websockets_log.addFilter(lambda record: record.levelno > logging.DEBUG)


class RedirectError(BroadcastError):
    """The server redirects to another one."""


class _Connect(connect):
    """Opens a connection, and follows redirects on the same server only.

    With a redirect to another server, the first one would choose the client id that the user has there, since
    that is derived from its own address. It could then pass as the user.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        old = self.ws_uri
        target = super().process_redirect(exc)
        if isinstance(target, str):
            new = parse_uri(target)
            if new.host != old.host or (new.port != old.port and (old.secure or not new.secure)):
                text = f"{self.uri} redirects to {log_safe(target)}. Connect to that address if you trust it."
                return RedirectError(text)
        return target


class Connection:
    """The transport of a session; can be run again after each disconnect.

    Args:
        outgoing: Set by the caller when the session may have frames to send.
        dispatch: Called when the session may have updates, once per read.
    """

    def __init__(
        self,
        address: Address,
        session: ClientSession,
        security: SecurityOptions,
        outgoing: asyncio.Event,
        dispatch: Callable[[], None],
    ) -> None:
        self._address = address
        self._security = security
        self._session = session
        self._outgoing = outgoing
        self._dispatch = dispatch
        self._dispatch_scheduled = False
        self._socket: FrameConnection | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._is_silent = False
        """Whether the server did not send a welcome in time."""
        self.unread_bytes = 0
        """Bytes of all messages received since the last `resume`."""

    def pause(self) -> None:
        """Stop reading: the user of the client is busy."""
        if self._socket is not None:
            self._socket.set_paused(True)

    def resume(self) -> None:
        """Read again: the user of the client has read all updates."""
        self.unread_bytes = 0
        if self._socket is not None:
            self._socket.set_paused(False)

    async def run(self) -> Disconnect:
        """Connect, exchange frames until the connection ends, and return why it ended."""
        self._stopping = None
        self._is_silent = False
        socket = await open_socket(self._address, self._security)
        if isinstance(socket, Disconnect):
            return socket
        if socket.subprotocol != SUBPROTOCOL:
            await self._drop(socket)
            return Disconnect(
                f"{self._address.url} does not speak {SUBPROTOCOL}",
                final=True,
                cause=DisconnectCause.UNUSABLE,
            )
        self._socket = socket
        if self._stopping is not None:
            self.stop()
        try:
            return await self._exchange(socket)
        finally:
            self._socket = None

    async def _exchange(self, socket: FrameConnection) -> Disconnect:
        session, loop = self._session, asyncio.get_running_loop()
        session.connected()
        self._outgoing.set()
        failed: asyncio.Future[None] = loop.create_future()

        def receive(messages: list[bytes]) -> None:
            if failed.done():
                return
            when = Instant(time.monotonic(), datetime.now(UTC))
            try:
                for data in messages:
                    self.unread_bytes += len(data)
                    session.receive(data, when)
                    if session.fatal is not None:
                        failed.set_result(None)
                        return
                self._schedule_dispatch()
            except Exception as error:
                failed.set_exception(error)  # handled in BroadcastClient._run

        def give_up() -> None:
            self._is_silent = not session.welcomed
            if self._is_silent:
                socket.transport.abort()

        silence = loop.call_later(WELCOME_TIMEOUT_S, give_up)
        writer = loop.create_task(self._write(socket))
        closed = loop.create_task(socket.wait_closed())
        try:
            socket.start_receiving(receive)
            await asyncio.wait((closed, failed), return_when=asyncio.FIRST_COMPLETED)
            self._dispatch()
            if failed.done():
                failed.result()
                return Disconnect(session.fatal or "", final=True, cause=session.cause)
            return self._disconnect_of(socket)
        finally:
            silence.cancel()
            closed.cancel()
            writer.cancel()
            await asyncio.gather(closed, writer, return_exceptions=True)
            await self._drop(socket)

    def _disconnect_of(self, socket: FrameConnection) -> Disconnect:
        """Classify the end of a connection."""
        if self._stopping is not None:
            return Disconnect("closed by this client")
        if self._is_silent:
            return Disconnect(f"{self._address.url} did not answer in time")
        sent = socket.protocol.close_sent
        if (
            sent is not None
            and (failure := _FAILURES.get(sent.code))
            and not socket.protocol.close_rcvd_then_sent
        ):
            return Disconnect(failure)
        close = socket.protocol.close_rcvd
        code = close.code if close is not None else 1006
        reason = log_safe(close.reason) if close is not None else ""
        return Disconnect(
            reason or (CONNECTION_LOST if close is None else f"closed unexpectedly ({code})"),
            final=not may_reconnect(code),
            cause=_cause(code, reason),
        )

    async def _write(self, socket: FrameConnection) -> None:
        """Send the frames of the session, and call its `tick` when due."""
        while True:
            due = self._session.next_due()
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - time.monotonic())):
                    await self._outgoing.wait()
            except TimeoutError:
                self._session.tick(time.monotonic())
            self._outgoing.clear()
            for data in self._session.pop_outgoing():
                try:
                    await socket.send(data, text=True)
                except ConnectionClosed:
                    return

    @staticmethod
    async def _drop(socket: FrameConnection) -> None:
        """Close gracefully, or abort after a timeout: a peer that reads nothing never closes."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await socket.close()
        except TimeoutError:
            log.debug("server did not complete the close in time")
        except ABORTED_TOO_LATE:
            log.debug("connection was already lost")
        finally:
            if not socket.connection_lost_waiter.done():
                socket.transport.abort()

    def stop(self) -> None:
        """Close this connection, or the one being opened, in the background."""
        self._stopping = asyncio.get_running_loop().create_task(self.close())

    def abort(self) -> None:
        """End this connection at once, without a close frame."""
        if self._socket is not None and not self._socket.connection_lost_waiter.done():
            self._socket.transport.abort()

    async def close(self) -> None:
        """Send the remaining frames of the session, then close."""
        socket = self._socket
        if socket is None:
            return
        with contextlib.suppress(ConnectionClosed, TimeoutError, ABORTED_TOO_LATE):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for data in self._session.pop_outgoing():
                    await socket.send(data, text=True)
        await self._drop(socket)

    def _schedule_dispatch(self) -> None:
        """Call `_dispatch` once for all frames received so far."""
        if not self._dispatch_scheduled:
            self._dispatch_scheduled = True
            asyncio.get_running_loop().call_soon(self._run_dispatch)

    def _run_dispatch(self) -> None:
        self._dispatch_scheduled = False
        self._dispatch()


async def open_socket(
    address: Address, security: SecurityOptions, *, origin: str = ""
) -> FrameConnection | Disconnect:
    """Open a connection, or return why that failed. The token is sent only to a trusted server.

    Args:
        origin: Connect as a web page of this origin.
    """
    if security.token and not (address.secure or address.is_local or security.insecure_token):
        return Disconnect(UNENCRYPTED_TOKEN, final=True, cause=DisconnectCause.UNENCRYPTED_TOKEN)
    try:
        # The library rejects ssl=None with a wss:// address, which a redirect may lead to.
        tls: dict[str, Any] = {"ssl": security.context()} if address.secure else {}
        async with asyncio.timeout(OPEN_TIMEOUT_S + 1):
            connection = await _Connect(
                address.url,
                create_connection=connection_factory(security.pin),  # type: ignore[arg-type]  # any factory works
                additional_headers=security.headers(),
                logger=_websockets_log,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                origin=Origin(origin) if origin else None,
                compression=None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=20,
                ping_timeout=20,
                max_size=FRAME_BYTES_MAX,
                proxy=None if address.is_local else True,
                user_agent_header=None,
                **tls,
            )
        assert isinstance(connection, FrameConnection)
        return connection
    except (TrustError, RedirectError) as error:
        return Disconnect(str(error), final=True, cause=DisconnectCause.UNUSABLE)
    except (CertificateMismatchError, ssl.SSLError) as error:
        cause = DisconnectCause.UNTRUSTED_CERTIFICATE if is_untrusted(error) else DisconnectCause.UNUSABLE
        return Disconnect(tls_reason(error, address.url), final=True, cause=cause)
    except InvalidStatus as error:
        return _http_reason(error, address.url)
    except (InvalidURI, ValueError):  # ValueError: a port out of range, or a label of more than 63 characters
        return Disconnect(
            f"{address.url} is not a valid server address", final=True, cause=DisconnectCause.UNUSABLE
        )
    except InvalidHandshake as error:
        if not address.secure and await uses_tls(address.host, address.port):
            return Disconnect(
                f"{address.url} uses TLS; write wss://, or {INVITE}",
                final=True,
                cause=DisconnectCause.UNUSABLE,
            )
        return Disconnect(f"{address.url} is not a broadcast server: {log_safe(str(error))}")
    except TimeoutError:
        return Disconnect(f"{address.url} did not answer in time")
    except OSError as error:
        return Disconnect(_os_reason(error, address.url))


def _http_reason(error: InvalidStatus, url: str) -> Disconnect:
    """Classify a rejected handshake."""
    status = error.response.status_code
    try:
        wait_s = float(error.response.headers.get("Retry-After", 0))
        wait_s = min(DELAY_MAX_S, wait_s) if wait_s > 0 else 0.0  # also if it is NaN
    except ValueError:
        wait_s = 0.0
    text = ""
    if error.response.headers.get("Content-Type", "").startswith("text/plain"):
        text = log_safe((error.response.body or b"").decode(errors="replace").strip())
    return Disconnect(
        text or f"{url} is not a broadcast server (HTTP status {status})",
        wait_s,
        final=status in (400, 401, 403, 404),
        cause=DisconnectCause.UNAUTHORIZED if status == 401 else DisconnectCause.OTHER,
    )


def _cause(code: int, reason: str) -> DisconnectCause:
    """The cause for which a server has closed a connection."""
    if code == CloseCode.KICKED and not reason.startswith(_BANNED):
        return DisconnectCause.KICKED
    return DisconnectCause.UNAUTHORIZED if code == CloseCode.UNAUTHORIZED else DisconnectCause.OTHER


def _os_reason(error: OSError, url: str) -> str:
    if isinstance(error, ConnectionRefusedError) or "Multiple exceptions" in str(error):
        return f"no server at {url}"
    return f"{url} cannot be reached: {log_safe(error.strerror or str(error))}"
