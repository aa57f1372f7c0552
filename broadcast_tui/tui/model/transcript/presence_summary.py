"""Summary of consecutive joins, leaves and renames: one line that grows.

A join and a leave of the same user cancel out, as do a rename and its reversal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

PEOPLE_MAX = 500
"""Users in one line; further changes start a new one."""
_RENAMES_SHOWN = 3


@dataclass(slots=True)
class _Entry:
    before: str | None
    """Name before the first change; None: not in the room."""
    now: str | None
    """Current name; None: no longer in the room."""
    reason: str = ""
    """The leave reason they gave."""


@dataclass(slots=True)
class PresenceSummary:
    """Changes covered by one line. Names must be sanitized."""

    _entries: list[_Entry] = field(default_factory=list)
    _unnamed: dict[str, None] = field(default_factory=dict)
    """Texts from the server about users without names, deduplicated."""

    @property
    def is_full(self) -> bool:
        return len(self._entries) + len(self._unnamed) >= PEOPLE_MAX

    def joined(self, names: Iterable[str]) -> None:
        for name in names:
            returned = next((p for p in self._entries if p.now is None and p.before == name), None)
            if returned is None:
                self._entries.append(_Entry(None, name))
            else:
                self._entries.remove(returned)

    def left(self, names: Iterable[str], reason: str = "") -> None:
        """Record departures. `reason` applies to a single departure and must be sanitized."""
        for name in names:
            entry = self._entry(name)
            entry.now, entry.reason = None, reason
            self._drop_if_unchanged(entry)

    def renamed(self, before: str, now: str) -> None:
        entry = self._entry(before)
        entry.now = now
        self._drop_if_unchanged(entry)

    def add_unnamed(self, text: str) -> None:
        if text:
            self._unnamed[text] = None

    def text(self, about: Callable[[str], bool] | None = None) -> str:
        """The text of the line, possibly empty.

        With `about`, it is limited to users whose old or new name satisfies it.
        """
        joined: list[str] = []
        left: list[str] = []
        reason = ""
        renamed: list[str] = []
        for entry in self._entries:
            before, now = entry.before, entry.now
            if about is not None and not any(name and about(name) for name in (before, now)):
                continue
            if before is None and now is not None:
                joined.append(now)
            elif now is None and before is not None:
                left.append(before)
                reason = entry.reason
            else:
                renamed.append(f"{before} is now {now}")
        parts = [f"{joined_names(joined)} joined"] if joined else []
        why = f": {reason}" if reason and len(left) == 1 else ""
        parts += [f"{joined_names(left)} left{why}"] if left else []
        more = len(renamed) - _RENAMES_SHOWN
        parts += renamed[:_RENAMES_SHOWN]
        parts += [f"{more} more changed their name" + "s" * (more > 1)] if more > 0 else []
        if about is None:
            parts += list(self._unnamed)[:_RENAMES_SHOWN]
        return " · ".join(parts)

    def _entry(self, name: str) -> _Entry:
        """The entry of the user whose current name is `name`."""
        entry = next((p for p in self._entries if p.now == name), None)
        if entry is None:
            entry = _Entry(name, name)
            self._entries.append(entry)
        return entry

    def _drop_if_unchanged(self, entry: _Entry) -> None:
        """Remove the entry if its changes cancelled out."""
        if entry.before == entry.now:
            self._entries.remove(entry)


def joined_names(names: Sequence[str], shown: int = 3) -> str:
    """`ana`, `ana and bob`, `ana, bob and 3 others`; at least one name."""
    if len(names) == 1:
        return names[0]
    if len(names) <= shown:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[: shown - 1])} and {len(names) - shown + 1} others"
