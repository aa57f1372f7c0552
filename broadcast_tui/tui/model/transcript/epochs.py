"""Former epochs of a room's log: the ids that posts had in them."""

from __future__ import annotations

from broadcast_tui.core.post import Position
from broadcast_tui.core.session.updates import EpochChanged

CHANGES_MAX = 16
"""Number of former epochs that are remembered."""


class Epochs:
    """The last changes of the epoch, in order."""

    def __init__(self) -> None:
        self._changes: list[EpochChanged] = []

    def add(self, change: EpochChanged) -> None:
        """Add the newest change."""
        self._changes = [*self._changes[1 - CHANGES_MAX :], change]

    @property
    def former(self) -> str:
        """The epoch before the current one; empty if there is none."""
        return self._changes[-1].former if self._changes else ""

    def current(self, position: Position) -> Position:
        """A position in the current epoch; the same one if it is lost or unknown."""
        for change in self._changes:
            position = change.follow(position) or position
        return position
