"""Names of people and rooms: which can be had, in what form, and which pass for the same.

Invariants: a checked name or room passes its check again unchanged. Two names that look alike have the
same key; the key is for comparing, for uniqueness and for colors, never for showing.
"""

from __future__ import annotations

import ipaddress
import re
from itertools import groupby
from unicodedata import category, normalize
from unicodedata import name as unicode_name

from broadcast_tui.core.confusables import HOMOGLYPHS, INVISIBLE
from broadcast_tui.core.errors import ErrorCode, InvalidNameError, RequestError
from broadcast_tui.core.limits import Limits

MAX_NAME_CHARS = 32
MAX_NAME_BYTES = 96
MAX_ROOM_CHARS = Limits().max_room_chars

RESERVED_NAMES = (
    *("admin", "administrator", "mod", "moderator", "operator", "root", "server", "system"),
    *("all", "everyone", "here", "me", "nobody", "unknown", "you"),
)
"""Names that speak for the server or for everyone; nobody may have one, nor a look-alike of it."""

_MAX_RAW_CHARS = 256
"""Longer input is refused or cut unread: normalizing takes quadratic time for long runs of marks."""

_SPACES = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_NAME_SIGNS = frozenset("-_.' ")
_ROOM_SIGNS = frozenset("-_.")
_STAND_INS = frozenset("\ufffc\ufffd")
"""Symbols shown in place of something else; a name of them would pass for a broken one."""

_KEY_IGNORES = re.compile(
    "[\u00ad\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u061c\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u180b-\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20d0-\u20f0\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\U000e0000-\U000e0fff]+"
)
"""Accents, points and what is not seen. The marks of the scripts from Devanagari on are vowels and stay."""

_EAST_ASIAN = frozenset(
    {"BOPOMOFO", "CJK", "HANGUL", "HIRAGANA", "IDEOGRAPHIC", "KATAKANA", "KATAKANA-HIRAGANA", "LATIN"}
)
"""Scripts that one name may mix, by the first word of their characters' names."""

_STACKING = frozenset({"HEBREW", "MYANMAR", "TIBETAN"})
"""Scripts that put more than two marks above and below one letter."""


def check_name(raw: str) -> str:
    """`raw` as a person's name in its one form: NFKC, single spaces, none at the ends.

    Such a name has 1 to 32 characters and at most 96 bytes: letters of one script, their marks, digits,
    symbols (emoji), spaces and `- _ . '`.

    Raises:
        InvalidNameError: `BAD_NAME`, or `NAME_RESERVED` if it looks like a name nobody may have.
    """
    cleaned = _SPACES.sub(" ", raw).strip(" ")
    if len(cleaned) <= _MAX_RAW_CHARS:
        cleaned = _SPACES.sub(" ", normalize("NFKC", cleaned)).strip(" ")
    fault = _fault_of_name(cleaned)
    if fault:
        raise InvalidNameError(ErrorCode.BAD_NAME, fault)
    if _is_reserved(cleaned):
        raise InvalidNameError(ErrorCode.NAME_RESERVED, "Choose another name: this one is reserved.")
    return cleaned


def name_key(shown: str) -> str:
    """What `shown` looks like, whatever its case, accents and script.

    Equal for names that pass for each other (`Bob`, `B0B`), and its own key. Takes any `str`, of which the
    first 256 characters count; empty when nothing of it is seen. Not for showing.
    """
    key = normalize("NFKD", shown[:_MAX_RAW_CHARS]).casefold()
    key = normalize("NFKD", key).casefold().translate(HOMOGLYPHS)
    key = normalize("NFKD", _KEY_IGNORES.sub("", key))
    return key.replace("rn", "m").replace("vv", "w")[:_MAX_RAW_CHARS]


def check_room(raw: str) -> str:
    """`raw` as a room's name in its one form: without a leading `#`, casefolded, NFKC.

    Such a name has 1 to 48 characters: letters of any script with their marks, digits and `- _ .`, a letter
    or digit first.

    Raises:
        Refused: `BAD_ROOM`.
    """
    room = raw.removeprefix("#")
    if len(room) <= _MAX_RAW_CHARS:
        for _ in range(2):
            room = normalize("NFKC", normalize("NFKC", room).casefold())
    fault = _fault_of_room(room)
    if fault:
        raise RequestError(ErrorCode.BAD_ROOM, fault)
    return room


def _fault_of_name(cleaned: str) -> str:
    """What must be changed about a name; empty if nothing."""
    if not cleaned:
        return "Choose a name: it is empty."
    if len(cleaned) > MAX_NAME_CHARS:
        return f"Choose a shorter name: at most {MAX_NAME_CHARS} characters."
    if not all(_fits_name(char) for char in cleaned):
        return "Choose a name of letters, digits, emoji, spaces and - _ . ' only."
    if len(cleaned.encode()) > MAX_NAME_BYTES:
        return f"Choose a shorter name: at most {MAX_NAME_BYTES} bytes."
    if cleaned[0] in "-.'" or category(cleaned[0])[0] == "M":
        return "Choose a name that starts with a letter, a digit, an emoji or _."
    if not _marks_fit(cleaned):
        return "Choose a name with fewer accents: at most two on a letter."
    scripts = {_script(char) for char in cleaned if category(char)[0] == "L"} - {"MODIFIER"}
    if len(scripts) > 1 and not scripts <= _EAST_ASIAN:
        return "Choose a name in one alphabet: it mixes several."
    if _is_address(cleaned):
        return "Choose a name that is no network address: a ban could mean either."
    return ""


def _fault_of_room(room: str) -> str:
    """What must be changed about a room's name; empty if nothing."""
    if not room:
        return "Choose a room: its name is empty."
    if len(room) > MAX_ROOM_CHARS:
        return f"Choose a shorter room name: at most {MAX_ROOM_CHARS} characters."
    if category(room[0])[0] not in "LN" or room[0] in INVISIBLE:
        return "Choose a room name that starts with a letter or digit."
    if not all(
        char in _ROOM_SIGNS or (category(char)[0] in "LNM" and char not in INVISIBLE) for char in room
    ):
        return "Choose a room name of letters, digits and - _ . only."
    if not _marks_fit(room):
        return "Choose a room name with fewer accents: at most two on a letter."
    return ""


def _fits_name(char: str) -> bool:
    """Whether `char` may stand in a name."""
    if char in _NAME_SIGNS:
        return True
    kind = category(char)
    return (kind[0] in "LNM" or kind == "So") and char not in INVISIBLE and char not in _STAND_INS


def _is_address(cleaned: str) -> bool:
    """Whether a name reads as an address; those of IPv6 have colons, which no name has."""
    try:
        ipaddress.IPv4Address(cleaned)
    except ValueError:
        return False
    return True


def _marks_fit(text: str) -> bool:
    """Whether every mark stands on a letter, digit or symbol, in piles no higher than its script needs."""
    base = ""
    for are_marks, group in groupby(text, lambda char: category(char)[0] == "M"):
        chars = list(group)
        if are_marks:
            piled = [char for char in chars if category(char) != "Mc"]
            stacks = bool(piled) and _script(piled[0]) in _STACKING
            if not base or base in _NAME_SIGNS or len(piled) > (4 if stacks else 2) or len(chars) > 6:
                return False
        base = chars[-1]
    return True


def _script(char: str) -> str:
    """First word of the character's Unicode name, which tells a letter's script; empty if it has none."""
    return unicode_name(char, "").partition(" ")[0]


def _is_reserved(cleaned: str) -> bool:
    """Whether a name, its separators aside, passes for one of `RESERVED_NAMES`."""
    key = _bare_key(cleaned)
    return key in _RESERVED_KEYS or key.replace("i", "l") in _RESERVED_STROKES


def _bare_key(shown: str) -> str:
    return name_key("".join(filter(str.isalnum, name_key(shown))))


_RESERVED_KEYS = frozenset(map(_bare_key, RESERVED_NAMES))
_RESERVED_STROKES = frozenset(key.replace("i", "l") for key in _RESERVED_KEYS if key != "all")
"""The same with `i` and `l` as one (ADM1N); without "all", for which Ali would be taken."""
