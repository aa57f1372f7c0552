"""One cache of parsed CSS for all apps of a test process; Textual parses all of it again for each app."""

from __future__ import annotations

from typing import Any


def install() -> None:
    """Share parsed rules between apps with the same CSS variables."""
    from textual.css.stylesheet import Stylesheet

    parse: Any = vars(Stylesheet)["_parse_rules"]
    parsed: dict[object, Any] = {}

    def parse_rules(self: Any, css: str, *where: Any, **options: Any) -> Any:
        key = (css, where, tuple(options.items()), tuple(self._variables.items()))
        if key not in parsed:
            parsed[key] = parse(self, css, *where, **options)
        return parsed[key]

    setattr(Stylesheet, "_parse_rules", parse_rules)  # noqa: B010
