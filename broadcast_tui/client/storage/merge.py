"""Three-way merge of saved state: two chats of one user write the same file, each only its own changes."""

from __future__ import annotations

from collections.abc import Mapping


def merged(
    base: Mapping[str, object], ours: Mapping[str, object], theirs: Mapping[str, object]
) -> dict[str, object]:
    """`theirs` with the changes from `base` to `ours` applied.

    Objects are merged by key, lists as ordered sets. Any other value that we changed replaces theirs. Keys
    that we changed come last, as the most recently used ones.

    Args:
        base: The content when we last read or wrote it.
        ours: The content that we want to write.
        theirs: The current content of the file.
    """
    result: dict[str, object] = {}
    for key, value in theirs.items():
        if key in ours or key not in base:
            result[key] = value
        elif rest := _without(base[key], value):
            result[key] = rest
    for key, value in ours.items():
        if key in base and base[key] == value:
            continue
        result[key] = _merged_value(base.get(key), value, result.pop(key, None))
    return result


def _without(base: object, theirs: object) -> dict[str, object]:
    """What the other side added to an object that we removed."""
    return merged(base, {}, theirs) if isinstance(base, dict) and isinstance(theirs, dict) else {}


def _merged_value(base: object, ours: object, theirs: object) -> object:
    if theirs == base:
        return ours
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return merged(base if isinstance(base, dict) else {}, ours, theirs)
    if isinstance(ours, list) and isinstance(theirs, list):
        known = base if isinstance(base, list) else []
        kept = [item for item in theirs if item in ours or item not in known]
        return kept + [item for item in ours if item not in theirs and item not in known]
    return ours
