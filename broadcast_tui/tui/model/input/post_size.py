"""Checks of a draft against the limits of a post, while it is typed."""

from __future__ import annotations

from broadcast_tui.core.text import MAX_POST_LINES
from broadcast_tui.tui.commands.parser import CommandInput, PostInput, parse

CONFIRM_ABOVE_LINES = 20
"""Lines that are sent without confirmation; more may be an accidental paste."""


def post_of(typed: str) -> str:
    """The text that submitting `typed` would post; empty if none."""
    if not typed.strip():
        return ""
    match parse(typed):
        case PostInput(text=text):
            return text
        case CommandInput(command=command) if command.name == "me":
            return typed
    return ""


def is_post(typed: str) -> bool:
    """Whether submitting `typed` posts a text, rather than run another command."""
    match parse(typed):
        case CommandInput(command=command):
            return command.name in ("me", "shrug")
        case parsed:
            return isinstance(parsed, PostInput)


def excess(typed: str, message_bytes: int) -> str:
    """How far `typed` exceeds the limits (`1,204 bytes too long`); empty if it fits.

    `message_bytes` is the server's limit in bytes of UTF-8; 0 if unknown.
    """
    post = post_of(typed)
    over = len(post.encode("utf-8", "surrogatepass")) - message_bytes
    if message_bytes and over > 0:
        return f"{over:,} {'byte' if over == 1 else 'bytes'} too long"
    lines = post.count("\n") + 1 - MAX_POST_LINES
    return f"{lines:,} {'line' if lines == 1 else 'lines'} too long" if lines > 0 else ""


def lines_to_confirm(typed: str) -> int:
    """The number of lines to confirm before posting; 0 if no confirmation is needed."""
    lines = post_of(typed).count("\n") + 1
    return lines if lines > CONFIRM_ABOVE_LINES else 0
