"""A server that the chat may start on this machine: what the app needs of it, and what it asks about it."""

from __future__ import annotations

from typing import Protocol

from broadcast_tui.tui.screens.choice import Choice, ChoiceScreen

START, WAIT, QUIT = "start", "wait", "quit"
CLOSE, KEEP = "close", "keep"


class LocalServer(Protocol):
    """Started here, it ends with this program unless it is let go."""

    @property
    def is_ours(self) -> bool:
        """Whether it was started here and ends with us."""
        ...

    def start(self) -> None:
        """Start it; returns, after some seconds at most, when it listens. Raises BroadcastError."""
        ...

    def let_go(self) -> str:
        """Let it run on without us; returns a line that says where it is and what stops it."""
        ...


def start_question(place: str) -> ChoiceScreen:
    """Asked where nobody answers. Dismissed with START, WAIT, QUIT or ""."""
    return ChoiceScreen(
        f"Nothing answers at {place}.",
        (
            Choice("s", "Start a server here", START),
            Choice("w", "Wait for one", WAIT),
            Choice("q", "Leave", QUIT),
        ),
    )


def leave_question(others: int) -> ChoiceScreen:
    """Asked when we leave `others`, at least one, behind. Dismissed with CLOSE, KEEP or "" to stay."""
    who = "1 other is" if others == 1 else f"{others:,} others are"
    return ChoiceScreen(
        f"{who} still here, and this chat started the server.",
        (
            Choice("k", "Keep the server running", KEEP),
            Choice("c", "Close it for everyone", CLOSE),
            Choice("s", "Stay in the chat", ""),
        ),
    )
