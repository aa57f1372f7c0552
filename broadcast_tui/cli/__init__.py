"""The command line: one module per subcommand, imported when it is run.

Standard output carries data, standard error messages. A usage error is one line on standard error and exit
status 2. The help and the version are printed without loading the parser.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

PROMPT = "(prompt)"
"""Stands for the argument `-`: prompt for the address."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit."""
    from broadcast_tui.cli.help import requested_text
    from broadcast_tui.cli.stdio import open_closed, with_stdout

    tokens = list(sys.argv[1:] if arguments is None else arguments)
    open_closed()
    text = requested_text(tokens)
    if text is not None:
        sys.exit(with_stdout(lambda: print(text)))
    from broadcast_tui.cli.runner import run

    sys.exit(run(tokens))
