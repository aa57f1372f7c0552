"""Whether what is typed fits into one post, told while it is typed and not only by the server's refusal."""

from __future__ import annotations

from broadcast_tui.core.text import MAX_POST_LINES
from broadcast_tui.tui.commands.parser import CommandInput, PostInput, parse

LINES_TO_ASK = 20
"""Lines that are sent without a question; the most that is certainly no accident."""


def post_of(typed: str) -> str:
    """The text that typing `typed` and Enter would post; empty if none."""
    if not typed.strip():
        return ""
    match parse(typed):
        case PostInput(text=text):
            return text
        case CommandInput(command=command) if command.name == "me":
            return typed
    return ""


def excess(typed: str, message_bytes: int) -> str:
    """By how much `typed` is too long for a post (`1,204 bytes too long`); empty if it fits.

    `message_bytes` is the server's limit in bytes of UTF-8, 0 if none is known.
    """
    post = post_of(typed)
    over = len(post.encode("utf-8", "surrogatepass")) - message_bytes
    if message_bytes and over > 0:
        return f"{over:,} {'byte' if over == 1 else 'bytes'} too long"
    lines = post.count("\n") + 1 - MAX_POST_LINES
    return f"{lines:,} {'line' if lines == 1 else 'lines'} too long" if lines > 0 else ""


def asks_first(typed: str) -> int:
    """How many lines `typed` would post, if they are so many that one asks first; else 0."""
    lines = post_of(typed).count("\n") + 1
    return lines if lines > LINES_TO_ASK else 0
