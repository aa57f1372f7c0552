"""Chat rooms in the terminal: `BroadcastServer`, `BroadcastClient` and the programs built on them.

Importing the package loads neither websockets nor textual: the two classes are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["BroadcastClient", "BroadcastServer", "__version__"]

if TYPE_CHECKING:
    from broadcast_tui.client import BroadcastClient
    from broadcast_tui.server import BroadcastServer

_LAZY = {
    "BroadcastClient": "broadcast_tui.client",
    "BroadcastServer": "broadcast_tui.server",
}


def __getattr__(name: str) -> object:
    """Import a public class on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
