"""Reloading of a running server on SIGHUP: all or nothing.

Each part is a function that reads and validates the new state, and returns a function that applies it and
cannot fail. An invalid file therefore changes nothing. What the latter returns is added to the log.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Container, Mapping, Sequence

from cyclopts import CycloptsError

from broadcast_tui.cli.errors import UsageError
from broadcast_tui.cli.option_types import sentence
from broadcast_tui.cli.settings import ConfigMistakes
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.redaction import redact
from broadcast_tui.core.text import log_safe

Options = Mapping[str, object]
"""Current arguments of `serve` by name, from the command line, the environment and files."""
Load = Callable[[Options], Callable[[], str | None]]

log = logging.getLogger("broadcast_tui.server")


class Reloader:
    """Reloads its parts when called. Their names appear in the log.

    Args:
        read_options: Reads the current options.
        at_start: The options the server was started with.
        reloadable: Names of the options that a part applies; a change of any other is logged as a warning.
    """

    def __init__(
        self, read_options: Callable[[], Options], at_start: Options, reloadable: Container[str]
    ) -> None:
        self._read_options = read_options
        self._at_start = at_start
        self._reloadable = reloadable
        self._parts: dict[str, Load] = {}

    def add(self, name: str, load: Load) -> None:
        """Add a part."""
        self._parts[name] = load

    def __call__(self) -> None:
        """Reload all parts; if there is an error, nothing changes, and each mistake is a line of the log."""
        try:
            options = self._read_options()
        except (BroadcastError, OSError) as error:
            _log_failure(error)
            return
        changes = []
        for load in self._parts.values():
            try:
                changes.append(load(options))
            except (BroadcastError, OSError) as error:
                _log_failure(error)
        if len(changes) < len(self._parts):
            return
        details = [apply() for apply in changes]
        log.info(
            "reloaded: %s",
            ", ".join(
                f"{name} ({detail})" if detail else name
                for name, detail in zip(self._parts, details, strict=True)
            ),
            extra={"event": "reloaded"},
        )
        self._warn_of_ignored(options)

    def _warn_of_ignored(self, options: Options) -> None:
        """Log changed options that take effect only after a restart."""
        changed = [
            name.replace("_", "-")
            for name, value in self._at_start.items()
            if name not in self._reloadable and options.get(name) != value
        ]
        if changed:
            extra = {"event": "restart_needed"}
            log.warning("restart the server to apply changes of: %s", ", ".join(changed), extra=extra)


def _log_failure(error: BroadcastError | OSError) -> None:
    """Log why nothing has been reloaded, a line for each mistake."""
    for line in error.lines if isinstance(error, ConfigMistakes) else (str(error),):
        reason = log_safe(redact(" ".join(line.split())), 400)
        log.error("reload failed: %s", reason, extra={"event": "reload_failed", "reason": reason})


class Coalescer:
    """Calls a function soon after it is called itself, at most once in `interval_s`.

    A reload takes about 15 ms, in which the server does nothing else.
    """

    def __init__(
        self, function: Callable[[], None], loop: asyncio.AbstractEventLoop, interval_s: float = 1.0
    ) -> None:
        self._function = function
        self._loop = loop
        self._interval_s = interval_s
        self._next_at = 0.0
        self._is_due = False

    def __call__(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_at(max(self._loop.time(), self._next_at), self._run)

    def _run(self) -> None:
        self._is_due = False
        self._next_at = self._loop.time() + self._interval_s
        self._function()


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the current options of `serve`. Raises UsageError and ConfigError."""
    from broadcast_tui.cli.parser import app
    from broadcast_tui.cli.settings import USER_CONFIG

    USER_CONFIG.reload()
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _, bound, _ = app.parse_args(tokens, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        raise UsageError(sentence(error)) from error
    bound.apply_defaults()
    return bound.arguments
