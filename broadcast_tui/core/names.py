"""Rules for names of people and rooms: validation, normalization, and comparison by appearance.

Invariants: a checked name or room passes its check again unchanged. Two names that look alike have the same
key. The key is used for uniqueness, comparison and colors, and never displayed.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from unicodedata import category, normalize
from unicodedata import name as unicode_name

from broadcast_tui.core.confusables import HOMOGLYPHS, INVISIBLE
from broadcast_tui.core.errors import ErrorCode, InvalidNameError, RequestError
from broadcast_tui.core.lazy_pattern import lazy_pattern

MAX_NAME_CHARS = 32
MAX_NAME_BYTES = 96
MAX_ROOM_CHARS = 48

RESERVED_NAMES = (
    *("admin", "administrator", "mod", "moderator", "operator", "root", "server", "system"),
    *("all", "everyone", "here", "me", "nobody", "unknown", "you"),
)
"""Names that could be mistaken for the server or for everyone. Neither they nor look-alikes are allowed."""

DEFAULT_ROOM = "lobby"

DIRECT_SIGN = "@"
"""First character of the names of rooms for direct messages, and of no other room."""
DIRECTS_END = chr(ord(DIRECT_SIGN) + 1)
"""Sorts after the names of these rooms and before those that follow them."""
VOLATILE_SIGN = "~"
"""Part of the names of rooms that end with the server's process, and of no other room."""

GUEST = "guest-"
"""Prefix of the sender name of connections without a name."""

_MAX_RAW_CHARS = 256
"""Longer input is rejected or cut before normalization, which is quadratic for long runs of marks."""

_SPACES = lazy_pattern("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_NAME_SIGNS = frozenset("-_.' ")
_ROOM_SIGNS = frozenset("-_.")
_REPLACEMENTS = frozenset("\ufffc\ufffd")
"""Symbols that stand for missing content; a name made of them would look broken."""

_IGNORED_IN_KEYS = lazy_pattern(
    "[\u00ad\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u061c\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u180b-\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20d0-\u20f0\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\U000e0000-\U000e0fff]+"
)
"""Accents, points and invisible characters. The marks of Devanagari and later scripts are vowels and stay."""

_EAST_ASIAN = frozenset(
    {"BOPOMOFO", "CJK", "HANGUL", "HIRAGANA", "IDEOGRAPHIC", "KATAKANA", "KATAKANA-HIRAGANA", "LATIN"}
)
"""Scripts that one name may mix, by the first word of the Unicode names of their characters."""

_STACKING = frozenset({"HEBREW", "MYANMAR", "TIBETAN"})
"""Scripts with more than two marks on one letter."""


def check_name(raw: str) -> str:
    """Validate and normalize the name of a person: NFKC, single spaces, stripped.

    A name has 1 to 32 characters and at most 96 bytes: letters of one script, their marks, digits, symbols
    (emoji), spaces and `- _ . '`.

    Raises:
        InvalidNameError: `BAD_NAME`, or `NAME_RESERVED` if it looks like a reserved name.
    """
    cleaned = _SPACES.sub(" ", raw).strip(" ")
    if len(cleaned) <= _MAX_RAW_CHARS:
        cleaned = _SPACES.sub(" ", normalize("NFKC", cleaned)).strip(" ")
    fault = _name_fault(cleaned)
    if fault:
        raise InvalidNameError(ErrorCode.BAD_NAME, fault)
    if _is_reserved(cleaned):
        raise InvalidNameError(ErrorCode.NAME_RESERVED, "Choose another name: this one is reserved.")
    return cleaned


def check_not_guest(name: str) -> None:
    """Raise InvalidNameError (NAME_RESERVED) for a valid name that looks like one the server gives guests."""
    key = name_key(name)
    stem, rest = key[: len(_GUEST_STEM)].translate(_DIGITS_AS_LETTERS), key[len(_GUEST_STEM) :]
    if stem == _GUEST_STEM and _GUEST_REST.match(rest):
        raise InvalidNameError(
            ErrorCode.NAME_RESERVED, "Choose another name: this one is reserved for guests."
        )


def name_from(text: str) -> str:
    """A valid name made of `text`, such as a login name; empty if there is none.

    Characters that a name cannot contain become hyphens, and the end of a long text is dropped.
    """
    text = normalize("NFKC", text[:_MAX_RAW_CHARS])
    allowed = "".join(char if _is_allowed_in_name(char) else "-" for char in text)
    try:
        name = check_name(allowed.strip("-.' ")[:MAX_NAME_CHARS])
        check_not_guest(name)
    except InvalidNameError:
        return ""
    return name


def name_key(shown: str) -> str:
    """The skeleton of a name: its appearance, regardless of case, accents and script.

    Names that look alike (`Bob`, `B0B`) have the same key, and a key is its own key. Accepts any `str` and
    uses its first 256 characters; empty if no character is visible. Not for display.
    """
    key = normalize("NFKD", shown[:_MAX_RAW_CHARS]).casefold()
    key = normalize("NFKD", key).casefold().translate(HOMOGLYPHS)
    if not key.isascii():
        key = normalize("NFKD", _IGNORED_IN_KEYS.sub("", key))
    return key.replace("rn", "m").replace("vv", "w")[:_MAX_RAW_CHARS]


def check_room(raw: str) -> str:
    """Validate and normalize the name of a room: without a leading `#`, casefolded, NFKC.

    A room name has 1 to 48 characters: letters of any script with their marks, digits and `- _ .`, starting
    with a letter or digit.

    Raises:
        RequestError: `BAD_ROOM`.
    """
    room = raw.removeprefix("#")
    if len(room) <= _MAX_RAW_CHARS:
        for _ in range(2):
            room = normalize("NFKC", normalize("NFKC", room).casefold())
    fault = _room_fault(room)
    if fault:
        raise RequestError(ErrorCode.BAD_ROOM, fault)
    return room


def is_direct(room: str) -> bool:
    """Whether a room is for direct messages."""
    return room.startswith(DIRECT_SIGN)


def check_any_room(raw: str) -> str:
    """As `check_room`, but returns the name of a room for direct messages as it is.

    Access to such a room is checked separately.
    """
    return raw if is_direct(raw) else check_room(raw)


def are_too_many(rooms: Iterable[str], limit: int) -> bool:
    """Whether there are more than `limit` rooms of a connection; 0: unlimited.

    Those for direct messages are counted separately, since others can open them: they must not keep a person
    out of other rooms.
    """
    counts = Counter(map(is_direct, rooms))
    return 0 < limit < max(counts.values(), default=0)


def _name_fault(cleaned: str) -> str:
    """An error message for an invalid name; empty if it is valid."""
    if not cleaned:
        return "Enter a name."
    if len(cleaned) > MAX_NAME_CHARS:
        return f"Choose a shorter name: at most {MAX_NAME_CHARS} characters."
    if not all(_is_allowed_in_name(char) for char in cleaned):
        return "A name can only contain letters, digits, emoji, spaces and - _ . '"
    if len(cleaned.encode()) > MAX_NAME_BYTES:
        return f"Choose a shorter name: at most {MAX_NAME_BYTES} bytes."
    if cleaned[0] in "-.'" or category(cleaned[0])[0] == "M":
        return "A name must start with a letter, a digit, an emoji or _."
    if not _marks_fit(cleaned):
        return "A name can have at most two accents on a letter."
    scripts = {_script(char) for char in cleaned if category(char)[0] == "L"} - {"MODIFIER"}
    if len(scripts) > 1 and not scripts <= _EAST_ASIAN:
        return "A name cannot mix alphabets."
    if _is_address(cleaned):
        return "A name cannot be an IP address: a ban would be ambiguous."
    return ""


def _room_fault(room: str) -> str:
    """An error message for an invalid room name; empty if it is valid."""
    if not room:
        return "Enter a room name."
    if len(room) > MAX_ROOM_CHARS:
        return f"Choose a shorter room name: at most {MAX_ROOM_CHARS} characters."
    if category(room[0])[0] not in "LN" or room[0] in INVISIBLE:
        return "A room name must start with a letter or digit."
    if not all(
        char in _ROOM_SIGNS or (category(char)[0] in "LNM" and char not in INVISIBLE) for char in room
    ):
        return "A room name can only contain letters, digits and - _ ."
    if not _marks_fit(room):
        return "A room name can have at most two accents on a letter."
    return ""


def _is_allowed_in_name(char: str) -> bool:
    """Whether a character is allowed in a name."""
    if char in _NAME_SIGNS:
        return True
    kind = category(char)
    return (kind[0] in "LNM" or kind == "So") and char not in INVISIBLE and char not in _REPLACEMENTS


def _is_address(cleaned: str) -> bool:
    """Whether a name is an IPv4 address. IPv6 addresses have colons, which names cannot contain."""
    try:
        ipaddress.IPv4Address(cleaned)
    except ValueError:
        return False
    return True


def _marks_fit(text: str) -> bool:
    """Whether every mark follows a letter, digit or symbol, and no more marks are stacked than the script
    uses."""
    base = ""
    for are_marks, group in groupby(text, lambda char: category(char)[0] == "M"):
        chars = list(group)
        if are_marks:
            stacked = [char for char in chars if category(char) != "Mc"]
            is_stacking = bool(stacked) and _script(stacked[0]) in _STACKING
            if not base or base in _NAME_SIGNS or len(stacked) > (4 if is_stacking else 2) or len(chars) > 6:
                return False
        base = chars[-1]
    return True


def _script(char: str) -> str:
    """First word of the Unicode name of a character, the script of a letter; empty if it has no name."""
    return unicode_name(char, "").partition(" ")[0]


def _is_reserved(cleaned: str) -> bool:
    """Whether a name without its separators looks like one of `RESERVED_NAMES`."""
    key = _bare_key(cleaned)
    return key in _RESERVED_KEYS or key.replace("i", "l") in _RESERVED_KEYS_L


def _bare_key(shown: str) -> str:
    return name_key("".join(filter(str.isalnum, name_key(shown))))


_GUEST_STEM = name_key(GUEST.rstrip("-"))
_GUEST_REST = re.compile("-|[_.' ]?[0-9lo]+$")
"""What follows the stem: anything after a hyphen, or a number, in which a key has `l` for 1 and `o` for 0."""
_DIGITS_AS_LETTERS = str.maketrans("356", "esg")
_RESERVED_KEYS = frozenset(map(_bare_key, RESERVED_NAMES))
_RESERVED_KEYS_L = frozenset(key.replace("i", "l") for key in _RESERVED_KEYS if key != "all")
"""The same with `i` folded to `l` (ADM1N); without "all", which Ali would match."""
