"""Which unsent texts are kept for the next run."""

from __future__ import annotations

from collections.abc import Mapping

from broadcast_tui.core.redaction import contains_token
from broadcast_tui.tui.commands.parser import InputError, parse
from broadcast_tui.tui.model.input.history import has_secret_argument, is_private
from broadcast_tui.tui.model.rooms import is_lasting


def lasting_drafts(drafts: Mapping[str, str]) -> dict[str, str]:
    """The drafts by room that may be stored."""
    return {room: text for room, text in drafts.items() if is_lasting(room) and may_store(text)}


def may_store(text: str) -> bool:
    """Whether an unsent text may be stored: it has no secret.

    Commands that do not exist are not stored: with a typing error, any of them may be one with a secret.
    """
    if not text.strip() or is_private(text) or has_secret_argument(text) or contains_token(text):
        return False
    return not isinstance(parse(text), InputError)
