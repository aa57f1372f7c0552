"""The classes of a screen for its size, by which its style sheet shows more or less.

Textual 8.2 sets them after the layout for a new size, then styles all widgets and lays them out again. That
took as long as the first layout. Here they are set before it, and only what they concern is styled.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.css.stylesheet import Stylesheet
from textual.geometry import Size
from textual.screen import Screen

Breakpoints = list[tuple[int, str]]
"""Sizes in cells from which on a screen has a class; ascending."""


class SizeClasses:
    """Sets the classes of `screen` for breakpoints of its width and height."""

    def __init__(self, screen: Screen[None], widths: Breakpoints, heights: Breakpoints) -> None:
        self._screen = screen
        self._widths = widths
        self._heights = heights

    def set(self, size: Size) -> None:
        """Set the classes before anything is styled."""
        for name, is_set in self._for(size).items():
            self._screen.set_class(is_set, name, update=False)

    def update(self, size: Size) -> bool:
        """Set the classes and style what they concern; returns whether any class has changed."""
        screen = self._screen
        changed = {name for name, is_set in self._for(size).items() if is_set != screen.has_class(name)}
        if not changed:
            return False
        self.set(size)
        stylesheet = screen.app.stylesheet
        if selectors := ", ".join(sorted(_concerned(stylesheet, changed))):
            stylesheet.update_nodes(screen.query(selectors))
        return True

    def _for(self, size: Size) -> dict[str, bool]:
        """All classes, and whether a screen of this size has them."""
        return {
            name: name == max(breakpoint for breakpoint in breakpoints if breakpoint[0] <= length)[1]
            for length, breakpoints in ((size.width, self._widths), (size.height, self._heights))
            for _, name in breakpoints
        }


def _concerned(stylesheet: Stylesheet, classes: Iterable[str]) -> set[str]:
    """Selectors of widgets with rules that depend on `classes` of their screen."""
    return {
        name
        for rule in stylesheet.rules
        for selectors in rule.selector_set
        if any(selector.name in classes for selector in selectors.selectors[:-1])
        for name in rule.selector_names
    }
