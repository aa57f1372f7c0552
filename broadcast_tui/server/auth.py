"""Authentication by token, in the handshake or in the hello.

Invariants: tokens are never logged or sent back. Unknown, expired and revoked tokens get the same response.
After too many failures, an address must wait, even with a valid token.
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
from broadcast_tui.server.hook_auth import HookAuthenticator
from broadcast_tui.server.hook_store import Hooks
from broadcast_tui.server.secret_reload import SecretReloader
from broadcast_tui.server.token_store import Tokens

POLL_S = 1.0
"""Interval at which the files of tokens and hooks are checked for changes, and both for expiry."""
INVALID_TOKEN = "Invalid token. Ask the server's operator for a new one."

log = logging.getLogger("broadcast_tui.server")


class TokenAuthenticator:
    """Authenticates the tokens of a store.

    Args:
        needs_token: Whether every connection needs a token. If not, names with tokens still require them.
        hooks: The webhooks, whose names nobody else can use.
    """

    def __init__(self, store: Tokens, *, needs_token: bool, hooks: Hooks | None = None) -> None:
        self.needs_token = needs_token
        self.failures = FailureLimiter()
        self.hooks = HookAuthenticator(hooks) if hooks is not None else None
        self._store = store
        self._tokens = SecretReloader(store, "token")

    # -- Authenticator

    def authenticate(self, token: str, address: str, when: Instant) -> Identity:
        wait_s = self.failures.wait_s(address, when.now)
        if wait_s > 0:
            raise RequestError(
                ErrorCode.UNAUTHORIZED,
                f"Too many invalid tokens from your address. Wait {math.ceil(wait_s)} s and try again.",
                retry_after=math.ceil(wait_s),
            )
        identity = self._store.find(token, when.at)
        if identity is None and self._store.has_changed():
            # The token may have been created after the file was last read.
            self._tokens.reload()
            identity = self._store.find(token, when.at)
        if identity is None:
            self.failures.record_failure(address, when.now)
            extra = {"event": "invalid_token", "address": address}
            log.warning("invalid token from %s", log_safe(address), extra=extra)
            raise RequestError(ErrorCode.UNAUTHORIZED, INVALID_TOKEN)
        return identity

    def is_reserved(self, key: str) -> bool:
        return self._store.is_reserved(key) or (self.hooks is not None and self.hooks.is_reserved(key))

    def token_name(self, key: str) -> str:
        return self._store.name_of(key)

    def is_valid(self, identity: Identity, when: Instant) -> bool:
        return self._store.is_valid(identity, when.at) or (
            self.hooks is not None and self.hooks.is_valid(identity, when)
        )

    # -- the handshake

    def check_handshake(self, request: Request, address: str, when: Instant) -> Identity | Response | None:
        """Check the token of a handshake.

        Returns:
            The identity of a valid token, a rejection (401 or 429), or None if there is no token and none is
                needed
            yet: a v1 client may send it in its hello, a plain client only in the handshake.
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
        except RequestError as error:
            if error.retry_after is None:
                return _unauthorized(error.text, error="invalid_token")
            return pages.rejection(http.HTTPStatus.TOO_MANY_REQUESTS, error.text, error.retry_after)

    # -- changes of the stored tokens and hooks

    def active_token_count(self, at: datetime) -> int:
        """Number of tokens that have not expired."""
        return sum(not entry.has_expired(at) for entry in self._store.entries)

    def load(self) -> None:
        """Read the stored tokens and hooks for the first time. Raises SecretFileError."""
        self._tokens.load()
        if self.hooks is not None:
            self.hooks.reloader.load()

    def prepare_reload(self) -> Callable[[], None]:
        """Read tokens and hooks, and return a function that applies them. Raises SecretFileError."""
        apply_tokens = self._tokens.prepare()
        apply_hooks = self.hooks.reloader.prepare() if self.hooks is not None else None

        def apply() -> None:
            apply_tokens()
            if apply_hooks is not None:
                apply_hooks()

        return apply

    def refresh(self, at: datetime, *, force: bool = False) -> bool:
        """Reload tokens and hooks if they have changed, or with `force` in any case.

        If they cannot be read, logs an error and keeps the current ones.

        Returns:
            Whether tokens or hooks may have become invalid.
        """
        is_changed = self._tokens.refresh(at, force=force)
        if self.hooks is not None:
            is_changed |= self.hooks.reloader.refresh(at, force=force)
        return is_changed

    async def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever tokens or hooks may have become invalid. Runs until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            if self.refresh(datetime.now(UTC)):
                changed()


def _unauthorized(text: str, *, error: str = "") -> Response:
    """A 401 response with the challenge that RFC 9110 11.6.1 and RFC 6750 3 require."""
    response = pages.rejection(http.HTTPStatus.UNAUTHORIZED, text)
    challenge = 'Bearer realm="broadcast-tui"'
    response.headers["WWW-Authenticate"] = f'{challenge}, error="{error}"' if error else challenge
    return response
