"""Sanitizing of untrusted text: posts, lines, screen output and log fields.

Invariants: results contain no control characters except LF (and TAB, from `clean_post`), no bidirectional
overrides, no lone surrogates and no private-use characters. No word starts or ends with a joiner, and at most
eight zero-width characters follow each other. All functions accept any `str`, take linear time, and are
idempotent.

Posts are sanitized in the event loop of the server, and their authors choose the text that takes longest.
Therefore `clean_post` replaces with constant strings only, which `re` does without calling Python: a function
for each match takes up to fifty times as long.

Escape sequences are not parsed. Their introducers (ESC and C1) are removed, which makes the rest inert.
"""

from __future__ import annotations

import re
from functools import cache
from unicodedata import category, normalize

from broadcast_tui.core.confusables import COMBINING, COMBINING_BMP, INVISIBLE, JOINERS
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.lazy_pattern import lazy_pattern

MAX_POST_LINES = 1_000
"""Maximum number of lines in a post. A longer post is rejected, never cut."""

MAX_COMBINING = 8
"""Maximum number of combining characters (marks, joiners and the like) after one base character."""

REPLACEMENT = "\ufffd"

REACTION_CHARS = 8
"""Maximum number of code points in a reaction; a family of four has 7."""
REACTION_BYTES = 32
"""Maximum length of a reaction in bytes of UTF-8."""
_NO_REACTION = frozenset(f"{INVISIBLE}{REPLACEMENT}\u200c\u200e\u200f\u061c")
"""Characters that a post may contain, but a reaction may not: they hide, or change the direction."""

_CONTROLS = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"
_BIDI = "\\u202a-\\u202e\\u2066-\\u2069"
_INVISIBLE_BMP = "\u00ad\u034f\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff0-\ufffb"
_INVISIBLE_BEYOND = "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
_INVISIBLE_FORMAT = _INVISIBLE_BMP + _INVISIBLE_BEYOND
_PLANE_ENDS = "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0xF0000, 0x10000))
_PRIVATE_BMP = f"\ue000-\uf8ff\ufdd0-\ufdef{_PLANE_ENDS[:2]}"
_PRIVATE_BEYOND = f"{_PLANE_ENDS[2:]}\U000f0000-\U0010ffff"
_PRIVATE_USE = _PRIVATE_BMP + _PRIVATE_BEYOND
_SURROGATES = "\\ud800-\\udfff"
_BLACK_FLAG = "\U0001f3f4"
_REGION_FLAG = f"{_BLACK_FLAG}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{2,6}}\U000e007f"
"""A subdivision flag (Scotland): black flag, tag characters, cancel tag."""

_PLAIN_POST = re.compile("[\t\n -~]*")
_PLAIN_SCREEN = re.compile("[\n -~]*")
_PLAIN_LINE = re.compile("[ -~]*")

_BREAKS_IN_POST = ("\r\n", *"\r\x0b\x0c\x85\u2028\u2029")
_LINE_ENDS = re.compile("\n+")
_BREAKS_ON_SCREEN = re.compile("\r\n|[\r\u2028\u2029]")

_SUSPECT = re.compile(f"[\t{_CONTROLS}\u2028\u2029{_BIDI}{_INVISIBLE_BMP}{_PRIVATE_BMP}{_SURROGATES}]")
_SUSPECT_BEYOND_BMP = re.compile(f"[{_INVISIBLE_BEYOND}{_PRIVATE_BEYOND}]")
_FLAGS = lazy_pattern(f"({_REGION_FLAG})")
_PRIVATE = lazy_pattern(f"[{_PRIVATE_USE}]")
_UNWANTED = lazy_pattern(f"[{_CONTROLS}{_BIDI}{_INVISIBLE_FORMAT}]+")
_FLAG_GAP = "\ud800"
"""Stands for a flag while the rest of a post is sanitized: a post contains no surrogates."""
_HIDDEN_ON_SCREEN = lazy_pattern(
    f"({_REGION_FLAG})|[\t{_CONTROLS}{_BIDI}{_INVISIBLE_FORMAT}{_PRIVATE_USE}{_SURROGATES}]"
)
_COMBINING_RUN = lazy_pattern(f"[{COMBINING}]+")
_COMBINING_BMP = re.compile(f"[{COMBINING_BMP}]")
_OTHER_LINE_START = lazy_pattern(f"^[{COMBINING_BMP}\ue000-\uf8ff]", re.MULTILINE)
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_REPEATED_JOINERS = lazy_pattern(f"[{JOINERS}](?<=[{JOINERS}]{{2}})[{JOINERS}]*")
_STRAY_JOINERS = lazy_pattern(f"[{JOINERS}](?:(?<=\\s.)|(?=\\s|\\Z))", re.DOTALL)
"""Joiners next to white space or at the end, once they are not repeated."""
_UNLOGGABLE = lazy_pattern(
    f"[\t\n{_CONTROLS}\u2028\u2029{_BIDI}{_INVISIBLE_FORMAT}{_PRIVATE_USE}{_SURROGATES}{JOINERS}\u200e\u200f\u061c]"
)
_CUT_ESCAPE = lazy_pattern(r"\\(?:x[0-9a-f]?|u[0-9a-f]{0,3}|U[0-9a-f]{0,7})?\Z")


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
        if _is_suspect(text):
            text = _remove_unwanted(_normalize_breaks(text))
        text = _compose(_cap_combining(text), max_bytes)
    text = text.rstrip()
    if text.count("\n") >= MAX_POST_LINES:
        raise RequestError(ErrorCode.TOO_LONG, f"Message too long: at most {MAX_POST_LINES:,} lines.")
    if "\n" in text:
        text = "\n".join(map(str.rstrip, text.split("\n")))
    start = text.lstrip(INVISIBLE)
    if not (any(map(_has_ink, start[:8])) or any(map(_has_ink, set(start)))):
        raise RequestError(ErrorCode.EMPTY, "The message has no visible text.")
    return text


def check_reaction(raw: str) -> str:
    """Validate and normalize (NFC) a reaction, such as an emoji: a short visible text without white space.

    Raises:
        RequestError: `BAD_FRAME`.
    """
    try:
        key = clean_line(raw, 0)
    except RequestError:
        key = ""
    if (
        not key
        or key != normalize("NFC", raw)
        or len(key) > REACTION_CHARS
        or len(key.encode()) > REACTION_BYTES
        or not _NO_REACTION.isdisjoint(key)
        or any(map(str.isspace, key))
    ):
        raise RequestError(
            ErrorCode.BAD_FRAME, f"Invalid reaction. Use an emoji, or up to {REACTION_CHARS} characters."
        )
    return key


def size_in_utf8(text: str) -> int:
    """Length in bytes of UTF-8; a lone surrogate, which has no encoding, counts 3."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


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
    if _is_suspect(text):
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


def _compose(text: str, max_bytes: int) -> str:
    """Normalize `text` to NFC, with capped runs of combining characters before and after.

    The caps come before the first `normalize` too: it sorts a run of marks in quadratic time. Raises
    RequestError if the result is too long.
    """
    composed = normalize("NFC", text)
    if composed == text:
        return text
    _check_length(composed, max_bytes)
    return normalize("NFC", _cap_combining(composed))


def _is_suspect(text: str) -> bool:
    """Whether `text` contains anything that the breaks, `_PRIVATE`, `_UNWANTED` or `_HIDDEN_ON_SCREEN` match.

    Two searches in ordinary text are many times faster than those. They are apart since `re` looks up a
    character of the BMP in a table, but compares it with each range beyond.
    """
    return bool(_SUSPECT.search(text) or (_BEYOND_BMP.search(text) and _SUSPECT_BEYOND_BMP.search(text)))


def _normalize_breaks(text: str) -> str:
    """Replace all kinds of line breaks in a post with LF."""
    for line_break in _BREAKS_IN_POST:
        text = text.replace(line_break, "\n")
    return text


def _has_ink(char: str) -> bool:
    """Whether a character is visible on its own."""
    return char not in INVISIBLE and category(char) not in {"Cc", "Cf", "Mn", "Me", "Zs"}


def _remove_unwanted(text: str) -> str:
    """Remove the characters that posts must not contain; private-use ones are replaced, flags unchanged."""
    pieces = _FLAGS.split(text) if _BLACK_FLAG in text else [text]
    flags = pieces[1::2]
    text = _FLAG_GAP.join(pieces[::2])
    text = _UNWANTED.sub("", _PRIVATE.sub(REPLACEMENT, text))
    if not flags:
        return text
    pieces[::2] = text.split(_FLAG_GAP)
    return "".join(pieces)


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


def _chars_of(char_class: str) -> str:
    """The characters of a regular expression's character class."""
    ranges = re.findall("(.)-(.)|(.)", char_class)
    return "".join(
        chr(code) for first, last, only in ranges for code in range(ord(first or only), ord(last or only) + 1)
    )


def _hangs(char: str) -> bool:
    """Whether a combining character must not start a line: a joiner, or a mark, which would combine with
    whatever is drawn to its left."""
    return char in JOINERS or category(char) in {"Mn", "Me"}


def _stand_ins() -> dict[str, str]:
    """Private-use characters of the BMP for the combining characters beyond it: from U+E000 for those that
    hang, from U+F000 for the others."""
    beyond = _chars_of(COMBINING.removeprefix(COMBINING_BMP))
    groups = [char for char in beyond if _hangs(char)], [char for char in beyond if not _hangs(char)]
    return {
        char: chr(start + number)
        for start, group in zip((0xE000, 0xF000), groups, strict=True)
        for number, char in enumerate(group)
    }


_STAND_INS = _stand_ins()
_REPLACED = {stand_in: char for char, stand_in in _STAND_INS.items()}
_IN_RUN = f"{COMBINING_BMP}\ue000-\uf8ff"
_HANGING = "".join(filter(_hangs, _chars_of(COMBINING_BMP))) + "\ue000-\uefff"
_EXCESS = lazy_pattern(f"[{_IN_RUN}](?<=[{_IN_RUN}]{{{MAX_COMBINING + 1}}})[{_IN_RUN}]*")
_LINE_START = lazy_pattern(f"^[{_HANGING}]+", re.MULTILINE)


@cache
def _later_in_line_start() -> list[re.Pattern[str]]:
    """Patterns of characters that hang after 1 to 7 others that do not, in a run at the start of a line.

    Such lines are rare, and the patterns take 20 ms to compile.
    """
    other = "".join(char for char in _chars_of(COMBINING_BMP) if not _hangs(char)) + "\uf000-\uf8ff"
    return [
        re.compile(f"[{_HANGING}](?<=^[{other}]{{{count}}}.)[{_HANGING}]*", re.MULTILINE)
        for count in range(1, MAX_COMBINING)
    ]


def _cap_combining(text: str) -> str:
    """Limit runs of combining characters in a text without private-use characters.

    - A run has at most `MAX_COMBINING` characters.
    - Joiners stay only between two characters that are not blank, and one at a time: line wrapping in Textual
      8.2 fails (measured) on a word that starts with two of them and an emoji.
    - Marks at the start of a line are removed.
    """
    has_stand_ins = not _STAND_INS.keys().isdisjoint(_BEYOND_BMP.findall(text))
    if has_stand_ins:
        # In a class with characters beyond the BMP, `re` compares with one range after the other.
        text = "".join(map(_STAND_INS.get, text, text))
    elif not _COMBINING_BMP.search(text):
        return text
    text = _LINE_START.sub("", _EXCESS.sub("", text))
    if _OTHER_LINE_START.search(text):
        for pattern in _later_in_line_start():
            text = pattern.sub("", text)
    text = _STRAY_JOINERS.sub("", _REPEATED_JOINERS.sub("", text))
    return "".join(map(_REPLACED.get, text, text)) if has_stand_ins else text


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
