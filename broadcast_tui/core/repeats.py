"""How often the same thing is worth a line in a log."""

from __future__ import annotations

KEYS_MAX = 1_000


class Repeats:
    """Lets one event of a key through every `interval_s`; the others are counted."""

    def __init__(self, interval_s: float = 10.0) -> None:
        self._interval_s = interval_s
        self._seen: dict[str, tuple[float, int]] = {}

    def pass_on(self, key: str, now: float) -> int | None:
        """How many events of `key` were held back since the last one let through; None: hold this one."""
        at, held = self._seen.get(key, (float("-inf"), 0))
        if now - at < self._interval_s:
            self._seen[key] = at, held + 1
            return None
        if len(self._seen) >= KEYS_MAX:
            self._seen.clear()
        self._seen[key] = now, 0
        return held
