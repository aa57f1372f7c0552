"""Frames as the log may show them at DEBUG: escaped, and without tokens, however those are written."""

from __future__ import annotations

import re

import msgspec

from broadcast_tui.core.credential import redacted
from broadcast_tui.core.text import log_safe

_ESCAPED_ASCII = re.compile(r"\\u00([2-7][0-9a-fA-F])")


class _Kind(msgspec.Struct):
    type: str = ""


_kind = msgspec.json.Decoder(_Kind)


def shown_received(data: bytes, *, welcomed: bool) -> str:
    """A frame from a peer. One that is or may be a hello is told by its size: it may hold a token."""
    try:
        is_hello = _kind.decode(data).type == "hello"
    except (msgspec.MsgspecError, ValueError, RecursionError):
        is_hello = not welcomed
    if is_hello:
        return f"a hello, {len(data)} bytes"
    return shown_sent(data)


def shown_sent(payload: bytes) -> str:
    """A frame to a peer."""
    return log_safe(redacted(_ESCAPED_ASCII.sub(_plain, payload.decode(errors="replace"))))


def _plain(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))
