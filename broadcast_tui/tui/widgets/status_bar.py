"""The status line above the composer: connection, room, members, unread posts, typing, own name."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import ClassVar

from textual.content import Content
from textual.widget import Widget

from broadcast_tui.tui.model.servers import ServerSet
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.status import GAP, NOTHING_SHOWN, Role, ShownElsewhere, fit, status_items


class StatusBar(Widget):
    """A view of `state`, one row high.

    Args:
        state: The state to display.
        server: The address as displayed; it is one of `servers`.
        servers: All servers.
        elsewhere: Says what else is on the screen; asked each time the row is drawn.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"status--{role.value}" for role in Role}

    DEFAULT_CSS = """
    StatusBar {
        height: 1;
        padding: 0 1;
        background: $panel;
        color: $foreground;
        .status--good { color: $text-success; }
        .status--wait { color: $text-warning; text-style: bold; }
        .status--bad { color: $text-error; text-style: bold; }
        .status--quiet { color: $text-muted; }
        .status--new { color: $text-accent; text-style: bold; }
        .status--name { text-style: bold; }
    }
    """

    def __init__(
        self,
        state: AppState,
        server: str,
        servers: ServerSet | None = None,
        elsewhere: Callable[[], ShownElsewhere] = lambda: NOTHING_SHOWN,
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._elsewhere = elsewhere
        self._state = state
        self._server = server
        self._servers = servers
        self._shown: list[tuple[str, Role]] = []
        self._fitted: tuple[object, list[tuple[str, Role]]] = (None, [])
        """The last items with the width, and how they fit: most posts change none."""

    def refresh_status(self) -> None:
        """Redraw if the text has changed."""
        if self._pieces() != self._shown:
            self.refresh()

    def on_resize(self) -> None:
        """Look again once the lists have been shown or hidden for the new width."""
        self.call_after_refresh(self.refresh_status)

    def render(self) -> Content:
        self._shown = self._pieces()
        styles = {role: self.get_visual_style(f"status--{role.value}") for _, role in self._shown}
        return Content.assemble(*((text, styles[role]) for text, role in self._shown))

    def _pieces(self) -> list[tuple[str, Role]]:
        """The line as texts with roles; together they are as wide as the widget."""
        elsewhere = self._elsewhere()
        sides = status_items(self._state, self._server, monotonic(), self._servers, elsewhere)
        items = (sides, self.content_size.width)
        if self._fitted[0] != items:
            left, right, between = fit(*sides, self.content_size.width)
            self._fitted = items, [*_spaced(left), (" " * between, Role.PLAIN), *_spaced(right)]
        return self._fitted[1]


def _spaced(pieces: list[tuple[str, Role]]) -> list[tuple[str, Role]]:
    """`pieces` with gaps between them."""
    return [part for piece in pieces for part in ((GAP, Role.PLAIN), piece)][1:]
