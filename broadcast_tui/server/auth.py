"""The gate of a server with tokens: who may come in, in the handshake or by the hello.

Invariants: a token is in no log and no answer; unknown, expired and revoked ones get the same answer;
whoever guesses too often waits, even with a right one.
"""

from __future__ import annotations

import asyncio
import http
import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime

from websockets.http11 import Request, Response

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.auth import Identity
from broadcast_tui.core.hub.authorization import TOKEN_REQUIRED
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL
from broadcast_tui.core.rate_limit import FailureLimiter
from broadcast_tui.core.text import log_safe
from broadcast_tui.server import http as pages
from broadcast_tui.server.token_store import TokenFileError, TokenStore

POLL_S = 1.0
"""How often the file of tokens is looked at; expiry is noticed as soon."""
WRONG = "This token is not valid here; ask whoever runs the server for another one."

log = logging.getLogger("broadcast_tui.server")


class TokenAuthenticator:
    """The tokens of a book; `needs_token` says whether one is needed at all.

    In an open server (`needs_token` false) the names that have tokens can still be had only with them.
    """

    def __init__(self, store: TokenStore, *, needs_token: bool) -> None:
        self.needs_token = needs_token
        self.failures = FailureLimiter()
        self._store = store
        self._next_expiry: datetime | None = None
        self._told = store.version

    # -- core.identity.Gate

    def authenticate(self, token: str, address: str, when: Instant) -> Identity:
        wait_s = self.failures.wait_s(address, when.now)
        if wait_s > 0:
            raise RequestError(
                ErrorCode.UNAUTHORIZED,
                f"Too many wrong tokens came from your address; wait {math.ceil(wait_s)} s and try again.",
                retry_after=math.ceil(wait_s),
            )
        identity = self._store.find(token, when.at)
        if identity is None and self._store.changed():
            # A token that was made a moment ago must not be called wrong.
            self._read_again()
            identity = self._store.find(token, when.at)
        if identity is None:
            self.failures.record_failure(address, when.now)
            log.warning("a wrong token came from %s", log_safe(address))
            raise RequestError(ErrorCode.UNAUTHORIZED, WRONG)
        return identity

    def is_reserved(self, key: str) -> bool:
        return self._store.is_reserved(key)

    def is_valid(self, identity: Identity, when: Instant) -> bool:
        return self._store.is_valid(identity, when.at)

    # -- the handshake

    def check_handshake(self, request: Request, address: str, when: Instant) -> Identity | Response | None:
        """The identity of a valid token, a refusal (401, 429), or None for one who may still show a token.

        A v1 client may do so in its hello; a plain one has only the handshake.
        """
        tokens = [
            token.strip()
            for scheme, _, token in (
                value.partition(" ") for value in request.headers.get_all("Authorization")
            )
            if scheme.casefold() == "bearer"
        ]
        if not tokens:
            offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
            v1 = SUBPROTOCOL in [name.strip() for name in offered.split(",")]
            if self.needs_token and not v1:
                how = "Send it as 'Authorization: Bearer TOKEN' in the handshake."
                return _unauthorized(f"{TOKEN_REQUIRED} {how}")
            return None
        try:
            return self.authenticate(" ".join(tokens), address, when)
        except RequestError as refused:
            if refused.retry_after is None:
                return _unauthorized(refused.text, error="invalid_token")
            return pages.refuse(http.HTTPStatus.TOO_MANY_REQUESTS, refused.text, refused.retry_after)

    # -- changes of the file

    def load(self) -> None:
        """Read the tokens for the first time. Raises TokenFileError."""
        self._store.load()
        self._warn()

    def read(self) -> Callable[[], None]:
        """Read the file as it is now; what is returned puts it in force. Raises TokenFileError."""
        entries = self._store.read()

        def apply() -> None:
            self._store.take(entries)
            log.info("the tokens were read again: %d", len(entries))
            self._warn()

        return apply

    def refresh(self, at: datetime, *, at_once: bool = False) -> bool:
        """Read the file again if it has changed, or in any case `at_once`.

        Returns whether a token that was valid may not be so any more.

        A file that cannot be read leaves the tokens as they were, and a line in the log.
        """
        expired = self._next_expiry is not None and self._next_expiry <= at
        if at_once or self._store.changed():
            self._read_again()
        changed, self._told = self._store.version != self._told, self._store.version
        self._next_expiry = min(
            (e.expires for e in self._store.entries if e.expires is not None and e.expires > at), default=None
        )
        return changed or expired

    async def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever connections may have lost their right to be here."""
        while True:
            await asyncio.sleep(POLL_S)
            if self.refresh(datetime.now(UTC)):
                changed()

    def _read_again(self) -> None:
        try:
            self.read()()
        except TokenFileError as error:
            log.error("the tokens stay as they were: %s", log_safe(str(error), 400))
            self._warn()

    def _warn(self) -> None:
        if warning := self._store.warning():
            log.warning("%s", log_safe(warning, 400))


def _unauthorized(text: str, *, error: str = "") -> Response:
    """401 with what RFC 9110 11.6.1 and RFC 6750 3 ask for."""
    response = pages.refuse(http.HTTPStatus.UNAUTHORIZED, text)
    challenge = 'Bearer realm="broadcast-tui"'
    response.headers["WWW-Authenticate"] = f'{challenge}, error="{error}"' if error else challenge
    return response
