"""The two ways to send the same bytes to many sockets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broadcast_tui.server import batch_send, fan_out

SendEach = Callable[[list[int], bytes], list[tuple[int, int]]]
IMPLEMENTATIONS = {"chosen": batch_send.send_each, "interpreted": batch_send.send_each_interpreted}
"""What the server uses, which is compiled where that is possible, and the other one."""


@pytest.fixture(params=IMPLEMENTATIONS)
def send_each(request: pytest.FixtureRequest) -> SendEach:
    return IMPLEMENTATIONS[request.param]


@pytest.fixture
def used_send_each(send_each: SendEach, monkeypatch: pytest.MonkeyPatch) -> SendEach:
    """`send_each`, which the servers of the test use."""
    monkeypatch.setattr(fan_out, "send_each", send_each)
    return send_each
