"""The memory budget compared with a list of owners in the order of their use."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.lru_budget import LruBudget


@given(
    max_bytes=st.integers(1, 100),
    steps=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 120), st.booleans()), max_size=60),
)
def test_the_least_recently_used_owners_are_evicted(
    max_bytes: int, steps: list[tuple[str, int, bool]]
) -> None:
    evicted: list[str] = []
    budget = LruBudget[str](lambda: max_bytes, evicted.append)
    sizes: dict[str, int] = {}
    count = 0
    for owner, size_bytes, is_removed in steps:
        sizes.pop(owner, None)
        evicted.clear()
        if is_removed:
            budget.remove(owner)
        else:
            budget.resize(owner, size_bytes)
            if size_bytes:
                sizes[owner] = size_bytes
        expected = []
        while sum(sizes.values()) > max_bytes and len(sizes) > 1:
            expected.append(next(iter(sizes)))
            del sizes[expected[-1]]
        count += len(expected)
        assert evicted == expected
        assert (budget.used_bytes, budget.evictions) == (sum(sizes.values()), count)


def test_a_lower_limit_applies_at_the_next_eviction() -> None:
    max_bytes = 0
    evicted: list[int] = []
    budget = LruBudget[int](lambda: max_bytes, evicted.append)
    for number in range(10):
        budget.resize(number, 1_000_000)
    assert (budget.used_bytes, evicted) == (10_000_000, [])
    max_bytes = 2_500_000
    budget.evict()
    assert (budget.used_bytes, evicted) == (2_000_000, list(range(8)))
