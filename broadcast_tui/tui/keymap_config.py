"""The user's own keys, such as `{"log.find": "Ctrl+S, F3"}`, checked against the table of keys.

Keys are written as on the help screen or as in Textual, separated by commas.
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
    """Textual's name of the key for `character`, which is not a letter or digit."""
    name = unicodedata.name(character, character).casefold().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)


_NAMED = {str(key.value) for key in Keys if "+" not in key.value}
_NAMED |= {*KEY_DISPLAY_ALIASES, *map(_name, string.punctuation)}
_LETTER_KEY_AREAS = ("pick", "replay")
"""Areas without text input, or for an empty one, in which a letter alone can be a key."""
_ONE_SCREEN = frozenset({"app", "composer", "log", "people", "room"})
_ACTIVE_TOGETHER = (_ONE_SCREEN, *(frozenset({"app", area}) for area in ("search", "pick", "find")))
"""Sets of areas whose keys are active at the same time."""
_SHAREABLE = frozenset(
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
"""Pairs of bindings that can share a key: the second one applies when the first has nothing to do."""


class KeyBindingError(BroadcastError):
    """An unknown binding or key; the text names it and the most similar known one."""


def checked_keys(overrides: Mapping[str, str]) -> dict[str, str]:
    """Keys by binding id in Textual's spelling, for `App.set_keymap`. Raises KeyBindingError."""
    ids = {row.id for row in KEYS}
    checked = {}
    for id, keys in overrides.items():
        if id not in ids:
            close = get_close_matches(id, ids, n=1, cutoff=0.4)
            hint = f"Did you mean {close[0]}?" if close else "To list them, run: broadcast-tui config keys"
            raise KeyBindingError(f"[keys] Unknown key binding: {id!r}. {hint}")
        checked[id] = ",".join(_checked_key(id, key) for key in keys.split(",") if key.strip())
        if not checked[id]:
            raise KeyBindingError(f"[keys] {id} is empty. Enter a key, such as 'ctrl+f', or remove the line.")
    return checked


def clashes(overrides: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Describe each key with two bindings that are active together; those in `overrides` come first.

    Args:
        overrides: The user's own keys as `checked_keys` returns them.
    """
    ids_by_key: dict[str, list[str]] = {}
    for row in sorted(KEYS, key=lambda row: row.id not in overrides):
        for key in dict.fromkeys((overrides.get(row.id) or row.keys).split(",")):
            ids_by_key.setdefault(key, []).append(row.id)
    return [
        f"{shown_key(key)} is bound to both {one} and {other}"
        for key, ids in ids_by_key.items()
        for one, other in combinations(ids, 2)
        if _conflict(one, other)
    ]


def _conflict(one: str, other: str) -> bool:
    """Whether two bindings cannot share a key."""
    areas = {one.partition(".")[0], other.partition(".")[0]}
    active_together = len(areas) == 1 or any(areas <= active for active in _ACTIVE_TOGETHER)
    return active_together and frozenset((one, other)) not in _SHAREABLE


def _checked_key(id: str, written: str) -> str:
    if id.partition(".")[0] in _LETTER_KEY_AREAS and len(written.strip()) == 1:
        return _name(written.strip()) if not written.strip().isalnum() else written.strip()
    *modifiers, key = written.strip().casefold().split("+")
    key = _SPELLINGS.get(key, key)
    if not key or any(modifier not in _MODIFIERS for modifier in modifiers):
        raise KeyBindingError(
            f"[keys] {id}: Invalid key: {written.strip()!r}. Use a form such as ctrl+f, alt+enter or f5."
        )
    if len(key) == 1 and not (set(modifiers) - {"shift"}):
        raise KeyBindingError(f"[keys] {id}: {key!r} alone is needed for typing. Add ctrl+ or alt+.")
    if len(key) == 1 and not key.isalnum():
        key = _name(key)
    elif len(key) > 1 and key not in _NAMED:
        close = get_close_matches(key, _NAMED, n=1)
        hint = f"Did you mean {close[0]}?" if close else "Use a form such as ctrl+f, alt+enter or f5."
        raise KeyBindingError(f"[keys] {id}: Invalid key: {key!r}. {hint}")
    return "+".join([*sorted(set(modifiers)), key])
