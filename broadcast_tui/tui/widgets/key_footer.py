"""The footer with the main keys, which is rebuilt only when they change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

MARGIN = 3
"""Cells of a key in the footer besides its texts."""


class KeyFooter(Footer):
    """Textual's footer without key groups and the command palette.

    The keys of the screen come before those of widgets. Keys that do not fit are left out.

    Textual 8.2 rebuilds its footer after each change of the focus, and styles each of its keys three times.
    That was a third of the work at the start of the chat.
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._shown_keys: list[tuple[Binding, bool, str]] = []
        """The first binding of each action, whether it is enabled, and its tooltip."""

    def compose(self) -> ComposeResult:
        for binding, enabled, tooltip in self._shown_keys:
            key = FooterKey(
                binding.key,
                self.app.get_key_display(binding),
                binding.description,
                binding.action,
                disabled=not enabled,
                tooltip=tooltip,
            )
            key.set_reactive(FooterKey.compact, False)
            yield key

    async def recompose(self) -> None:
        """Rebuild the footer if its keys have changed."""
        if not self.is_attached:
            return  # its screen was removed in the meantime
        first_keys: dict[str, tuple[Binding, bool, str]] = {}
        bindings = sorted(self.screen.active_bindings.values(), key=lambda active: not _is_main(active.node))
        for _, binding, enabled, tooltip in bindings:
            if binding.show:
                first_keys.setdefault(binding.action, (binding, enabled, tooltip))
        keys = list(self._fitting(first_keys.values()))
        if keys != self._shown_keys:
            self._shown_keys = keys
            await super().recompose()

    async def on_resize(self, event: events.Resize) -> None:
        """Show the keys that fit the new width."""
        await self.recompose()

    def _fitting(self, keys: Iterable[tuple[Binding, bool, str]]) -> Iterator[tuple[Binding, bool, str]]:
        """The first keys that fit the width of the app."""
        left = self.app.size.width
        for key in keys:
            binding = key[0]
            left -= cell_len(self.app.get_key_display(binding)) + cell_len(binding.description) + MARGIN
            if left < 0:
                return
            yield key


def _is_main(node: object) -> bool:
    """Whether the bindings of `node` are those of a screen or of the app."""
    return isinstance(node, Screen | App)
