"""Toasts that replace each other, and that end with what they are about."""

from __future__ import annotations

from typing import Literal

from textual.widget import Widget

from broadcast_tui.core.text import visible_line


def show_toast(
    widget: Widget,
    text: str,
    timeout_s: float = 4,
    severity: Literal["information", "warning"] = "information",
) -> None:
    """Show `text` in place of all other toasts, as the answer to what the user has just done."""
    clear_toasts(widget)
    widget.notify(visible_line(text), severity=severity, timeout=timeout_s, markup=False)


def clear_toasts(widget: Widget) -> None:
    """Remove all toasts."""
    widget.app.clear_notifications()
    # Textual 8.2 removes the toasts but not their holders, which would push later toasts off the screen.
    widget.screen.query("ToastHolder").remove()


def show_warning(widget: Widget, text: str) -> None:
    """Show `text` as a warning in place of all other toasts."""
    show_toast(widget, text, 6, "warning")
