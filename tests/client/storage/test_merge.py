from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.client.storage.merge import merged

values = st.recursive(
    st.none() | st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner) | st.lists(st.integers(0, 5), unique=True),
    max_leaves=8,
)
contents = st.dictionaries(st.sampled_from("abc"), values)


def test_changes_of_both_sides_are_merged() -> None:
    base = {
        "name": "ana",
        "theme": "",
        "ignored": {"a": {"bob": None, "eve": None}},
        "rooms": {"a": ["x", "y"]},
    }
    ours = {
        "name": "ana",
        "theme": "nord",
        "ignored": {"a": {"bob": None, "max": 1}},
        "rooms": {"a": ["x", "z"]},
    }
    theirs = {
        "name": "zoe",
        "theme": "",
        "ignored": {"a": {"bob": None, "eve": None, "tim": None}, "b": {"u": None}},
        "rooms": {"a": ["y", "x", "w"]},
        "new": 7,
    }
    assert merged(base, ours, theirs) == {
        "name": "zoe",
        "theme": "nord",
        "ignored": {"a": {"bob": None, "max": 1, "tim": None}, "b": {"u": None}},
        "rooms": {"a": ["x", "w", "z"]},
        "new": 7,
    }


def test_recently_changed_entries_come_last() -> None:
    assert list(merged({"a": 1, "b": 1}, {"b": 1, "a": 2}, {"a": 1, "b": 1, "c": 1})) == ["b", "c", "a"]


@given(contents, contents)
def test_changes_of_one_side_only_are_applied(base: dict[str, object], changed: dict[str, object]) -> None:
    assert merged(base, changed, base) == changed
    assert merged(base, base, changed) == changed
