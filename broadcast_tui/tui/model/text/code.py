"""Syntax highlighting of code blocks.

Pygments is imported when the first code block is drawn. Only the listed languages are highlighted: crafted
input can keep the patterns of rare lexers busy for minutes.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import NamedTuple

LINES_MAX = 200
LINE_CHARS_MAX = 1_000
"""Longer code is not highlighted."""

_NAMES = """
bash c c++ clojure cmake cpp cs csharp css dart diff docker dockerfile elixir erlang fish fsharp go
graphql groovy haskell hcl html http ini java javascript js json json5 jsx julia kotlin kt latex
less lua make makefile markdown md mysql nginx nim nix objective-c ocaml patch perl php postgres
postgresql powershell protobuf ps1 py py3 python python3 r rb rs ruby rust sass scala scheme scss sh
shell sql sqlite3 swift terraform tex toml ts tsx typescript udiff vim xml yaml yml zig zsh
"""
LANGUAGES = frozenset(_NAMES.split())
"""Names accepted after the backticks, in lower case."""
_UNKNOWN_TO_PYGMENTS = {"kt": "kotlin", "patch": "diff"}
"""Names that Pygments knows under another name."""


class CodeKind(Enum):
    COMMENT = "Comment"
    KEYWORD = "Keyword"
    STRING = "String"
    NUMBER = "Number"
    NAME = "Name"
    """Name of a function, class, tag or key."""
    ADDED = "Inserted"
    """Added line of a diff."""
    REMOVED = "Deleted"


class CodePart(NamedTuple):
    """The kind of the characters from `start` to before `end`."""

    start: int
    end: int
    kind: CodeKind


@lru_cache(maxsize=64)
def parts_of_code(source: str, language: str) -> tuple[CodePart, ...]:
    """The highlighted parts of `source`, ascending, without overlap; empty for unknown languages."""
    language = language.partition(" ")[0].lower()
    if language not in LANGUAGES:
        return ()
    lines = source.split("\n")
    if len(lines) > LINES_MAX or max(map(len, lines)) > LINE_CHARS_MAX:
        return ()
    from pygments.lexers import get_lexer_by_name
    from pygments.token import Comment, Generic, Keyword, Name, Number, Operator, String
    from pygments.util import ClassNotFound

    kinds = (
        (Comment, CodeKind.COMMENT),
        (Keyword, CodeKind.KEYWORD),
        (Operator.Word, CodeKind.KEYWORD),
        (String, CodeKind.STRING),
        (Number, CodeKind.NUMBER),
        (Name.Function, CodeKind.NAME),
        (Name.Class, CodeKind.NAME),
        (Name.Tag, CodeKind.NAME),
        (Name.Attribute, CodeKind.NAME),
        (Name.Decorator, CodeKind.NAME),
        (Generic.Inserted, CodeKind.ADDED),
        (Generic.Deleted, CodeKind.REMOVED),
    )
    try:
        lexer = get_lexer_by_name(_UNKNOWN_TO_PYGMENTS.get(language, language))
    except ClassNotFound:
        return ()
    parts: list[CodePart] = []
    end = 0
    # Lexers of line-based languages do not recognize a last line without its end.
    for start, token, value in lexer.get_tokens_unprocessed(f"{source}\n"):
        kind = next((kind for parent, kind in kinds if token in parent), None)
        if kind is not None and end <= start < len(source):
            end = min(start + len(value), len(source))
            parts.append(CodePart(start, end, kind))
    return tuple(parts)
