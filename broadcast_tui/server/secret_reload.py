"""Reloading of stored secrets while the server runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Generic

from broadcast_tui.core.text import log_safe
from broadcast_tui.server.secret_store import E, SecretFileError, SecretStore

log = logging.getLogger("broadcast_tui.server")


class SecretReloader(Generic[E]):
    """Loads the secrets of a store, again when they have changed.

    Args:
        kind: What the secrets are, in the singular.
    """

    def __init__(self, store: SecretStore[E], kind: str) -> None:
        self._store = store
        self._kind = kind
        self._next_expiry: datetime | None = None
        self._applied_version = store.version

    def load(self) -> None:
        """Read the secrets for the first time. Raises SecretFileError."""
        self._store.load()
        self._warn()

    def prepare(self) -> Callable[[], None]:
        """Read the secrets and return a function that applies them. Raises SecretFileError."""
        entries = self._store.read()

        def apply() -> None:
            had_entries = bool(self._store.entries)
            self._store.replace(entries)
            if entries or had_entries:
                extra = {"event": "reloaded", "count": len(entries)}
                log.info("reloaded %d %s(s)", len(entries), self._kind, extra=extra)
            self._warn()

        return apply

    def reload(self) -> None:
        """Read and apply the secrets; if they cannot be read, log an error and keep the current ones."""
        try:
            self.prepare()()
        except SecretFileError as error:
            extra = {"event": "reload_failed", "reason": str(error)}
            log.error("cannot reload the %ss: %s", self._kind, log_safe(str(error), 400), extra=extra)
            self._warn()

    def refresh(self, at: datetime, *, force: bool = False) -> bool:
        """Reload the secrets if they have changed, or with `force` in any case.

        Returns:
            Whether secrets may have become invalid since the last call.
        """
        expired = self._next_expiry is not None and self._next_expiry <= at
        if force or self._store.has_changed():
            self.reload()
        changed, self._applied_version = self._store.version != self._applied_version, self._store.version
        self._next_expiry = min(
            (e.expires for e in self._store.entries if e.expires is not None and e.expires > at), default=None
        )
        return changed or expired

    def _warn(self) -> None:
        if warning := self._store.warning():
            log.warning("%s", log_safe(warning, 400))
