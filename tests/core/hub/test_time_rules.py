"""Token bucket and backoff, with explicit time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.rate_limit import TokenBucket
from broadcast_tui.core.session.backoff import Backoff
from tests.support.hub_pair import World


def test_bucket_allows_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(2.0, 3)
    assert [bucket.take(10.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(10.0) == 0.5
    assert bucket.take(10.25) == 0.25
    assert bucket.take(10.5) == 0.0
    assert bucket.take(10.5) > 0


def test_rate_of_zero_is_unlimited() -> None:
    bucket = TokenBucket(0, 0)
    assert all(bucket.take(0.0) == 0.0 for _ in range(1_000))


@given(st.lists(st.floats(0, 5), max_size=200), st.floats(0.1, 20), st.integers(1, 20))
def test_bucket_never_allows_more_than_burst_plus_rate(steps: list[float], rate: float, burst: int) -> None:
    bucket, now, given_count = TokenBucket(rate, burst), 0.0, 0
    for step in steps:
        now += step
        given_count += bucket.take(now) == 0.0
    assert given_count <= burst + rate * now + 1e-6


def test_clock_that_goes_back_adds_no_tokens() -> None:
    bucket = TokenBucket(1.0, 1)
    assert bucket.take(100.0) == 0.0
    assert bucket.take(50.0) > 0


@given(st.floats(0, 0.999), st.integers(1, 40))
def test_delays_grow_to_the_ceiling_with_jitter_on_each(chance: float, tries: int) -> None:
    backoff = Backoff(lambda: chance, first_s=0.5, max_s=30.0)
    delays = [backoff.next_delay_s() for _ in range(tries)]
    for index, delay in enumerate(delays):
        ceiling = min(30.0, 0.5 * 2**index)
        assert ceiling / 2 <= delay <= ceiling


def test_only_a_stable_connection_resets_the_backoff() -> None:
    backoff = Backoff(lambda: 0.5)
    for _ in range(5):
        backoff.next_delay_s()
    backoff.connected_for(3.0)
    assert backoff.next_delay_s() > 5
    backoff.connected_for(31.0)
    assert backoff.next_delay_s() < 0.5


def test_retry_after_is_a_lower_bound() -> None:
    backoff = Backoff(lambda: 0.0)
    assert backoff.next_delay_s(at_least_s=12.0) == 12.0
    assert 0.0 <= backoff.spread_s(15.0) <= 15.0
    assert Backoff(lambda: 0.5).spread_s(10.0) == 5.0


def test_periodic_work_is_done_in_steps() -> None:
    """Thousands of leaves that are due together must not hold the event loop."""
    world = World(Limits(leave_grace_s=1.0, max_rooms_per_peer=0))
    rooms = tuple((f"room-{number}", 0) for number in range(60))
    ana, ben = world.user("ana", *rooms), world.user("ben", *rooms)
    ben.cut()
    world.step()
    ana.updates.clear()
    due = Instant(world.when.now + 2.0, world.when.at)
    most, steps = 0, 0
    for _ in world.hub.tick_steps(due):
        steps += 1
        before = len(ana.updates)
        world.step()
        most = max(most, len(ana.updates) - before)
    assert steps > 60
    assert most == 1
