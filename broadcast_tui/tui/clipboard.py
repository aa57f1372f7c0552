"""Copies text to where people paste it from, and says how.

First the terminal is asked (OSC 52), which works over SSH too but never answers; then the programs that
`desktop` knows, each with a time limit. Texts are those of the transcript, made safe to draw before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from broadcast_tui.tui.desktop import clipboard_tools, feed
from broadcast_tui.tui.model.selection import Excerpt

OSC52_MAX_BYTES = 74_994
"""Most text that terminals take in one OSC 52 sequence: 100,000 bytes in all, in base64, with 8 around it."""


async def copy(
    excerpt: Excerpt, write: Callable[[str], None], environment: Mapping[str, str] = os.environ
) -> str:
    """Copy and return what to tell of it: `Copied 2 posts (OSC 52, xclip)`.

    `write` hands a text to the terminal as OSC 52.
    """
    text, ways = excerpt.text, []
    fits = len(text.encode()) <= OSC52_MAX_BYTES
    if fits:
        write(text)
        ways.append("OSC 52")
    tools = clipboard_tools(environment)
    ways += [tool.name for tool in tools if await feed(tool, text)]
    if ways:
        return f"Copied {excerpt.amount} ({', '.join(ways)})"
    size = f"{len(text.encode()):,} bytes"
    return f"Not copied: {size} are more than a terminal takes ({OSC52_MAX_BYTES:,}). Select less."
