"""RingBuffer compared with a plain list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.ring import RingBuffer


@given(
    sizes=st.lists(st.integers(1, 50), max_size=700),
    max_items=st.integers(0, 300),
    max_bytes=st.integers(0, 2_000),
    start=st.integers(0, 10),
)
def test_ring_contains_the_newest_items_that_fit(
    sizes: list[int], max_items: int, max_bytes: int, start: int
) -> None:
    log: RingBuffer[int] = RingBuffer(max_items, max_bytes, start)
    everything: list[tuple[int, int, int]] = []
    for size in sizes:
        everything.append((log.append(len(everything), size), len(everything), size))
    kept = everything[len(everything) - len(log) :]
    assert log.last_seq == start + len(sizes)
    assert log.first_seq == log.last_seq - len(log) + 1
    assert log.size_bytes == sum(size for _, _, size in kept)
    assert log.after(0) == [item for _, item, _ in kept]
    if sizes:
        assert len(log) >= 1
        fits = [0]
        for count in range(1, len(sizes) + 1):
            within = (not max_items or count <= max_items) and (
                not max_bytes or sum(sizes[-count:]) <= max_bytes
            )
            if within:
                fits.append(count)
        assert len(log) == max(1, *fits)
    for seq in range(start - 1, log.last_seq + 2):
        assert log.after(seq) == [item for s, item, _ in kept if s > seq]
        assert log.after(seq, 3) == [item for s, item, _ in kept if s > seq][:3]
        assert log.before(seq, 3) == [item for s, item, _ in kept if s < seq][-3:]
        assert list(log.sizes_after(seq)) == [size for s, _, size in kept if s > seq]


@given(
    old=st.lists(st.integers(1, 20), max_size=30),
    new=st.lists(st.integers(1, 20), max_size=30),
    max_items=st.integers(1, 40),
    max_bytes=st.integers(1, 400),
)
def test_prepending_fills_free_space_with_the_newest_items(
    old: list[int], new: list[int], max_items: int, max_bytes: int
) -> None:
    log: RingBuffer[str] = RingBuffer(max_items, max_bytes, 100)
    for index, size in enumerate(new):
        log.append(f"new{index}", size)
    before, size_before = log.after(0), log.size_bytes
    log.prepend([(f"old{index}", size) for index, size in enumerate(old)])
    after = log.after(0)
    assert after[len(after) - len(before) :] == before
    added = after[: len(after) - len(before)]
    assert added == [f"old{index}" for index in range(len(old) - len(added), len(old))]
    assert log.size_bytes == size_before + sum(old[len(old) - len(added) :])
    assert log.last_seq == 100 + len(new)
    if added:
        assert len(log) <= max_items
        assert log.size_bytes <= max_bytes or len(log) == 1


@given(
    sizes=st.lists(st.integers(1, 50), max_size=400),
    before=st.tuples(st.integers(0, 300), st.integers(0, 2_000)),
    after=st.tuples(st.integers(0, 300), st.integers(0, 2_000)),
)
def test_smaller_ring_contains_the_newest_items_that_fit(
    sizes: list[int], before: tuple[int, int], after: tuple[int, int]
) -> None:
    log: RingBuffer[int] = RingBuffer(*before)
    fresh: RingBuffer[int] = RingBuffer(*after)
    for number, size in enumerate(sizes):
        log.append(number, size)
    kept = log.after(0)
    log.resize(*after)
    for number, size in enumerate(sizes):
        fresh.append(number, size)
    assert log.last_seq == fresh.last_seq
    assert log.after(0) == kept[len(kept) - len(log) :]
    assert len(log) == min(len(kept), len(fresh))


@given(
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=400),
    replaced=st.lists(st.tuples(st.integers(0, 450), st.integers(1, 300)), max_size=20),
    max_bytes=st.integers(0, 2_000),
    start=st.integers(0, 10),
)
def test_items_can_be_replaced_in_place(
    sizes: list[int], replaced: list[tuple[int, int]], max_bytes: int, start: int
) -> None:
    ring: RingBuffer[str] = RingBuffer(300, max_bytes, start)
    for number, size in enumerate(sizes):
        ring.append(f"item {number}", size)
    for seq, size in replaced:
        first, before = ring.first_seq, ring.after(0)
        ring.replace(seq, f"new {size}", size)
        if first <= seq <= ring.last_seq:
            before[seq - first] = f"new {size}"
        assert ring.after(0) == before[len(before) - len(ring) :]
        assert ring.size_bytes == sum(ring.sizes_after(0))
        assert len(ring) == 1 or not max_bytes or ring.size_bytes <= max_bytes
    items = ring.after(0)
    for seq in range(start - 1, ring.last_seq + 2):
        is_stored = ring.first_seq <= seq <= ring.last_seq
        assert ring.get(seq) == (items[seq - ring.first_seq] if is_stored else None)


def test_the_share_of_the_newest_items_in_the_limits() -> None:
    ring: RingBuffer[str] = RingBuffer(10, 1_000)
    assert ring.share_after(0) == 0.0
    for number in range(4):
        ring.append(f"item {number}", 100)
    assert [ring.share_after(seq) for seq in (0, 2, 4)] == [0.4, 0.2, 0.0]
    ring.append("large", 400)
    assert ring.share_after(0) == 0.8
    assert RingBuffer[str](0, 0).share_after(0) == 0.0
