"""Summary of consecutive joins, leaves and renames: one line that grows.

A join and a leave of the same user cancel out, as do a rename and its reversal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import islice

import msgspec

PEOPLE_MAX = 500
"""Users in one line; further changes start a new one."""
_RENAMES_SHOWN = 3


class _Changes(msgspec.Struct):
    """Changes of the users covered by a line, in the order of their first change."""

    joined: dict[int, str] = msgspec.field(default_factory=dict)
    """Current names, by a number that a user keeps through renames."""
    left: dict[str, str] = msgspec.field(default_factory=dict)
    """Leave reasons (may be empty) by the name before the first change."""
    renamed: dict[str, str] = msgspec.field(default_factory=dict)
    """Names before the first change, by current name."""

    def text(self) -> list[str]:
        """The parts of the line."""
        parts = [f"{joined_names(self.joined.values())} joined"] if self.joined else []
        if self.left:
            reason = next(iter(self.left.values())) if len(self.left) == 1 else ""
            parts.append(f"{joined_names(self.left)} left" + (f": {reason}" if reason else ""))
        renames = islice(self.renamed.items(), _RENAMES_SHOWN)
        parts += [f"{before} is now {now}" for now, before in renames]
        more = len(self.renamed) - _RENAMES_SHOWN
        parts += [f"{more} more changed their name" + "s" * (more > 1)] if more > 0 else []
        return parts


def _nobody(name: str) -> bool:
    return False


class PresenceSummary(msgspec.Struct):
    """Changes covered by one line. Names must be sanitized.

    A change and its text take constant time, however many users the line covers: a server may send any
    number of them.
    """

    about: Callable[[str], bool] = _nobody
    """The short form of the line is limited to users whose old or new name satisfies this."""
    is_complete: bool = False
    """Whether the short form covers everyone instead."""
    _all: _Changes = msgspec.field(default_factory=_Changes)
    _some: _Changes = msgspec.field(default_factory=_Changes)
    """The part of `_all` that the short form covers."""
    _numbers: dict[str, int] = msgspec.field(default_factory=dict)
    """Numbers of the users who joined, by current name."""
    _next_number: int = 0
    _unnamed: dict[str, None] = msgspec.field(default_factory=dict)
    """Texts from the server about users without names, deduplicated."""

    @property
    def is_full(self) -> bool:
        changes = self._all
        count = len(changes.joined) + len(changes.left) + len(changes.renamed) + len(self._unnamed)
        return count >= PEOPLE_MAX

    def joined(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._all.left:
                for changes in (self._all, self._some):
                    changes.left.pop(name, None)
            elif name not in self._numbers:
                self._set_joined(name, self._next_number)
                self._next_number += 1

    def left(self, names: Iterable[str], reason: str = "") -> None:
        """Record departures. `reason` applies to a single departure and must be sanitized."""
        for name in names:
            if name in self._numbers:
                number = self._numbers.pop(name)
                for changes in (self._all, self._some):
                    changes.joined.pop(number, None)
                continue
            before = self._drop_renamed(name) if name in self._all.renamed else name
            for changes in self._covering(before, name):
                changes.left[before] = reason

    def renamed(self, before: str, now: str) -> None:
        if before in self._numbers:
            self._set_joined(now, self._numbers.pop(before))
            return
        first = self._drop_renamed(before) if before in self._all.renamed else before
        if first != now:
            for changes in self._covering(first, now):
                changes.renamed[now] = first

    def add_unnamed(self, text: str) -> None:
        if text:
            self._unnamed[text] = None

    def text(self) -> str:
        """The text of the line, possibly empty."""
        return " · ".join([*self._all.text(), *islice(self._unnamed, _RENAMES_SHOWN)])

    def brief(self) -> str:
        """The short form of the line, possibly empty."""
        return self.text() if self.is_complete else " · ".join(self._some.text())

    def _covering(self, *names: str) -> list[_Changes]:
        """The changes that a user with these names belongs to."""
        return [self._all, self._some] if any(map(self.about, names)) else [self._all]

    def _set_joined(self, name: str, number: int) -> None:
        other = self._numbers.get(name, -1)
        self._numbers[name] = number
        self._some.joined.pop(number, None)
        for changes in (self._all, self._some):
            changes.joined.pop(other, None)
        for changes in self._covering(name):
            changes.joined[number] = name

    def _drop_renamed(self, name: str) -> str:
        """Remove the rename to `name`; returns the name before it."""
        self._some.renamed.pop(name, None)
        return self._all.renamed.pop(name)


def joined_names(names: Collection[str], shown: int = 3) -> str:
    """`ana`, `ana and bob`, `ana, bob and 3 others`; at least one name."""
    first = list(islice(names, shown))
    if len(names) == 1:
        return first[0]
    if len(names) <= shown:
        return f"{', '.join(first[:-1])} and {first[-1]}"
    return f"{', '.join(first[: shown - 1])} and {len(names) - shown + 1} others"
