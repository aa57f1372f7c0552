"""Sanitizing of untrusted text: posts, lines, screen output and log fields.

Invariants: results contain no control characters except LF (and TAB, from `clean_post`), no bidirectional
overrides, no lone surrogates and no private-use characters. No word starts or ends with a joiner, and at most
eight zero-width characters follow each other. All functions accept any `str`, take linear time, and are
idempotent.

Escape sequences are not parsed. Their introducers (ESC and C1) are removed, which makes the rest inert.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

from broadcast_tui.core.confusables import COMBINING, COMBINING_BMP, INVISIBLE, JOINERS
from broadcast_tui.core.errors import ErrorCode, RequestError

MAX_POST_LINES = 1_000
"""Maximum number of lines in a post. A longer post is rejected, never cut."""

MAX_COMBINING = 8
"""Maximum number of combining characters (marks, joiners and the like) after one base character."""

REPLACEMENT = "\ufffd"

_CONTROLS = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"
_BIDI = "\\u202a-\\u202e\\u2066-\\u2069"
_INVISIBLE_FORMAT = (
    "\u00ad\u034f\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff0-\ufffb"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_PLANE_ENDS = "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0xF0000, 0x10000))
_PRIVATE_USE = f"\ue000-\uf8ff\ufdd0-\ufdef{_PLANE_ENDS}\U000f0000-\U0010ffff"
_SURROGATES = "\\ud800-\\udfff"
_REGION_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f"
"""A subdivision flag (Scotland): black flag, tag characters, cancel tag."""

_PLAIN_POST = re.compile("[\t\n -~]*")
_PLAIN_SCREEN = re.compile("[\n -~]*")
_PLAIN_LINE = re.compile("[ -~]*")

_BREAKS_IN_POST = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_LINE_ENDS = re.compile("\n+")
_BREAKS_ON_SCREEN = re.compile("\r\n|[\r\u2028\u2029]")

_SUSPECT = re.compile(f"[\t{_CONTROLS}\u2028\u2029{_BIDI}{_INVISIBLE_FORMAT}{_PRIVATE_USE}{_SURROGATES}]")
"""Matches whatever the breaks above, `_UNWANTED_IN_POST` and `_HIDDEN_ON_SCREEN` match.

One search is many times faster than those.
"""
_UNWANTED_IN_POST = re.compile(
    f"({_REGION_FLAG})|([{_PRIVATE_USE}])|[{_CONTROLS}{_BIDI}{_INVISIBLE_FORMAT}]+"
)
_HIDDEN_ON_SCREEN = re.compile(
    f"({_REGION_FLAG})|[\t{_CONTROLS}{_BIDI}{_INVISIBLE_FORMAT}{_PRIVATE_USE}{_SURROGATES}]"
)
_COMBINING_RUN = re.compile(f"[{COMBINING}]+")
_COMBINING_RUN_BMP = re.compile(f"[{COMBINING_BMP}]+")
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_REPEATED_JOINERS = re.compile(f"([{JOINERS}])[{JOINERS}]+")
_UNLOGGABLE = re.compile(
    f"[\t\n{_CONTROLS}\u2028\u2029{_BIDI}{_INVISIBLE_FORMAT}{_PRIVATE_USE}{_SURROGATES}{JOINERS}\u200e\u200f\u061c]"
)
_CUT_ESCAPE = re.compile(r"\\(?:x[0-9a-f]?|u[0-9a-f]{0,3}|U[0-9a-f]{0,7})?\Z")


def clean_line(text: str, max_bytes: int) -> str:
    """Sanitize a single line, such as a topic: as `clean_post`, without line breaks; may be empty.

    Raises:
        RequestError: As `clean_post`, except `EMPTY`.
    """
    try:
        return " ".join(clean_post(text, max_bytes).split())
    except RequestError as error:
        if error.code is ErrorCode.EMPTY:
            return ""
        raise


def clean_post(text: str, max_bytes: int) -> str:
    """Sanitize the text of a post: NFC, LF line ends, no terminal control characters.

    Markup, URLs, backslashes, right-to-left text, scripts with marks and emoji sequences stay unchanged.
    Trailing white space is removed from lines and from the post.

    Args:
        text: The untrusted text.
        max_bytes: Maximum length in bytes of UTF-8, before and after sanitizing; 0: unlimited.

    Raises:
        RequestError: `TOO_LONG` (bytes, or more than `MAX_POST_LINES` lines), `EMPTY` (no visible text) or
            `BAD_FRAME` (a lone surrogate, which UTF-8 cannot encode).
    """
    _check_length(text, max_bytes)
    if not _PLAIN_POST.fullmatch(text):
        if _SUSPECT.search(text):
            text = _UNWANTED_IN_POST.sub(_replace_unwanted, _BREAKS_IN_POST.sub("\n", text))
        text = _compose(_cap_combining(text))
        _check_length(text, max_bytes)
    text = "\n".join(map(str.rstrip, text.split("\n"))).rstrip() if "\n" in text else text.rstrip()
    if text.count("\n") >= MAX_POST_LINES:
        raise RequestError(ErrorCode.TOO_LONG, f"Message too long: at most {MAX_POST_LINES:,} lines.")
    if not any(map(_has_ink, text.lstrip(INVISIBLE))):
        raise RequestError(ErrorCode.EMPTY, "The message has no visible text.")
    return text


def too_long_reason(max_bytes: int) -> str:
    """The error message for a post longer than `max_bytes` bytes of UTF-8."""
    return f"Message too long: at most {max_bytes:,} bytes."


def visible(text: str) -> str:
    """Sanitize text for display, on one or more lines; makes hidden characters visible.

    Control characters become control pictures (ESC: U+241B); C1 controls, overrides, surrogates, private-use
    and invisible characters become U+FFFD; TAB becomes four spaces; CR, CRLF, U+2028 and U+2029 become LF.
    Markup stays: pass the result to `Content`, never to a function that parses markup.
    """
    if _PLAIN_SCREEN.fullmatch(text):
        return text
    if _SUSPECT.search(text):
        text = _HIDDEN_ON_SCREEN.sub(_replace_on_screen, _BREAKS_ON_SCREEN.sub("\n", text))
    return _cap_combining(text)


def visible_line(text: str) -> str:
    """Sanitize text for a single line, such as a name: as `visible`, with line breaks as spaces."""
    if _PLAIN_LINE.fullmatch(text):
        return text
    return _LINE_ENDS.sub(" ", visible(text))


def log_safe(text: str, limit: int = 200) -> str:
    r"""Sanitize text for a log field: controls, line breaks and invisible characters as `\x1b` or `\u202e`.

    The result has at most `limit` characters and ends with an ellipsis if it was cut; escapes are not split.
    Letters and marks of any script stay readable.
    """
    if len(text) <= limit and _PLAIN_LINE.fullmatch(text):
        return text
    escaped = _UNLOGGABLE.sub(_escaped, _COMBINING_RUN.sub(_escape_excess, text[: max(limit, 0) + 1]))
    if len(escaped) <= limit and len(text) <= limit:
        return escaped
    return _CUT_ESCAPE.sub("", escaped[: limit - 1]) + "\u2026" if limit > 0 else ""


def _check_length(text: str, max_bytes: int) -> None:
    """Raise RequestError if `text` is longer than `max_bytes` in UTF-8 or cannot be encoded."""
    too_long = max_bytes > 0 and len(text) > max_bytes
    if not too_long and not text.isascii():
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            reason = "The message contains a lone surrogate."
            raise RequestError(ErrorCode.BAD_FRAME, reason) from None
        too_long = 0 < max_bytes < size
    if too_long:
        raise RequestError(ErrorCode.TOO_LONG, too_long_reason(max_bytes))


def _compose(text: str) -> str:
    """Normalize `text` to NFC, with capped runs of combining characters before and after.

    The caps come before the first `normalize` too: it sorts a run of marks in quadratic time.
    """
    composed = normalize("NFC", text)
    return text if composed == text else normalize("NFC", _cap_combining(composed))


def _has_ink(char: str) -> bool:
    """Whether a character is visible on its own."""
    return char not in INVISIBLE and category(char) not in {"Cc", "Cf", "Mn", "Me", "Zs"}


def _replace_unwanted(match: re.Match[str]) -> str:
    """The replacement in a post: a flag is unchanged, private-use is U+FFFD, everything else is removed."""
    flag, private_use = match.groups()
    return str(flag or (private_use and REPLACEMENT) or "")


def _replace_on_screen(match: re.Match[str]) -> str:
    """The replacement on a screen."""
    char = match[0]
    if match[1] is not None:
        return char
    if char == "\t":
        return "    "
    if char < " ":
        return chr(0x2400 + ord(char))
    return "\u2421" if char == "\x7f" else REPLACEMENT


def _cap_combining(text: str) -> str:
    """Cap the runs of combining characters in `text`."""
    run = _COMBINING_RUN if _BEYOND_BMP.search(text) else _COMBINING_RUN_BMP
    return run.sub(_cap_run, text)


def _cap_run(match: re.Match[str]) -> str:
    """The capped replacement of a run of combining characters.

    Joiners stay only between two characters that are not blank, and one at a time: line wrapping in Textual
    8.2 fails (measured) on a word that starts with two of them and an emoji. Marks at the start of a line are
    removed, since they would combine with whatever is drawn to its left.
    """
    text, run = match.string, match[0]
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
    if match.start() == 0 or before == "\n":
        run = "".join(char for char in run if category(char) not in {"Mn", "Me"} and char not in JOINERS)
    elif before.isspace():
        run = "".join(char for char in run if char not in JOINERS)
    else:
        run = _REPEATED_JOINERS.sub(r"\1", run)
    run = run[:MAX_COMBINING]
    return run.rstrip(JOINERS) if not after or after.isspace() else run


def _escape_excess(match: re.Match[str]) -> str:
    """A run of combining characters, with those above the cap escaped."""
    run = match[0]
    return run[:MAX_COMBINING] + "".join(map(_escape, run[MAX_COMBINING:]))


def _escaped(match: re.Match[str]) -> str:
    return _escape(match[0])


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
