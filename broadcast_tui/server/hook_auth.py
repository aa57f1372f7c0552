"""Authentication of webhooks by the secrets in their addresses.

Invariants: secrets are never logged or sent back. Unknown, expired and revoked ones get the same response.
"""

from __future__ import annotations

import logging

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.auth import Identity
from broadcast_tui.core.rate_limit import FailureLimiter
from broadcast_tui.core.text import log_safe
from broadcast_tui.server.hook_store import HookEntry, Hooks
from broadcast_tui.server.secret_reload import SecretReloader

log = logging.getLogger("broadcast_tui.server")


class HookAuthenticator:
    """Finds the hooks of a store.

    Only unknown secrets count as failed attempts of an address, and only they are rejected after too many:
    programs behind one address must not lock out each other. Secrets are too long to be guessed.
    """

    def __init__(self, store: Hooks) -> None:
        self.reloader = SecretReloader(store, "hook")
        self._failures = FailureLimiter()
        self._store = store

    def find(self, secret: str, when: Instant) -> HookEntry | None:
        """The hook with a secret; None if it is unknown or has expired."""
        entry = self._store.find_entry(secret, when.at)
        if entry is None and self._store.has_changed():
            # The hook may have been created after the file was last read.
            self.reloader.reload()
            entry = self._store.find_entry(secret, when.at)
        return entry

    def record_failure(self, address: str, when: Instant) -> float:
        """Count an unknown secret; after too many from an address, return the seconds to wait, else 0.0."""
        wait_s = self._failures.wait_s(address, when.now)
        if wait_s == 0:
            self._failures.record_failure(address, when.now)
            extra = {"event": "unknown_hook", "address": address}
            log.warning("unknown hook from %s", log_safe(address), extra=extra)
        return wait_s

    def is_reserved(self, key: str) -> bool:
        """Whether the name with this skeleton belongs to a hook."""
        return self._store.is_reserved(key)

    def is_valid(self, identity: Identity, when: Instant) -> bool:
        """Whether the hook of an identity still exists unchanged and has not expired."""
        return self._store.is_valid(identity, when.at)
