"""QR codes as text: two modules in each character, one above the other.

It imports nothing from the package, so that both server and client can use it.
"""

from __future__ import annotations

import segno

QUIET_ZONE = 2
"""Margin around the QR code in modules. The standard requires 4; readers need only 2."""
BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"
RESET = "\x1b[0m"
_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def qr_rows(text: str, *, inverted: bool = False) -> list[str]:
    """Rows of equal width that show a QR code in black on white; `inverted`, in white on black."""
    matrix = [[bool(module) for module in row] for row in segno.make(text, error="l", micro=False).matrix]
    width = len(matrix[0]) + 2 * QUIET_ZONE
    blank = [[False] * width] * QUIET_ZONE
    rows = [*blank, *([False] * QUIET_ZONE + row + [False] * QUIET_ZONE for row in matrix), *blank]
    if len(rows) % 2:
        rows.append([False] * width)
    return [
        "".join(_BLOCKS[a is not inverted, b is not inverted] for a, b in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def qr_lines(text: str, *, colors: bool) -> list[str]:
    """Lines of equal width that show a QR code.

    With `colors` it is black on white; without, printed characters are light, as on a dark terminal.
    """
    rows = qr_rows(text, inverted=not colors)
    return [f"{BLACK_ON_WHITE}{row}{RESET}" for row in rows] if colors else rows
