"""What a token looks like, so that it can be kept out of whatever is shown or logged."""

from __future__ import annotations

import re

TOKEN_PREFIX = "bt_"
"""How every token begins: people and scanners of published text know one when they see it."""

_TOKEN = re.compile(r"bt_[A-Za-z0-9_-]{8,}")
_TOKEN_FIELD = re.compile(r"""(?i)(token["']?\s*[=:]\s*["']?)[^\s"'&#]+""")
_BEARER = re.compile(r"(?i)(bearer\s+)[^\s\"']+")


def redacted(text: str) -> str:
    """`text` without tokens: neither ours nor what stands where one belongs (`token=…`, `Bearer …`)."""
    text = _TOKEN.sub(f"{TOKEN_PREFIX}…", text)
    return _BEARER.sub(r"\1…", _TOKEN_FIELD.sub(r"\1…", text))


def holds_token(text: str) -> bool:
    """Whether `text` has something in it that looks like a token of ours."""
    return _TOKEN.search(text) is not None
