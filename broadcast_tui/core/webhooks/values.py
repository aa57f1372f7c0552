"""Values of untrusted JSON: what has another type than expected counts as missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Json = Mapping[str, object]
"""A JSON object."""

EMPTY: Json = {}


def as_object(value: object) -> Json:
    """The object; an empty one if it is something else."""
    return value if isinstance(value, dict) else EMPTY


def as_objects(value: object, max_count: int) -> Sequence[Json]:
    """The objects of an array, at most `max_count`; none if it is something else."""
    if not isinstance(value, list):
        return ()
    return [item for item in value[:max_count] if isinstance(item, dict)]


def as_text(value: object) -> str:
    """A string, number or boolean as text; empty if it is something else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, int | float):
        return format(value, ".15g")
    return ""
