"""When the next frame may go to the terminal: not before it has taken in those it was sent.

What a terminal has taken in is known from its answers: after enough bytes it is asked where its cursor
stands (CPR), and it answers once it is there. So a slow line gets few frames, each of the latest state,
instead of all of them late. Nobody waits for a terminal that never answered; one that no longer answers
is not asked again until it does.

Times are monotonic seconds, given by the caller.
"""

from __future__ import annotations

ASK = "\x1b[6n"
"""The question; its answer is `CSI row ; column R`."""
ASK_BYTES = 600
"""Bytes after which the terminal is asked: a screen that moved, not a letter that was typed."""
WAITING_MAX = 1
"""Writes that may wait to be taken by the terminal's file when another one is made."""
ANSWER_S = 3.0
"""How long an answer may take: 60 kB, some full screens, at 20 kB/s."""
MISSES_MAX = 2


class FlowControl:
    """Follows what was sent and answered on one terminal."""

    def __init__(self) -> None:
        self._bytes = 0
        self._asked_at: float | None = None
        self._answers = False
        self._misses = 0
        self._may_ask = True

    def stop_asking(self) -> None:
        """No further questions; an answer under way is still taken."""
        self._may_ask = False

    def restart(self) -> None:
        """The terminal is another one, or lost what it was sent."""
        self._bytes = 0
        self._asked_at = None

    @property
    def is_asking(self) -> bool:
        """Whether an answer is under way."""
        return self._asked_at is not None

    def may_send(self, now: float, waiting: int) -> bool:
        """Whether a frame may go out, while `waiting` writes have not been taken yet."""
        if self._asked_at is not None and now - self._asked_at > ANSWER_S:
            self._asked_at = None
            self._misses += 1
        if waiting > WAITING_MAX:
            return False
        return self._asked_at is None or not self._answers

    def send(self, size: int, now: float) -> bool:
        """A frame of `size` bytes goes out; true if the question is to be put behind it."""
        self._bytes += size
        if self._bytes < ASK_BYTES or self._asked_at is not None:
            return False
        if self._misses >= MISSES_MAX or not self._may_ask:
            return False
        self._bytes = 0
        self._asked_at = now
        return True

    def handle_answer(self) -> None:
        """The terminal has taken in all that came before the question."""
        self._answers = True
        self._misses = 0
        self._asked_at = None
