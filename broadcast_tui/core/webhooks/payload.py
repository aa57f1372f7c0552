"""Bodies of webhooks: decoded within bounds, recognized, and converted to posts."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import msgspec

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.text import MAX_POST_LINES
from broadcast_tui.core.webhooks import alertmanager, slack
from broadcast_tui.core.webhooks.markdown import fitting
from broadcast_tui.core.webhooks.values import Json

BODY_BYTES = 262_144
"""Maximum length of a body."""
NESTING_MAX = 64
"""Maximum depth of a JSON document."""
POST_LINES = min(200, MAX_POST_LINES)
"""Maximum number of lines of a post; the rest is cut."""

_OTHERS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)|[^\[\]{}"]+', re.DOTALL)
"""Strings, and whatever else is no bracket."""

FORM = "application/x-www-form-urlencoded"

_UNSUPPORTED = "The payload needs a text, attachments or blocks, as for Slack, or alerts of Alertmanager."


class HookPost(msgspec.Struct, frozen=True):
    """What a webhook says."""

    text: str
    """Markdown, not sanitized yet."""
    group: str = ""
    """A word that identifies the post among those of the hook: later payloads with the same one change it.

    It is part of the text if the payload contains the address of its sender.
    """
    is_final: bool = False
    """Whether a later payload of the group is a new post, unless it is final, too."""


def read_payload(body: bytes, content_type: str, max_post_bytes: int) -> HookPost:
    """The post for the body of a request.

    Args:
        content_type: Media type without parameters. A form has JSON in its field `payload`; a JSON object
            that is declared as a form, as `curl -d` does, is accepted, too.
        max_post_bytes: Maximum length of the text in bytes of UTF-8; 0: unlimited.

    Raises:
        RequestError: TOO_LONG, BAD_JSON, or BAD_FRAME for JSON that is no supported payload.
    """
    if len(body) > BODY_BYTES:
        raise RequestError(ErrorCode.TOO_LONG, f"The payload is too long: at most {BODY_BYTES:,} bytes.")
    is_form = content_type.lower() == FORM and not body.lstrip().startswith(b"{")
    payload = _decode(_form_payload(body) if is_form else body)
    source = ""
    if alertmanager.is_alertmanager(payload):
        source = alertmanager.source_of(payload)
        text, group = alertmanager.from_alertmanager(payload), alertmanager.group_word(payload)
        is_final = alertmanager.is_resolved(payload)
    elif slack.is_slack(payload):
        text, group, is_final = slack.from_slack(payload), "", False
    else:
        raise RequestError(ErrorCode.BAD_FRAME, _UNSUPPORTED)
    if not text.strip():
        raise RequestError(ErrorCode.EMPTY, "The payload has no text.")
    return HookPost(fitting(text, max_post_bytes, POST_LINES, source), group, is_final)


def _form_payload(body: bytes) -> bytes:
    """The field `payload` of a form. Raises RequestError."""
    try:
        fields = parse_qs(body.decode(), max_num_fields=100, errors="strict")
    except ValueError as error:
        raise RequestError(ErrorCode.BAD_FRAME, "The form is invalid.") from error
    values = fields.get("payload", [])
    if len(values) != 1:
        raise RequestError(ErrorCode.BAD_FRAME, "The form needs one field named payload with JSON in it.")
    return values[0].encode(errors="surrogatepass")


def _decode(data: bytes) -> Json:
    """The JSON object in `data`. Raises RequestError."""
    if _depth(data) > NESTING_MAX:
        raise RequestError(ErrorCode.BAD_JSON, "The JSON is nested too deeply.")
    try:
        payload = msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RequestError(ErrorCode.BAD_JSON, "The payload is not valid JSON.") from error
    if not isinstance(payload, dict):
        raise RequestError(ErrorCode.BAD_FRAME, _UNSUPPORTED)
    return payload


def _depth(data: bytes) -> int:
    """The nesting of arrays and objects in `data`; brackets in strings do not count."""
    depth = deepest = 0
    for bracket in _OTHERS.sub(b"", data):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in b"]}":
            depth -= 1
    return deepest
