"""The chat in a terminal during floods: it reacts to keys and signals."""

from __future__ import annotations

import itertools
import re
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Open
from tests.support.hostile_scenarios import (
    ENDLESS,
    FOLLOW_UP,
    SCENARIOS,
    Scenario,
    ScenarioServer,
    threaded_scenario_server,
)
from tests.support.profile import by_profile

CTRL_Q = "\x11"
CHOSEN = ["a line of many names", "errors", "a post of escape characters", "an endless message"]
WAYS = [(ENDLESS[0], "key"), (ENDLESS[1], "signal"), (ENDLESS[2], "signal"), (ENDLESS[3], "key")]
ALL_WAYS = list(itertools.product(ENDLESS, ("key", "signal")))


@pytest.fixture
def hostile() -> Iterator[ScenarioServer]:
    with threaded_scenario_server() as server:
        yield server


@pytest.mark.parametrize("name", CHOSEN)
def test_the_chat_is_usable_after(name: str, hostile: ScenarioServer, open_terminal: Open) -> None:
    [scenario] = [scenario for scenario in SCENARIOS if scenario.name == name]
    hostile.begin(scenario)
    ana = open_terminal("chat", f"ws://127.0.0.1:{hostile.port}", "--name", "ana", columns=100)
    ana.wait_for(f"{FOLLOW_UP} {name}")
    ana.type("half written")
    ana.wait_for("half written")
    ana.type(CTRL_Q)
    assert ana.wait_exit() == 0
    assert not re.search(rb"\x1b\][02];EVIL|\x1b\[3J", bytes(ana.raw))


@pytest.mark.parametrize(
    ("scenario", "how"), by_profile(WAYS, ALL_WAYS), ids=lambda value: getattr(value, "name", value)
)
def test_the_chat_can_be_left_during_a_flood(
    scenario: Scenario, how: str, hostile: ScenarioServer, open_terminal: Open
) -> None:
    hostile.begin(scenario)
    ana = open_terminal("chat", f"ws://127.0.0.1:{hostile.port}", "--name", "ana")
    ana.wait_for("online")
    ana.type("x")
    ana.wait_for("x")
    if how == "key":
        ana.type(CTRL_Q)
        assert ana.wait_exit() == 0
    else:
        ana.signal(signal.SIGTERM)
        assert ana.wait_exit() == 128 + signal.SIGTERM
    assert b"did not respond" not in bytes(ana.raw)
    assert bytes(ana.raw).rfind(b"\x1b[?1049l") > bytes(ana.raw).rfind(b"\x1b[?1049h")
