"""Who came, went or took another name between two lines of other kinds: one line that grows.

People who come and go within it cancel out, as do names that are taken and given back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

PEOPLE_MAX = 500
"""With more, a line is full."""
_RENAMES_SHOWN = 3


@dataclass(slots=True)
class _Person:
    before: str | None
    """Their name when the line began; None: they were not here."""
    now: str | None
    """Their name now; None: they are not here."""
    reason: str = ""
    """Why they left, as they said."""


@dataclass(slots=True)
class PresenceSummary:
    """What one line tells. Names are safe to draw."""

    _people: list[_Person] = field(default_factory=list)
    _unnamed: dict[str, None] = field(default_factory=dict)
    """What the server says about people without a name, each once."""

    @property
    def is_full(self) -> bool:
        return len(self._people) + len(self._unnamed) >= PEOPLE_MAX

    def came(self, names: Iterable[str]) -> None:
        for name in names:
            back = next((p for p in self._people if p.now is None and p.before == name), None)
            if back is None:
                self._people.append(_Person(None, name))
            else:
                self._people.remove(back)

    def went(self, names: Iterable[str], reason: str = "") -> None:
        """These left; if it is one only, because of `reason`, which is safe to draw."""
        for name in names:
            person = self._here(name)
            person.now, person.reason = None, reason
            self._settle(person)

    def renamed(self, before: str, now: str) -> None:
        person = self._here(before)
        person.now = now
        self._settle(person)

    def unnamed(self, text: str) -> None:
        if text:
            self._unnamed[text] = None

    def told(self, about: Callable[[str], bool] | None = None) -> str:
        """The line; with `about`, only of people for one of whose names it holds. May be empty."""
        joined: list[str] = []
        left: list[str] = []
        reason = ""
        renamed: list[str] = []
        for person in self._people:
            before, now = person.before, person.now
            if about is not None and not any(name and about(name) for name in (before, now)):
                continue
            if before is None and now is not None:
                joined.append(now)
            elif now is None and before is not None:
                left.append(before)
                reason = person.reason
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

    def _here(self, name: str) -> _Person:
        """The person called `name` now."""
        person = next((p for p in self._people if p.now == name), None)
        if person is None:
            person = _Person(name, name)
            self._people.append(person)
        return person

    def _settle(self, person: _Person) -> None:
        """Forget a person about whom there is nothing to tell."""
        if person.before == person.now:
            self._people.remove(person)


def joined_names(names: Sequence[str], shown: int = 3) -> str:
    """`ana`, `ana and bob`, `ana, bob and 3 others`; at least one name."""
    if len(names) == 1:
        return names[0]
    if len(names) <= shown:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[: shown - 1])} and {len(names) - shown + 1} others"
