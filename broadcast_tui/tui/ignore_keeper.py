"""Keeps whom we ignore on a server for the next run, with the time when that ends."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic

from broadcast_tui.client.preferences import Preferences
from broadcast_tui.tui.model.ignoring import Ignored


def recall_ignored(preferences: Preferences, url: str) -> Ignored:
    """Whom we ignored on the server at `url`; those whose time is over are left out."""
    return Ignored(preferences.ignored.get(url, {}), monotonic(), datetime.now(UTC))


def keep_ignored(preferences: Preferences, url: str, ignored: Ignored) -> None:
    """Write down whom we ignore on the server at `url` from now on."""
    preferences.remember_ignored(url, ignored.ends(monotonic(), datetime.now(UTC)))
    preferences.save()
