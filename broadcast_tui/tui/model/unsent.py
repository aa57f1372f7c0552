"""Posts of ours that the server does not have, in words: before we leave them behind, and after."""

from __future__ import annotations


def unsent_text(count: int) -> str:
    """`1 post has not been sent`."""
    return f"{count:,} {'post has' if count == 1 else 'posts have'} not been sent"


def undelivered_text(count: int) -> str:
    """`1 post was not delivered`."""
    return f"{count:,} {'post was' if count == 1 else 'posts were'} not delivered"
