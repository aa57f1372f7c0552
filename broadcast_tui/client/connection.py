"""One connection of a client after another: open a socket, feed the session, say how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from broadcast_tui.client.address import Address
from broadcast_tui.client.frame_connection import FrameConnection, connection_factory
from broadcast_tui.client.security import (
    INVITE,
    CertificateMismatchError,
    SecurityOptions,
    TrustError,
    speaks_tls,
    tls_reason,
)
from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import BroadcastError, CloseCode, may_reconnect
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL
from broadcast_tui.core.session.session import ClientSession
from broadcast_tui.core.text import log_safe

CLOSE_TIMEOUT_S = 1.0
"""How long the other side may take to say goodbye."""


class ConnectError(BroadcastError):
    """The server could not be reached, or would not have us; the text says why."""


class Unauthorized(ConnectError):
    """The server wants a valid token, and we showed none."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """How a connection ended. `final`: trying again by oneself would not help."""

    reason: str
    retry_after_s: float = 0.0
    final: bool = False
    unauthorized: bool = False
    """For want of a valid token; always final."""


OPEN_TIMEOUT_S = 10.0


FRAME_BYTES_MAX = 8_388_608


ABORTED_TOO_LATE = AttributeError
"""What CPython raises where the library aborts a transport that closed with a full buffer: it has no loop."""


TOKEN_IN_THE_OPEN = (
    "the token would travel unencrypted, for all on the way to read; write wss:// for a server with TLS, "
    "or allow it with --insecure-token"
)


log = logging.getLogger("broadcast_tui.client")


_websockets_log = logging.getLogger("broadcast_tui.websockets.client")


# At DEBUG, whoever asks for it, the library would log the headers of a handshake, and with them the token.
_websockets_log.addFilter(lambda record: record.levelno > logging.DEBUG)


class Connection:
    """The socket under a session.

    Args:
        to_write: Set by whoever gave the session something to send.
        moved: Called when the session may have updates, once for all frames that came together.
    """

    def __init__(
        self,
        address: Address,
        session: ClientSession,
        trust: SecurityOptions,
        to_write: asyncio.Event,
        moved: Callable[[], None],
    ) -> None:
        self._address = address
        self._trust = trust
        self._session = session
        self._to_write = to_write
        self._dispatch = moved
        self._move_scheduled = False
        self._socket: FrameConnection | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def run(self) -> Disconnect:
        """One connection from start to end."""
        self._stopping = None
        socket = await self._open()
        if isinstance(socket, Disconnect):
            return socket
        if socket.subprotocol != SUBPROTOCOL:
            await self._drop(socket)
            return Disconnect(f"{self._address.url} does not speak {SUBPROTOCOL}", final=True)
        self._socket = socket
        if self._stopping is not None:
            self.stop()
        try:
            return await self._converse(socket)
        finally:
            self._socket = None

    async def _open(self) -> FrameConnection | Disconnect:
        """A connection, or why there is none. The token is sent to the right server only, or not at all."""
        trust, address = self._trust, self._address
        if trust.token and not (address.secure or address.is_local or trust.insecure_token):
            return Disconnect(TOKEN_IN_THE_OPEN, final=True)
        try:
            # The library takes no ssl=None with a wss:// address that it may be sent on to.
            secured: dict[str, Any] = {"ssl": trust.context()} if address.secure else {}
            async with asyncio.timeout(OPEN_TIMEOUT_S + 1):
                connection = await connect(
                    address.url,
                    create_connection=connection_factory(trust.pin),  # type: ignore[arg-type]  # a factory will do
                    additional_headers=trust.headers(),
                    logger=_websockets_log,
                    subprotocols=[Subprotocol(SUBPROTOCOL)],
                    compression=None,
                    open_timeout=OPEN_TIMEOUT_S,
                    close_timeout=CLOSE_TIMEOUT_S,
                    ping_interval=20,
                    ping_timeout=20,
                    max_size=FRAME_BYTES_MAX,
                    proxy=None if self._address.is_local else True,
                    user_agent_header=None,
                    **secured,
                )
            assert isinstance(connection, FrameConnection)
            return connection
        except TrustError as error:
            return Disconnect(str(error), final=True)
        except (CertificateMismatchError, ssl.SSLError) as error:
            return Disconnect(tls_reason(error, address.url), final=True)
        except InvalidStatus as error:
            return _http_reason(error, self._address.url)
        except InvalidURI:
            return Disconnect(f"{self._address.url} is no address of a server", final=True)
        except InvalidHandshake as error:
            if not address.secure and await speaks_tls(address.host, address.port):
                return Disconnect(f"{address.url} speaks TLS; write wss://, or {INVITE}", final=True)
            return Disconnect(f"{self._address.url} is no broadcast server: {log_safe(str(error))}")
        except TimeoutError:
            return Disconnect(f"{self._address.url} does not answer")
        except OSError as error:
            return Disconnect(_os_reason(error, self._address.url))

    async def _converse(self, socket: FrameConnection) -> Disconnect:
        session, loop = self._session, asyncio.get_running_loop()
        session.connected()
        self._to_write.set()
        refused: asyncio.Future[None] = loop.create_future()

        def receive(messages: list[bytes]) -> None:
            if refused.done():
                return
            when = Instant(time.monotonic(), datetime.now(UTC))
            try:
                for data in messages:
                    session.receive(data, when)
                    if session.fatal is not None:
                        refused.set_result(None)
                        return
                self._move_soon()
            except Exception as error:
                refused.set_exception(error)  # for the boundary in the client's loop

        writer = loop.create_task(self._write(socket))
        closed = loop.create_task(socket.wait_closed())
        try:
            socket.start_receiving(receive)
            await asyncio.wait((closed, refused), return_when=asyncio.FIRST_COMPLETED)
            self._dispatch()
            if refused.done():
                refused.result()
                return Disconnect(session.fatal or "", final=True, unauthorized=session.unauthorized)
            return self._ending(socket)
        finally:
            closed.cancel()
            writer.cancel()
            await asyncio.gather(closed, writer, return_exceptions=True)
            await self._drop(socket)

    def _ending(self, socket: FrameConnection) -> Disconnect:
        """What the end of a connection means."""
        if self._stopping is not None:
            return Disconnect("closed here")
        close = socket.protocol.close_rcvd
        code = close.code if close is not None else 1006
        reason = log_safe(close.reason) if close is not None else ""
        return Disconnect(
            reason or f"closed without a reason ({code})",
            final=not may_reconnect(code),
            unauthorized=code == CloseCode.UNAUTHORIZED,
        )

    async def _write(self, socket: FrameConnection) -> None:
        """Write what the session has to say, and wake it when it waits for time."""
        while True:
            due = self._session.next_due()
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - time.monotonic())):
                    await self._to_write.wait()
            except TimeoutError:
                self._session.tick(time.monotonic())
            self._to_write.clear()
            for data in self._session.pop_outgoing():
                try:
                    await socket.send(data, text=True)
                except ConnectionClosed:
                    return

    @staticmethod
    async def _drop(socket: FrameConnection) -> None:
        """Close in order if that is quick, else cut: closing may wait for a peer that reads nothing."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await socket.close()
        except TimeoutError:
            log.debug("the server did not close in time")
        except ABORTED_TOO_LATE:
            log.debug("the connection was gone already")
        finally:
            if not socket.connection_lost_waiter.done():
                socket.transport.abort()

    def stop(self) -> None:
        """End this connection, or the one being made, in order and soon."""
        self._stopping = asyncio.get_running_loop().create_task(self.close())

    async def close(self) -> None:
        """Write what the session still has to say, then close."""
        socket = self._socket
        if socket is None:
            return
        with contextlib.suppress(ConnectionClosed, TimeoutError, ABORTED_TOO_LATE):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for data in self._session.pop_outgoing():
                    await socket.send(data, text=True)
        await self._drop(socket)

    def _move_soon(self) -> None:
        """`_dispatch`, once for all the frames that are already here."""
        if not self._move_scheduled:
            self._move_scheduled = True
            asyncio.get_running_loop().call_soon(self._move)

    def _move(self) -> None:
        self._move_scheduled = False
        self._dispatch()


def _http_reason(error: InvalidStatus, url: str) -> Disconnect:
    """What a refused handshake means: sentence, least wait in seconds, final or not."""
    status = error.response.status_code
    try:
        wait_s = min(300.0, float(error.response.headers.get("Retry-After", 0)))
    except ValueError:
        wait_s = 0.0
    said = ""
    if error.response.headers.get("Content-Type", "").startswith("text/plain"):
        said = log_safe((error.response.body or b"").decode(errors="replace").strip())
    return Disconnect(
        said or f"{url} answers with HTTP status {status}; it is no broadcast server",
        wait_s,
        final=status in (400, 401, 403, 404),
        unauthorized=status == 401,
    )


def _os_reason(error: OSError, url: str) -> str:
    if isinstance(error, ConnectionRefusedError) or "Multiple exceptions" in str(error):
        return f"nothing answers at {url}"
    return f"{url} cannot be reached: {log_safe(error.strerror or str(error))}"
