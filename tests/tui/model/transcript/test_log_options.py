"""Settings about the rows of the log change its columns, as far as there is room."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broadcast_tui.tui.model.settings import Settings
from broadcast_tui.tui.model.transcript.chunks import LineKind
from broadcast_tui.tui.model.transcript.layout import RowLayout
from broadcast_tui.tui.model.transcript.log_options import LogOptions, TimeFormat, log_options


@pytest.mark.parametrize(
    ("hour", "shown"),
    [(0, ["00:05", "12:05am", "00:05:09", ""]), (13, ["13:05", "1:05pm", "13:05:09", ""])],
)
def test_times(hour: int, shown: list[str]) -> None:
    at = datetime(2025, 8, 30, hour, 5, 9, tzinfo=UTC)
    assert [format.show(at) for format in TimeFormat] == shown
    assert all(len(format.show(at)) <= format.cells for format in TimeFormat)


@pytest.mark.parametrize("time", TimeFormat)
@pytest.mark.parametrize("names", [0, 8, 20])
@pytest.mark.parametrize("width", [*range(30), 40, 47, 48, 59, 60, 80, 99, 100, 200])
def test_the_columns_fill_the_width(time: TimeFormat, names: int, width: int) -> None:
    layout = RowLayout.of_width(width).with_options(LogOptions(time, names))
    columns = layout.margin + layout.time + layout.name + layout.mark + layout.text + layout.padding
    assert columns == layout.width == max(1, width)
    assert layout.text > 0
    if width >= 80:
        assert layout.time == (time.cells + 1 if time.cells else 0)
        assert layout.name == (names or RowLayout.of_width(width).name)


def test_markup_is_shown_as_written() -> None:
    text = "```\ncode\n```"
    source = RowLayout.of_width(80).with_options(LogOptions(is_source=True))
    assert source.lay(LineKind.POST, "bob", text).text == text


def test_the_settings_are_those_of_the_log() -> None:
    settings = Settings({"time": "12h", "names": "20", "markdown": "off"})
    assert log_options(settings) == LogOptions(TimeFormat.H12, 20, True)
    assert log_options(Settings()) == LogOptions()
