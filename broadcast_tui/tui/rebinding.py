"""A user's own keys: `{"log.find": "Ctrl+S, F3"}` checked against the table of keys.

Keys are written as on the help screen or as Textual spells them, several separated by commas.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from difflib import get_close_matches

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
_TOGETHER = {"app": {"composer", "log", "people", "room"}, "composer": {"log", "people", "room"}}
"""Areas whose keys are live at the same time."""


class KeyRefused(BroadcastError):
    """A key or an id that does not exist; the text names it and the nearest one."""


def checked_keys(wanted: Mapping[str, str]) -> dict[str, str]:
    """Keys by id in Textual's spelling, as `App.set_keymap` takes them. Raises KeyRefused."""
    ids = {row.id for row in KEYS}
    checked = {}
    for id, keys in wanted.items():
        if id not in ids:
            close = get_close_matches(id, ids, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}?" if close else "'broadcast-tui config keys' lists them all."
            raise KeyRefused(f"[keys] There is no {id!r}; {hint}")
        checked[id] = ",".join(_checked_key(id, key) for key in keys.split(",") if key.strip())
        if not checked[id]:
            raise KeyRefused(f"[keys] {id} has no key; give one, such as 'ctrl+f', or leave the line out.")
    return checked


def clashes(overrides: Mapping[str, str]) -> list[str]:
    """A sentence for each key that `overrides` (checked) gives to something while another thing has it."""
    holders: dict[str, list[str]] = {}
    for row in KEYS:
        for key in (overrides.get(row.id) or row.keys).split(","):
            holders.setdefault(key, []).append(row.id)
    found = []
    for id, keys in overrides.items():
        for key in keys.split(","):
            for other in holders[key]:
                if other != id and _meet(id, other) and not (other in overrides and other > id):
                    found.append(f"{shown_key(key)} is the key of both {id} and {other}")
    return found


def _meet(one: str, other: str) -> bool:
    first, second = one.partition(".")[0], other.partition(".")[0]
    return first == second or second in _TOGETHER.get(first, ()) or first in _TOGETHER.get(second, ())


def _checked_key(id: str, written: str) -> str:
    if id.partition(".")[0] in _LETTERED and len(written.strip()) == 1:
        return _name(written.strip()) if not written.strip().isalnum() else written.strip()
    *modifiers, key = written.strip().casefold().split("+")
    key = _SPELLINGS.get(key, key)
    if not key or any(modifier not in _MODIFIERS for modifier in modifiers):
        raise KeyRefused(f"[keys] {id}: {written.strip()!r} is no key; write it as ctrl+f, alt+enter or f5.")
    if len(key) == 1 and not (set(modifiers) - {"shift"}):
        raise KeyRefused(f"[keys] {id}: {key!r} alone could not be written any more; add ctrl+ or alt+.")
    if len(key) == 1 and not key.isalnum():
        key = _name(key)
    elif len(key) > 1 and key not in _NAMED:
        close = get_close_matches(key, _NAMED, n=1)
        hint = f"did you mean {close[0]}?" if close else "write it as ctrl+f, alt+enter or f5."
        raise KeyRefused(f"[keys] {id}: {key!r} is no key; {hint}")
    return "+".join([*sorted(set(modifiers)), key])
