"""The footer with the main keys, which is rebuilt only when they change."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Footer
from textual.widgets._footer import FooterKey


class KeyFooter(Footer):
    """Textual's footer without key groups and the command palette.

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
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.show:
                first_keys.setdefault(binding.action, (binding, enabled, tooltip))
        keys = list(first_keys.values())
        if keys != self._shown_keys:
            self._shown_keys = keys
            await super().recompose()
