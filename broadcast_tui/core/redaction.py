"""Redaction of tokens in text that is displayed or logged."""

from __future__ import annotations

import re

TOKEN_PREFIX = "bt_"
"""Prefix of all tokens, by which people and secret scanners recognize them."""

_TOKEN = re.compile(r"bt_[A-Za-z0-9_-]{8,}")
_TOKEN_FIELD = re.compile(r"""(?i)(token["']?\s*[=:]\s*["']?)[^\s"'&#]+""")
_BEARER = re.compile(r"(?i)(bearer\s+)[^\s\"']+")


def redact(text: str) -> str:
    """Replace tokens, and any value in the place of one (`token=…`, `Bearer …`), with an ellipsis."""
    text = _TOKEN.sub(f"{TOKEN_PREFIX}…", text)
    return _BEARER.sub(r"\1…", _TOKEN_FIELD.sub(r"\1…", text))


def contains_token(text: str) -> bool:
    """Whether `text` contains something that looks like a token."""
    return _TOKEN.search(text) is not None
