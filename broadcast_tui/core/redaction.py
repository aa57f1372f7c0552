"""Redaction of tokens in text that is displayed or logged."""

from __future__ import annotations

from broadcast_tui.core.confusables import COMBINING
from broadcast_tui.core.lazy_pattern import lazy_pattern

TOKEN_PREFIX = "bt_"
"""Prefix of all tokens, by which people and secret scanners recognize them."""

_UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    rf"\ud800-\udfff\U000e0000-\U000e0fff{COMBINING}"
)
"""Characters that a reader of a split token does not see: controls, invisible and combining characters."""

_TOKEN = lazy_pattern(rf"b[{_UNSEEN}]*t[{_UNSEEN}]*_(?:[{_UNSEEN}]*[A-Za-z0-9_-]){{8,}}")
_TOKEN_FIELD = lazy_pattern(r"""(?i)(token["']?\s*[=:]\s*["']?)[^\s"'&#]+""")
_USERINFO = lazy_pattern(r"(?i)((?:rediss?(?:\+[a-z]+)?|unix)://)[^\s\"']*@")
_HOOK = lazy_pattern(r"(?i)(/hooks/)[^\s\"'?#/]+")
"""The path of a webhook, whose secret may be percent-encoded."""
_BEARER = lazy_pattern(r"(?i)(bearer\s+)[^\s\"']+")


def redact(text: str) -> str:
    """Replace tokens, and any value in the place of one (`token=…`, `Bearer …`), with an ellipsis.

    The same happens to the secrets in paths of webhooks (`/hooks/…`).

    The same happens to user names and passwords in addresses of Redis.

    Control, invisible and combining characters within a token do not hide it.
    """
    text = _TOKEN.sub(f"{TOKEN_PREFIX}…", text)
    text = _HOOK.sub(r"\1…", redact_userinfo(text))
    return _BEARER.sub(r"\1…", _TOKEN_FIELD.sub(r"\1…", text))


def redact_userinfo(text: str) -> str:
    """Replace user names and passwords in addresses of Redis with an ellipsis."""
    return _USERINFO.sub(r"\1…@", text)


def contains_token(text: str) -> bool:
    """Whether `text` contains something that looks like a token."""
    return "_" in text and _TOKEN.search(text) is not None
