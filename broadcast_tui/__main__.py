"""Entry point of `python -m broadcast_tui`, the same as `broadcast-tui`."""

from __future__ import annotations

import gc

LOADING_THRESHOLD = 1_000_000


def main() -> None:
    """Run the program and exit with its status."""
    # Imports create no garbage, but collecting it took a tenth of the time to the first screen.
    gc.set_threshold(LOADING_THRESHOLD)
    from broadcast_tui.cli import main

    main()


if __name__ == "__main__":
    main()
