"""An export in a real terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.terminal import Terminal, program

START = datetime(2025, 8, 30, 10, 0, tzinfo=UTC)
END, HOME, LEFT, RIGHT, CTRL_Q = "\x1b[F", "\x1b[H", "\x1b[D", "\x1b[C", "\x11"
COVERED_COMMANDS = frozenset(("at",))
COVERED_KEYS = frozenset(
    (
        "replay.toggle-pause", "replay.step-back", "replay.step-on", "replay.go-start", "replay.go-end",
        "replay.play-faster", "replay.play-slower",
    )
)  # fmt: skip


@pytest.mark.parametrize(("columns", "rows"), [(40, 10), (120, 40)])
def test_an_export_is_replayed(tmp_path: Path, columns: int, rows: int) -> None:
    file = tmp_path / "a.jsonl"
    lines = [
        {
            "type": "message",
            "message": f"post {number}",
            "sender": "ana",
            "timestamp": (START + timedelta(minutes=number)).isoformat(),
            "id": f"e-{number}",
            "room": "ops",
        }
        for number in range(1, 61)
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"), str(tmp_path))
    with Terminal(
        program("replay", str(file), "--speed", "2"),
        columns=columns,
        rows=rows,
        environment={**homes, "TZ": "UTC"},
    ) as terminal:
        terminal.wait_for("post 1", "1/60", "2×")
        terminal.type(" ")
        terminal.wait_for("‖")
        terminal.type(END)
        terminal.wait_for("post 60", "■")
        terminal.type(HOME)
        terminal.wait_gone("post 60")
        terminal.enter("/at 10:30")
        terminal.wait_for("post 30", "30/60")
        terminal.type(RIGHT)
        terminal.wait_for("post 35", "35/60")
        terminal.type(LEFT)
        terminal.wait_for("30/60")
        terminal.type("+")
        terminal.wait_for("4×")
        terminal.type("-")
        terminal.wait_for("2×")
        terminal.type(CTRL_Q)
        assert terminal.wait_exit() == 0
