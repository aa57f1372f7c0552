"""Who is away and why, as far as the server told us; made safe to draw when it comes in."""

from __future__ import annotations

from collections.abc import Callable

from broadcast_tui.core.text import visible_line
from broadcast_tui.core.updates import AwayChanged, MembersListed, PresenceChanged


class Absence:
    """People who are away, by name, each with the reason (empty: none given)."""

    def __init__(self) -> None:
        self._why: dict[str, str] = {}

    def why(self, name: str) -> str | None:
        """Why `name` is away, or None if they are not."""
        return self._why.get(name)

    def changed(self, update: AwayChanged) -> bool:
        """Somebody went away or came back; whether that is news."""
        name = visible_line(update.name)
        before = self._why.pop(name, None)
        if update.away:
            self._why[name] = visible_line(update.text)
        return before != self._why.get(name)

    def listed(self, update: MembersListed) -> None:
        """A list of people says of each of them whether they are away."""
        for name in update.names:
            self._why.pop(visible_line(name), None)
        self._why.update((visible_line(name), visible_line(text)) for name, text in update.away)

    def renamed(self, old: str, new: str) -> None:
        if old in self._why:
            self._why[new] = self._why.pop(old)

    def follow(self, update: PresenceChanged, is_here: Callable[[str], object]) -> None:
        """Nobody tells that somebody who left is no longer away, or under which name they still are."""
        names = [visible_line(name) for name in update.names]
        if update.event == "rename" and len(names) == 2:
            self.renamed(names[0], names[1])
        elif update.event == "leave":
            for name in names:
                if not is_here(name):
                    self._why.pop(name, None)


def own_line(update: AwayChanged) -> str:
    """The dim line about our own going away or coming back."""
    why = f": {visible_line(update.text)}" if update.text else ""
    return f"You are away{why}. /back when you are here again." if update.away else "You are back"
