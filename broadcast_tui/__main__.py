"""`python -m broadcast_tui` is the same as `broadcast-tui`."""

from __future__ import annotations

from broadcast_tui.cli import main

main()
