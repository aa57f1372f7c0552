"""Writing in an editor of one's own: the text in a file for the user alone, the terminal lent meanwhile.

The chat goes on while the editor runs: the connection is kept, what arrives is there afterwards; only
nothing is drawn. Invariant: whatever goes wrong, it is one line, and the file is gone in the end.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from textual.app import App, SuspendNotSupported

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.terminal.driver import ChatDriver, driver_of

EDITORS = ("nano", "vi", "notepad")
"""Tried in turn when the environment names none."""


class EditorError(Exception):
    """Nothing came back; the argument is one sentence for the user."""


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """The words of the editor's command line, without a file. Raises EditorError if there is none."""
    for variable in ("VISUAL", "EDITOR"):
        if wanted := environment.get(variable, "").strip():
            try:
                words = shlex.split(wanted, posix=sys.platform != "win32")
            except ValueError as error:
                raise EditorError(f"{variable} cannot be read: {error}.") from error
            if words and shutil.which(words[0], path=environment.get("PATH")):
                return words
            raise EditorError(f"{variable} names an editor that is not here: {visible_line(wanted)}")
    for name in EDITORS:
        if shutil.which(name, path=environment.get("PATH")):
            return [name]
    raise EditorError("There is no editor: set EDITOR to one, for example to nano.")


async def edit(app: App[None], text: str) -> str:
    """What an editor made of `text`, without the line end it put at the end.

    Raises:
        EditorError: The environment's fault: no editor, one that failed, or a result that is no text.
    """
    command = editor_command(os.environ)
    try:
        handle, name = tempfile.mkstemp(prefix="broadcast-tui-", suffix=".txt")
    except OSError as error:
        raise EditorError(f"No file could be made for the editor: {error}.") from error
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text + "\n" if text else "")
        status = await _lend_terminal(app, [*command, name])
        if status:
            what = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
            raise EditorError(f"{visible_line(command[0])} {what}; the text is as it was.")
        return path.read_text("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise EditorError("What the editor wrote is not UTF-8; the text is as it was.") from error
    except OSError as error:
        raise EditorError(f"The editor could not be used: {visible_line(str(error))}.") from error
    finally:
        with suppress(OSError):
            path.unlink()


async def _lend_terminal(app: App[None], words: list[str]) -> int:
    """Run `words` with the terminal as it was before the chat; returns the exit status."""
    try:
        driver = driver_of(app)
        silenced = driver.silenced() if isinstance(driver, ChatDriver) else nullcontext()
        with app.suspend(), silenced, _undisturbed():
            process = await asyncio.create_subprocess_exec(*words)
            try:
                return await process.wait()
            except asyncio.CancelledError:
                with suppress(ProcessLookupError):
                    process.terminate()
                raise
    except SuspendNotSupported as error:
        raise EditorError("This terminal cannot be lent to an editor.") from error


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave Ctrl+C and Ctrl+\\ to the editor: the terminal sends their signals to the chat as well."""
    before = {}
    for name in ("SIGINT", "SIGQUIT"):
        number = getattr(signal, name, None)
        with suppress(ValueError, OSError):
            if number is not None:
                # A function, for the editor would inherit SIG_IGN.
                before[number] = signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(ValueError, OSError):
                signal.signal(number, handler)
