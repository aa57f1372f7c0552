"""What a running server reads again on SIGHUP: all of it or nothing.

Each part is a function that reads and checks what is new, raising what is wrong with it, and returns the
function that puts it in force, which cannot fail. So a bad file leaves everything as it was.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Container, Mapping, Sequence

from cyclopts import CycloptsError

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.text import log_safe

Options = Mapping[str, object]
"""Arguments of `serve` by name, as given on the command line, in the environment and in files now."""
Load = Callable[[Options], Callable[[], None]]

log = logging.getLogger("broadcast_tui.server")


class Reloader:
    """The parts to reload, by what a log calls them; call it to reload.

    Args:
        read_options: Reads the options as they are given now.
        at_start: The options that the server runs with.
        reloadable: Names of those that a part puts in force; a change of another one is warned of.
    """

    def __init__(
        self, read_options: Callable[[], Options], at_start: Options, reloadable: Container[str]
    ) -> None:
        self._read_options = read_options
        self._at_start = at_start
        self._reloadable = reloadable
        self._parts: dict[str, Load] = {}

    def add(self, name: str, load: Load) -> None:
        """Reload `name` too."""
        self._parts[name] = load

    def __call__(self) -> None:
        """Reload; what is wrong is a line in the log."""
        try:
            options = self._read_options()
            changes = [load(options) for load in self._parts.values()]
        except (BroadcastError, CycloptsError, OSError) as error:
            log.error("nothing was reloaded: %s", log_safe(" ".join(str(error).split()), 400))
            return
        for apply in changes:
            apply()
        log.info("reloaded: %s", ", ".join(self._parts))
        self._warn_of_others(options)

    def _warn_of_others(self, options: Options) -> None:
        """A line for options that are given otherwise than at the start, and hold only from the next one."""
        changed = [
            name.replace("_", "-")
            for name, value in self._at_start.items()
            if name not in self._reloadable and options.get(name) != value
        ]
        if changed:
            log.warning("%s: a change holds only after a restart", ", ".join(changed))


def options_again(arguments: Sequence[str] | None = None) -> Options:
    """The options as they are given now. Raises CycloptsError or UsageError."""
    from broadcast_tui.cli import app
    from broadcast_tui.cli.settings import USER_CONFIG

    USER_CONFIG.read_again()
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    _, bound, _ = app.parse_args(tokens, print_error=False, exit_on_error=False)
    bound.apply_defaults()
    return bound.arguments
