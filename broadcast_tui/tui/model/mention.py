"""Whether a text speaks of somebody: their name as a whole word, in any case, at any place.

`ana's`, `@ana` and `"ana"` count; `banana` does not, and neither does `don't` for somebody called t.
"""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=16)
def _pattern(name: str) -> re.Pattern[str]:
    # Word characters of scripts that do not put blanks between words (CJK) may touch the name.
    wide = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
    edge = rf"(?:[^\W{wide}])"
    return re.compile(rf"(?<!{edge})(?<!{edge}['’]){re.escape(name)}(?!{edge})", re.IGNORECASE)


def mentions(text: str, name: str) -> bool:
    """Whether `text` names `name`; never for an empty name."""
    return bool(name) and _pattern(name).search(text) is not None
