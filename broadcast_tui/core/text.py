"""Text of strangers made harmless: on the way in, on the way to a screen, on the way to a log.

Invariants: what leaves this module has no control character but LF (and TAB, from `clean_post`), no
bidirectional override, no lone surrogate and no private-use character. Every word begins and ends without a
joiner, and at most eight characters that take no cell of their own follow each other. All functions take any
`str`, in time linear in its length, and change nothing when applied to their own result.

The introducers of escape sequences go, the sequences are not parsed: without ESC and C1 the rest is inert.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

from broadcast_tui.core.confusables import COMBINING, COMBINING_BMP, INVISIBLE, JOINERS
from broadcast_tui.core.errors import ErrorCode, RequestError

MAX_POST_LINES = 1_000
"""Lines of the longest post that is taken; a longer paste is refused, never cut."""

MAX_CLINGING = 8
"""Combining marks, joiners and the like that may follow one base character."""

REPLACEMENT = "\ufffd"

_CONTROLS = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"
_BIDI = "\\u202a-\\u202e\\u2066-\\u2069"
_UNSEEN = (
    "\u00ad\u034f\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff0-\ufffb"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_PLANE_ENDS = "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0xF0000, 0x10000))
_ALIEN = f"\ue000-\uf8ff\ufdd0-\ufdef{_PLANE_ENDS}\U000f0000-\U0010ffff"
_SURROGATES = "\\ud800-\\udfff"
_REGION_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f"
"""A flag of a part of a country (Scotland): black flag, tag characters, cancel tag."""

_PLAIN_POST = re.compile("[\t\n -~]*")
_PLAIN_SCREEN = re.compile("[\n -~]*")
_PLAIN_LINE = re.compile("[ -~]*")

_BREAKS_IN_POST = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_LINE_ENDS = re.compile("\n+")
_BREAKS_ON_SCREEN = re.compile("\r\n|[\r\u2028\u2029]")

_SUSPECT = re.compile(f"[\t{_CONTROLS}\u2028\u2029{_BIDI}{_UNSEEN}{_ALIEN}{_SURROGATES}]")
"""Whatever the breaks above, `_UNWANTED` and `_ODD` look for; one search is many times faster than those."""
_UNWANTED = re.compile(f"({_REGION_FLAG})|([{_ALIEN}])|[{_CONTROLS}{_BIDI}{_UNSEEN}]+")
_ODD = re.compile(f"({_REGION_FLAG})|[\t{_CONTROLS}{_BIDI}{_UNSEEN}{_ALIEN}{_SURROGATES}]")
_CLINGING_RUN = re.compile(f"[{COMBINING}]+")
_CLINGING_RUN_IN_BMP = re.compile(f"[{COMBINING_BMP}]+")
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_JOINERS_IN_A_ROW = re.compile(f"([{JOINERS}])[{JOINERS}]+")
_UNLOGGABLE = re.compile(
    f"[\t\n{_CONTROLS}\u2028\u2029{_BIDI}{_UNSEEN}{_ALIEN}{_SURROGATES}{JOINERS}\u200e\u200f\u061c]"
)
_CUT_ESCAPE = re.compile(r"\\(?:x[0-9a-f]?|u[0-9a-f]{0,3}|U[0-9a-f]{0,7})?\Z")


def clean_line(text: str, max_bytes: int) -> str:
    """One line about a room or a person, as `clean_post` but without breaks; nothing to see is empty.

    Raises:
        Refused: as `clean_post`, but never `EMPTY`.
    """
    try:
        return " ".join(clean_post(text, max_bytes).split())
    except RequestError as refused:
        if refused.code is ErrorCode.EMPTY:
            return ""
        raise


def clean_post(text: str, max_bytes: int) -> str:
    """The text of a post as the server keeps it: NFC, LF line ends, nothing that drives a terminal.

    Markup, addresses, backslashes, right-to-left text, scripts with marks and emoji sequences stay as they
    are. Blanks at the ends of lines and of the post go.

    Args:
        text: What the peer sent.
        max_bytes: Longest post in bytes of UTF-8, before and after cleaning; 0: unlimited.

    Raises:
        Refused: The peer's fault: `TOO_LONG` (bytes, or more than `MAX_POST_LINES` lines), `EMPTY` (nothing
            of it could be seen) or `BAD_FRAME` (a lone surrogate, which UTF-8 cannot carry).
    """
    _refuse_long(text, max_bytes)
    if not _PLAIN_POST.fullmatch(text):
        if _SUSPECT.search(text):
            text = _UNWANTED.sub(_without_unwanted, _BREAKS_IN_POST.sub("\n", text))
        text = _composed(_tamed(text))
        _refuse_long(text, max_bytes)
    text = "\n".join(map(str.rstrip, text.split("\n"))).rstrip() if "\n" in text else text.rstrip()
    if text.count("\n") >= MAX_POST_LINES:
        raise RequestError(ErrorCode.TOO_LONG, f"Shorten the message: at most {MAX_POST_LINES:,} lines.")
    if not any(map(_has_ink, text.lstrip(INVISIBLE))):
        raise RequestError(ErrorCode.EMPTY, "Write something: the message has no visible text.")
    return text


def too_long_reason(max_bytes: int) -> str:
    """Why a post of more than so many bytes of UTF-8 is refused."""
    return f"Shorten the message: at most {max_bytes:,} bytes."


def visible(text: str) -> str:
    """`text` for a screen, of one or more lines; what an attack would hide is shown instead.

    Control characters become their pictures (ESC: U+241B), C1, overrides, surrogates, private-use and unseen
    characters U+FFFD, TAB four spaces, and CR, CRLF, U+2028 and U+2029 LF. Markup in it is kept: it belongs
    into `Content`, never into a markup string.
    """
    if _PLAIN_SCREEN.fullmatch(text):
        return text
    if _SUSPECT.search(text):
        text = _ODD.sub(_shown, _BREAKS_ON_SCREEN.sub("\n", text))
    return _tamed(text)


def visible_line(text: str) -> str:
    """As `visible`, for a place of one line (a name, a title, a notice): line ends in a row are one space."""
    if _PLAIN_LINE.fullmatch(text):
        return text
    return _LINE_ENDS.sub(" ", visible(text))


def log_safe(text: str, limit: int = 200) -> str:
    r"""`text` as one field of a log line: controls, line ends and what is unseen as `\x1b` or `\u202e`.

    The result has at most `limit` characters; the last one is an ellipsis if something was cut off, and no
    escape is cut in two. Letters and marks of any script stay readable.
    """
    if len(text) <= limit and _PLAIN_LINE.fullmatch(text):
        return text
    escaped = _UNLOGGABLE.sub(_escaped, _CLINGING_RUN.sub(_rest_escaped, text[: max(limit, 0) + 1]))
    if len(escaped) <= limit and len(text) <= limit:
        return escaped
    return _CUT_ESCAPE.sub("", escaped[: limit - 1]) + "\u2026" if limit > 0 else ""


def _refuse_long(text: str, max_bytes: int) -> None:
    """Refuse what is longer than `max_bytes` in UTF-8, and what UTF-8 cannot carry."""
    too_long = max_bytes > 0 and len(text) > max_bytes
    if not too_long and not text.isascii():
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            reason = "Send whole characters: the message has half of a surrogate pair."
            raise RequestError(ErrorCode.BAD_FRAME, reason) from None
        too_long = 0 < max_bytes < size
    if too_long:
        raise RequestError(ErrorCode.TOO_LONG, too_long_reason(max_bytes))


def _composed(text: str) -> str:
    """`text`, whose runs of clinging characters are capped, in NFC and capped still.

    The caps come before the first `normalize` too: it sorts a run of marks in quadratic time.
    """
    composed = normalize("NFC", text)
    return text if composed == text else normalize("NFC", _tamed(composed))


def _has_ink(char: str) -> bool:
    """Whether `char` alone leaves something to see."""
    return char not in INVISIBLE and category(char) not in {"Cc", "Cf", "Mn", "Me", "Zs"}


def _without_unwanted(match: re.Match[str]) -> str:
    """What a post keeps of it: a region's flag, U+FFFD for what has no agreed meaning, else nothing."""
    flag, alien = match.groups()
    return str(flag or (alien and REPLACEMENT) or "")


def _shown(match: re.Match[str]) -> str:
    """What a screen shows for it."""
    odd = match[0]
    if match[1] is not None:
        return odd
    if odd == "\t":
        return "    "
    if odd < " ":
        return chr(0x2400 + ord(odd))
    return "\u2421" if odd == "\x7f" else REPLACEMENT


def _tamed(text: str) -> str:
    """`text` with its runs of clinging characters capped."""
    run = _CLINGING_RUN if _BEYOND_BMP.search(text) else _CLINGING_RUN_IN_BMP
    return run.sub(_tame, text)


def _tame(match: re.Match[str]) -> str:
    """What is kept of a run of clinging characters, so that none hangs on nothing and none piles up.

    Joiners stay only between two characters that are no blanks, and one at a time: the line wrapping of
    Textual 8.2 fails (measured) on a word that starts with two of them and an emoji. Marks at the start of a
    line would sit on whatever is drawn left of it.
    """
    text, run = match.string, match[0]
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
    if match.start() == 0 or before == "\n":
        run = "".join(char for char in run if category(char) not in {"Mn", "Me"} and char not in JOINERS)
    elif before.isspace():
        run = "".join(char for char in run if char not in JOINERS)
    else:
        run = _JOINERS_IN_A_ROW.sub(r"\1", run)
    run = run[:MAX_CLINGING]
    return run.rstrip(JOINERS) if not after or after.isspace() else run


def _rest_escaped(match: re.Match[str]) -> str:
    """A run of clinging characters with those above the cap as escapes."""
    run = match[0]
    return run[:MAX_CLINGING] + "".join(map(_escape, run[MAX_CLINGING:]))


def _escaped(match: re.Match[str]) -> str:
    return _escape(match[0])


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
