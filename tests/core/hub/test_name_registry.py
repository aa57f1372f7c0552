"""Names: unique, owned, and reserved for a grace period."""

from __future__ import annotations

import pytest

from broadcast_tui.core.errors import ErrorCode, InvalidNameError
from broadcast_tui.core.hub.name_registry import STEP_NAMES, NameRegistry
from broadcast_tui.core.limits import Limits, SharedLimits
from broadcast_tui.core.names import name_key

LIMITS = SharedLimits(Limits(leave_grace_s=5.0))


def test_name_in_use_is_rejected_for_others() -> None:
    directory = NameRegistry(LIMITS)
    directory.claim("ana", "Ana", "client-1", 1, 0.0)
    with pytest.raises(InvalidNameError) as caught:
        directory.claim("ana", "Ana", "client-2", 2, 0.0)
    assert caught.value.code is ErrorCode.NAME_TAKEN
    assert caught.value.temporary
    directory.claim("ana", "Ana", "client-1", 3, 0.0)


def test_two_plain_clients_cannot_share_a_name() -> None:
    directory = NameRegistry(LIMITS)
    directory.claim("ana", "Ana", "", 1, 0.0)
    with pytest.raises(InvalidNameError):
        directory.claim("ana", "Ana", "", 2, 0.0)


def test_name_is_reserved_for_its_owner_during_the_grace_period() -> None:
    directory = NameRegistry(LIMITS)
    directory.claim("ana", "Ana", "client-1", 1, 0.0)
    directory.release("ana", 1, 10.0, grace=True)
    with pytest.raises(InvalidNameError):
        directory.claim("ana", "Ana", "client-2", 2, 14.0)
    directory.claim("ana", "Ana", "client-1", 3, 14.0)
    directory.release("ana", 3, 20.0, grace=True)
    directory.claim("ana", "Ana", "client-2", 4, 25.0)


def test_released_name_is_free_at_once() -> None:
    directory = NameRegistry(LIMITS)
    directory.claim("ana", "Ana", "client-1", 1, 0.0)
    directory.release("ana", 1, 0.0, grace=False)
    directory.claim("ana", "Ana", "client-2", 2, 0.0)


def test_expired_names_are_removed_and_unknown_ones_ignored() -> None:
    directory = NameRegistry(LIMITS)
    directory.claim("ana", "Ana", "client-1", 1, 0.0)
    directory.release("ana", 1, 0.0, grace=True)
    for _ in directory.expire_steps(5.0):
        pass
    directory.claim("ana", "Ana", "client-2", 2, 5.0)
    directory.release("nobody", 9, 5.0, grace=True)


def test_names_are_freed_in_steps_unless_they_are_claimed_meanwhile() -> None:
    directory = NameRegistry(LIMITS)
    names = [f"user{number}" for number in range(3 * STEP_NAMES)]
    for number, name in enumerate(names):
        directory.claim(name, name, f"client-{number}", number, 0.0)
        directory.release(name, number, 0.0, grace=True)
    steps = directory.expire_steps(5.0)
    next(steps)
    last = len(names) - 1
    directory.claim(names[-1], names[-1], f"client-{last}", last, 5.0)
    assert sum(1 for _ in steps) == 2
    with pytest.raises(InvalidNameError):
        directory.claim(names[-1], names[-1], "other", 9_999, 5.0)
    assert len(directory._holders) == 1


def test_error_mentions_the_similar_name() -> None:
    directory = NameRegistry(LIMITS)
    directory.claim(name_key("paul"), "paul", "a", 1, 0.0)
    for name, why in [("Paul", "is taken"), ("pau1", "looks too similar to paul, who is online")]:
        with pytest.raises(InvalidNameError, match=rf"^The name {name} {why}\. Choose another name\.$"):
            directory.claim(name_key(name), name, "b", 2, 0.0)
