"""Modules that the first screen does not need. They are loaded after it, so that opening a dialog is fast."""

from __future__ import annotations

import asyncio
from importlib import import_module

MODULES = (
    "commands.dispatcher",
    "screens.post_dialogs",
    "screens.search",
    "screens.switcher",
    "screens.help",
    "screens.inspect",
    "screens.settings",
    "screens.token",
)
"""The modules, without the package `broadcast_tui.tui`."""


async def load_dialogs() -> None:
    """Load the modules, and let the user type meanwhile."""
    for name in MODULES:
        import_module(f"broadcast_tui.tui.{name}")
        await asyncio.sleep(0)
