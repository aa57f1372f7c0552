from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.notifications import (
    Alert,
    NotificationLimiter,
    NotifyLevel,
    TerminalAlert,
    alert_text,
    is_in_tmux,
    levels_of,
    sequence,
    signals_of,
)

HI = Alert("lobby", "bob", "hi ana", True)
ALL = TerminalAlert.BELL | TerminalAlert.OSC9 | TerminalAlert.OSC777


def test_the_bytes_of_each_signal() -> None:
    assert sequence("chat", "hi", TerminalAlert.BELL, tmux=False) == "\x07"
    assert sequence("chat", "hi", TerminalAlert.OSC9, tmux=False) == "\x1b]9;hi\x07"
    assert sequence("chat", "hi", TerminalAlert.OSC777, tmux=False) == "\x1b]777;notify;chat;hi\x07"
    assert sequence("chat", "hi", ALL, tmux=False) == "\x1b]9;hi\x07\x1b]777;notify;chat;hi\x07\x07"


def test_tmux_passes_on_what_is_wrapped_and_gets_the_bell_itself() -> None:
    assert sequence("chat", "hi", TerminalAlert.BELL, tmux=True) == "\x07"
    assert sequence("chat", "hi", TerminalAlert.BELL | TerminalAlert.OSC9, tmux=True) == (
        "\x1bPtmux;\x1b\x1b]9;hi\x07\x1b\\\x07"
    )
    assert sequence("chat", "hi", TerminalAlert.OSC777, tmux=True) == (
        "\x1bPtmux;\x1b\x1b]777;notify;chat;hi\x07\x1b\\"
    )


@given(st.text(), st.text(), st.text(max_size=400))
def test_no_text_ends_or_extends_the_sequence(room: str, sender: str, text: str) -> None:
    notice = alert_text(Alert(room, sender, text, True))
    written = sequence(notice, notice, ALL, tmux=False)
    match = re.fullmatch(r"\x1b\]9;([^;]*)\x07\x1b\]777;notify;([^;]*);([^;]*)\x07\x07", written, re.DOTALL)
    assert match
    for part in match.groups():
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", part)
        assert len(part) <= 300


def test_a_notice_says_who_where_and_what() -> None:
    assert alert_text(HI) == "bob in #lobby: hi ana"
    assert alert_text(Alert("dev", "bob", "/me waves to ana", True)) == "* bob in #dev waves to ana"
    assert alert_text(Alert("dev", "bob", "one\n\ntwo", False)) == "bob in #dev: one two"
    assert len(alert_text(Alert("r" * 99, "b" * 99, "x" * 9999, False))) < 270


@pytest.mark.parametrize(
    ("environment", "signals"),
    [
        ({"TERM": "xterm-256color"}, TerminalAlert.BELL | TerminalAlert.OSC9),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x"}, TerminalAlert.BELL | TerminalAlert.OSC9),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7200"}, TerminalAlert.BELL | TerminalAlert.OSC777),
        ({"TERM": "rxvt-unicode-256color"}, TerminalAlert.BELL | TerminalAlert.OSC777),
        ({"TERM": "linux"}, TerminalAlert.BELL),
        ({}, TerminalAlert.BELL | TerminalAlert.OSC9),
    ],
)
def test_each_terminal_gets_what_it_knows(environment: dict[str, str], signals: TerminalAlert) -> None:
    assert signals_of(environment) == signals


def test_tmux_is_known_by_its_variable_or_over_ssh_by_the_terminal() -> None:
    assert is_in_tmux({"TMUX": "/tmp/x,1,0", "TERM": "screen-256color"})
    assert is_in_tmux({"TERM": "tmux-256color"})
    assert not is_in_tmux({"TERM": "screen-256color", "TMUX": ""})


def test_at_most_one_notice_in_three_seconds_and_the_next_counts_those_left_out() -> None:
    bell = NotificationLimiter()
    assert bell.ring([], 10.0) is None
    assert bell.ring([HI], 10.0) == "bob in #lobby: hi ana"
    assert bell.ring([HI, HI], 11.0) is None
    assert bell.ring([HI], 12.99) is None
    assert bell.ring([], 13.5) is None
    assert bell.ring([HI], 13.5) == "bob in #lobby: hi ana (+3 more)"
    assert bell.ring([HI], 17.0) == "bob in #lobby: hi ana"


def test_of_several_the_last_mention_is_shown() -> None:
    chatter = Alert("lobby", "carl", "whatever", False)
    assert NotificationLimiter().ring([chatter, HI, chatter], 0.0) == "bob in #lobby: hi ana (+2 more)"
    assert NotificationLimiter().ring([chatter, chatter], 0.0) == "carl in #lobby: whatever (+1 more)"


def test_levels() -> None:
    assert [level.takes(mention=True) for level in NotifyLevel] == [False, True, True]
    assert [level.takes(mention=False) for level in NotifyLevel] == [False, False, True]
    assert levels_of({"lobby": "all", "dev": "loud", "ops": "off"}) == {
        "lobby": NotifyLevel.ALL,
        "ops": NotifyLevel.OFF,
    }
