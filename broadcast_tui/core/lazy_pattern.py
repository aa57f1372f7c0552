"""Regular expressions that are compiled when they are first used.

Character classes of Unicode take up to 3 ms to compile, which would delay the start of every command.
"""

from __future__ import annotations

import re
from typing import cast

_ATTRIBUTES = [name for name in dir(re.Pattern) if not name.startswith("_")]


class _CompiledPattern:
    """Has the methods of a pattern as attributes; calls take longer in a class that has `__getattr__`."""


class _LazyPattern:
    def __init__(self, source: str, flags: int) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> object:
        """Compile the pattern, and become a plain object with its methods."""
        pattern = re.compile(self._source, self._flags)
        vars(self).update({method: getattr(pattern, method) for method in _ATTRIBUTES})
        self.__class__ = _CompiledPattern  # type: ignore[assignment]
        return getattr(self, name)


def lazy_pattern(source: str, flags: int = 0) -> re.Pattern[str]:
    """As `re.compile`, for patterns that are slow to compile and not used for each post."""
    return cast("re.Pattern[str]", _LazyPattern(source, flags))
