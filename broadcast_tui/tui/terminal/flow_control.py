"""Flow control for the terminal: the next frame waits until the terminal has processed the previous ones.

The terminal's answers show what it has processed. After enough bytes it is asked for its cursor position
(DSR), and it answers (CPR) once it has reached the question. So a slow line gets few frames, each of the
latest state, instead of all frames late. Frames do not wait for a terminal that has never answered. A
terminal that stops answering is not asked again until it does.

Times are monotonic seconds, given by the caller.
"""

from __future__ import annotations

ASK = "\x1b[6n"
"""Request for the cursor position; the answer is `CSI row ; column R`."""
ASK_BYTES = 600
"""Bytes after which the terminal is asked: more than the echo of a key, less than a screen that scrolled."""
QUEUE_MAX = 1
"""Queued writes up to which another frame can be sent."""
ANSWER_S = 3.0
"""Limit for an answer: 60 kB, a few full screens, at 20 kB/s."""
MISSES_MAX = 2
"""Missing answers after which the terminal is not asked again."""


class FlowControl:
    """Tracks the bytes sent to one terminal and its answers."""

    def __init__(self) -> None:
        self._bytes = 0
        self._asked_at: float | None = None
        self._has_answered = False
        self._misses = 0
        self._can_ask = True

    def stop_asking(self) -> None:
        """Ask no more; a pending answer is still handled."""
        self._can_ask = False

    def restart(self) -> None:
        """Start again, after the terminal was replaced or lost its content."""
        self._bytes = 0
        self._asked_at = None

    @property
    def is_asking(self) -> bool:
        """Whether an answer is pending."""
        return self._asked_at is not None

    def can_send(self, now: float, queued: int) -> bool:
        """Whether a frame can be sent while `queued` writes are not accepted by the terminal's file yet."""
        if self._asked_at is not None and now - self._asked_at > ANSWER_S:
            self._asked_at = None
            self._misses += 1
        if queued > QUEUE_MAX:
            return False
        return self._asked_at is None or not self._has_answered

    def send(self, size: int, now: float) -> bool:
        """Record a frame of `size` bytes; returns whether the caller must send `ASK` after it."""
        self._bytes += size
        if self._bytes < ASK_BYTES or self._asked_at is not None:
            return False
        if self._misses >= MISSES_MAX or not self._can_ask:
            return False
        self._bytes = 0
        self._asked_at = now
        return True

    def handle_answer(self) -> None:
        """Record an answer: the terminal has processed everything before the question."""
        self._has_answered = True
        self._misses = 0
        self._asked_at = None
