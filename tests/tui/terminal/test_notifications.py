from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.notifications import Alert, alert_text
from broadcast_tui.tui.terminal.notifications import (
    TerminalAlert,
    alert_sequence,
    is_in_tmux,
    supported_alerts,
)

ALL = TerminalAlert.BELL | TerminalAlert.OSC9 | TerminalAlert.OSC777


def test_escape_sequence_of_each_alert() -> None:
    assert alert_sequence("chat", "hi", TerminalAlert.BELL, tmux=False) == "\x07"
    assert alert_sequence("chat", "hi", TerminalAlert.OSC9, tmux=False) == "\x1b]9;hi\x07"
    assert alert_sequence("chat", "hi", TerminalAlert.OSC777, tmux=False) == "\x1b]777;notify;chat;hi\x07"
    assert alert_sequence("chat", "hi", ALL, tmux=False) == "\x1b]9;hi\x07\x1b]777;notify;chat;hi\x07\x07"


def test_notifications_are_wrapped_for_tmux_but_the_bell_is_not() -> None:
    assert alert_sequence("chat", "hi", TerminalAlert.BELL, tmux=True) == "\x07"
    assert alert_sequence("chat", "hi", TerminalAlert.BELL | TerminalAlert.OSC9, tmux=True) == (
        "\x1bPtmux;\x1b\x1b]9;hi\x07\x1b\\\x07"
    )
    assert alert_sequence("chat", "hi", TerminalAlert.OSC777, tmux=True) == (
        "\x1bPtmux;\x1b\x1b]777;notify;chat;hi\x07\x1b\\"
    )


@given(st.text(), st.text(), st.text(max_size=400))
def test_no_text_ends_or_extends_the_sequence(room: str, sender: str, text: str) -> None:
    notice = alert_text(Alert(room, sender, text, True))
    written = alert_sequence(notice, notice, ALL, tmux=False)
    match = re.fullmatch(r"\x1b\]9;([^;]*)\x07\x1b\]777;notify;([^;]*);([^;]*)\x07\x07", written, re.DOTALL)
    assert match
    for part in match.groups():
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", part)
        assert len(part) <= 300


@pytest.mark.parametrize(
    ("environment", "alerts"),
    [
        ({"TERM": "xterm-256color"}, TerminalAlert.BELL | TerminalAlert.OSC9),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x"}, TerminalAlert.BELL | TerminalAlert.OSC9),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7200"}, TerminalAlert.BELL | TerminalAlert.OSC777),
        ({"TERM": "rxvt-unicode-256color"}, TerminalAlert.BELL | TerminalAlert.OSC777),
        ({"TERM": "linux"}, TerminalAlert.BELL),
        ({}, TerminalAlert.BELL | TerminalAlert.OSC9),
    ],
)
def test_each_terminal_gets_supported_alerts(environment: dict[str, str], alerts: TerminalAlert) -> None:
    assert supported_alerts(environment) == alerts


def test_tmux_is_detected_by_its_variable_or_by_the_terminal_type() -> None:
    assert is_in_tmux({"TMUX": "/tmp/x,1,0", "TERM": "screen-256color"})
    assert is_in_tmux({"TERM": "tmux-256color"})
    assert not is_in_tmux({"TERM": "screen-256color", "TMUX": ""})
