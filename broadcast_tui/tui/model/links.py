"""The web addresses in a text: what is underlined in the log is what can be opened from it."""

from __future__ import annotations

import re

LINK = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,:;!?'()\[\]{}]")


def links_in(text: str) -> list[str]:
    """The http and https addresses in `text`, in order, each once."""
    return list(dict.fromkeys(LINK.findall(text)))
