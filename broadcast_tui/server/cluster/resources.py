"""What a node uses while it prepares commands: rooms, names and inboxes, as keys of one collection."""

from __future__ import annotations

from broadcast_tui.core.hub.cluster import ClaimName, LoadDirects, Need, OpenRoom

NAME, INBOX = "\0", "\1"
"""Prefixes of names and owners, which no room has."""


def resource_of(need: Need) -> str | None:
    """The room that a need is for or, with a prefix, the name or the owner."""
    match need:
        case OpenRoom():
            return need.room
        case ClaimName():
            return f"{NAME}{need.key}"
        case LoadDirects():
            return f"{INBOX}{need.owner}"
    return None
