"""A user's own keys: `{"log.find": "Ctrl+S, F3"}` checked against the table of keys.

Keys are written as on the help screen or as Textual spells them, several separated by commas.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import combinations
from types import MappingProxyType

from textual.keys import KEY_DISPLAY_ALIASES, KEY_NAME_REPLACEMENTS, Keys

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.tui.keymap import KEYS, shown_key

_MODIFIERS = ("ctrl", "alt", "shift", "super", "meta", "hyper")
_SPELLINGS = {"pgup": "pageup", "pgdn": "pagedown", "esc": "escape", "del": "delete", "return": "enter"}


def _name(character: str) -> str:
    """Textual's name of a key that writes `character`, which is no letter and no digit."""
    name = unicodedata.name(character, character).casefold().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)


_NAMED = {str(key.value) for key in Keys if "+" not in key.value}
_NAMED |= {*KEY_DISPLAY_ALIASES, *map(_name, string.punctuation)}
_LETTERED = ("pick",)
"""Areas in which nothing is written, so that a letter alone is a key."""
_ONE_SCREEN = frozenset({"app", "composer", "log", "people", "room"})
_TOGETHER = (_ONE_SCREEN, *(frozenset({"app", area}) for area in ("search", "pick", "find")))
"""Areas whose keys are live at the same time, in sets."""
_BY_TURNS = frozenset(
    frozenset(pair)
    for pair in (
        ("composer.delete-right", "app.leave-empty"),
        ("composer.cut-line-end", "room.switch"),
        ("composer.move-line-end", "log.go-bottom"),
        ("composer.close-list", "log.go-bottom"),
        ("search.go-back", "app.interrupt"),
        ("search.go-back", "app.open-palette"),
    )
)
"""Rows that may share a key: the first has it while it has something to do, the second otherwise."""


class KeyBindingError(BroadcastError):
    """A key or an id that does not exist; the text names it and the nearest one."""


def checked_keys(wanted: Mapping[str, str]) -> dict[str, str]:
    """Keys by id in Textual's spelling, as `App.set_keymap` takes them. Raises KeyBindingError."""
    ids = {row.id for row in KEYS}
    checked = {}
    for id, keys in wanted.items():
        if id not in ids:
            close = get_close_matches(id, ids, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}?" if close else "'broadcast-tui config keys' lists them all."
            raise KeyBindingError(f"[keys] There is no {id!r}; {hint}")
        checked[id] = ",".join(_checked_key(id, key) for key in keys.split(",") if key.strip())
        if not checked[id]:
            raise KeyBindingError(
                f"[keys] {id} has no key; give one, such as 'ctrl+f', or leave the line out."
            )
    return checked


def clashes(overrides: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """A sentence for each key that two rows have at the same time; rows of `overrides` (checked) first."""
    holders: dict[str, list[str]] = {}
    for row in sorted(KEYS, key=lambda row: row.id not in overrides):
        for key in dict.fromkeys((overrides.get(row.id) or row.keys).split(",")):
            holders.setdefault(key, []).append(row.id)
    return [
        f"{shown_key(key)} is the key of both {one} and {other}"
        for key, ids in holders.items()
        for one, other in combinations(ids, 2)
        if _meet(one, other)
    ]


def _meet(one: str, other: str) -> bool:
    """Whether a key of both would be one key for two things."""
    areas = {one.partition(".")[0], other.partition(".")[0]}
    together = len(areas) == 1 or any(areas <= live for live in _TOGETHER)
    return together and frozenset((one, other)) not in _BY_TURNS


def _checked_key(id: str, written: str) -> str:
    if id.partition(".")[0] in _LETTERED and len(written.strip()) == 1:
        return _name(written.strip()) if not written.strip().isalnum() else written.strip()
    *modifiers, key = written.strip().casefold().split("+")
    key = _SPELLINGS.get(key, key)
    if not key or any(modifier not in _MODIFIERS for modifier in modifiers):
        raise KeyBindingError(
            f"[keys] {id}: {written.strip()!r} is no key; write it as ctrl+f, alt+enter or f5."
        )
    if len(key) == 1 and not (set(modifiers) - {"shift"}):
        raise KeyBindingError(f"[keys] {id}: {key!r} alone could not be written any more; add ctrl+ or alt+.")
    if len(key) == 1 and not key.isalnum():
        key = _name(key)
    elif len(key) > 1 and key not in _NAMED:
        close = get_close_matches(key, _NAMED, n=1)
        hint = f"did you mean {close[0]}?" if close else "write it as ctrl+f, alt+enter or f5."
        raise KeyBindingError(f"[keys] {id}: {key!r} is no key; {hint}")
    return "+".join([*sorted(set(modifiers)), key])
