"""Edits text in the user's editor ($VISUAL, $EDITOR) through a temporary private file.

The chat continues while the editor has the terminal: the connection stays open and posts arrive, but nothing
is drawn. Invariant: every failure is an `EditorError` with one line, and the file is always removed.
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
"""Editors to try in this order if the environment names none."""


class EditorError(Exception):
    """The editor returned no text; the argument is one sentence for the user."""


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """The editor's command line without a file. Raises EditorError if there is no editor."""
    for variable in ("VISUAL", "EDITOR"):
        if setting := environment.get(variable, "").strip():
            try:
                words = shlex.split(setting, posix=sys.platform != "win32")
            except ValueError as error:
                raise EditorError(f"Invalid {variable}: {error}.") from error
            if words and shutil.which(words[0], path=environment.get("PATH")):
                return words
            raise EditorError(f"Editor not found: {visible_line(setting)} (from {variable}).")
    for name in EDITORS:
        if shutil.which(name, path=environment.get("PATH")):
            return [name]
    raise EditorError("No editor found. Set EDITOR, for example to nano.")


async def edit(app: App[None], text: str) -> str:
    """Let the user edit `text`; returns the result without the final line end.

    Raises:
        EditorError: There is no editor, it failed, or its result is not UTF-8.
    """
    command = editor_command(os.environ)
    try:
        handle, name = tempfile.mkstemp(prefix="broadcast-tui-", suffix=".txt")
    except OSError as error:
        raise EditorError(f"Cannot create a file for the editor: {error}.") from error
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text + "\n" if text else "")
        status = await _run_in_terminal(app, [*command, name])
        if status:
            what = f"was ended by signal {-status}" if status < 0 else f"exited with status {status}"
            raise EditorError(f"{visible_line(command[0])} {what}. Your text is unchanged.")
        return path.read_text("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise EditorError("The edited file is not UTF-8. Your text is unchanged.") from error
    except OSError as error:
        raise EditorError(f"The editor failed: {visible_line(str(error))}.") from error
    finally:
        with suppress(OSError):
            path.unlink()


async def _run_in_terminal(app: App[None], command: list[str]) -> int:
    """Run `command` while the chat is suspended; returns its exit status."""
    try:
        driver = driver_of(app)
        silenced = driver.silenced() if isinstance(driver, ChatDriver) else nullcontext()
        with app.suspend(), silenced, _ignored_interrupts():
            process = await asyncio.create_subprocess_exec(*command)
            try:
                return await process.wait()
            except asyncio.CancelledError:
                with suppress(ProcessLookupError):
                    process.terminate()
                raise
    except SuspendNotSupported as error:
        raise EditorError("This terminal cannot run an editor.") from error


@contextmanager
def _ignored_interrupts() -> Iterator[None]:
    """Ignore Ctrl+C and Ctrl+\\, whose signals the terminal sends to the chat as well as to the editor."""
    previous = {}
    for name in ("SIGINT", "SIGQUIT"):
        number = getattr(signal, name, None)
        with suppress(ValueError, OSError):
            if number is not None:
                # A function, because the editor would inherit SIG_IGN.
                previous[number] = signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in previous.items():
            with suppress(ValueError, OSError):
                signal.signal(number, handler)
