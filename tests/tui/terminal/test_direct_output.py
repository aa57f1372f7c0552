"""What the terminal accepts is written at once; the rest goes through the thread, in order."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import TextIO

import pytest

from broadcast_tui.tui.terminal.direct_output import DirectOutput

if os.name != "posix":
    pytest.skip("terminals of POSIX", allow_module_level=True)

TEXT = "漢字 and 😀\n" * 5_000
"""More than a terminal accepts while nobody reads."""


@dataclass
class Terminal:
    """A terminal that `output` writes to; `controller` is where it arrives."""

    controller: int
    file: TextIO
    output: DirectOutput

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (chunk := os.read(self.controller, 65_536)):
            data += chunk
        return data


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    controller, descriptor = os.openpty()
    tty.setraw(descriptor)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        output = DirectOutput(file)
        output.open()
        yield Terminal(controller, file, output)
        output.close()
    os.close(controller)


def test_text_is_written_at_once(terminal: Terminal) -> None:
    assert terminal.output.write_now("漢") is None
    assert terminal.read(3) == "漢".encode()


def test_nothing_overtakes_what_the_thread_has_to_write(terminal: Terminal) -> None:
    rest = terminal.output.write_now(TEXT)
    assert rest == ""
    assert terminal.output.write_now("next") == "next"
    expected = f"{TEXT}next".encode()

    def write() -> None:
        terminal.output.write(rest)
        terminal.output.write("next")
        terminal.output.flush()

    writer = threading.Thread(target=write)
    writer.start()
    assert terminal.read(len(expected)) == expected
    writer.join()
    assert terminal.output.write_now("direct") is None
    assert terminal.read(6) == b"direct"


def test_a_text_that_the_thread_has_not_flushed_yet_is_not_overtaken(terminal: Terminal) -> None:
    terminal.output.close()
    assert terminal.output.write_now("first") == "first"
    terminal.output.open()
    terminal.output.write("first")
    assert terminal.output.write_now("second") == "second"
    terminal.output.flush()
    assert terminal.output.write_now("third") == "third"  # the second is still queued
    terminal.output.write("second")
    terminal.output.write("third")
    terminal.output.flush()
    assert terminal.output.write_now("fourth") is None
    assert terminal.read(22) == b"firstsecondthirdfourth"


def test_other_programs_in_the_terminal_still_block(terminal: Terminal) -> None:
    terminal.output.write_now(TEXT)
    assert os.get_blocking(terminal.file.fileno())


def test_a_terminal_that_is_gone_is_left_to_the_thread(terminal: Terminal) -> None:
    controller, descriptor = os.openpty()
    with os.fdopen(descriptor, "w") as file:
        output = DirectOutput(file)
        output.open()
        os.close(controller)
        assert output.write_now("text") == "text"
        output.close()


@pytest.mark.parametrize("kind", ["pipe", "memory"])
def test_a_file_that_is_not_a_terminal_is_left_to_the_thread(kind: str) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        output = DirectOutput(pipe if kind == "pipe" else StringIO())
        output.open()
        assert output.write_now("text") == "text"
        output.close()
    os.close(reader)
