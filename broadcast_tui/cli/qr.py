"""A text as a QR code of half blocks: two rows of modules a line, readable on dark and light terminals."""

from __future__ import annotations

import segno

QUIET = 2
"""Light modules around the code; the standard asks for 4, readers do with 2."""
BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"
RESET = "\x1b[0m"


def qr_lines(text: str, *, colours: bool) -> list[str]:
    """Lines of equal width. With `colours` dark is black and light is white, whatever the terminal's are;
    without, what is printed is light, as it is on a dark terminal.
    """
    matrix = [[bool(module) for module in row] for row in segno.make(text, error="l", micro=False).matrix]
    width = len(matrix[0]) + 2 * QUIET
    blank = [[False] * width] * QUIET
    rows = [*blank, *([False] * QUIET + row + [False] * QUIET for row in matrix), *blank]
    if len(rows) % 2:
        rows.append([False] * width)
    blocks = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
    lines = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        if colours:
            line = "".join(blocks[pair] for pair in zip(upper, lower, strict=True))
            lines.append(f"{BLACK_ON_WHITE}{line}{RESET}")
        else:
            lines.append("".join(blocks[not a, not b] for a, b in zip(upper, lower, strict=True)))
    return lines
