"""What the parts of a program's text are, so that they can be told apart by color.

Pygments knows; it is loaded when the first block of code is drawn, never before. Only languages of the
list are read: the patterns of rare ones can be made to run for minutes by text made for that.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import NamedTuple

LINES_MAX = 200
LINE_CHARS_MAX = 1_000
"""Code beyond either is plain."""

_NAMES = """
bash c c++ clojure cmake cpp cs csharp css dart diff docker dockerfile elixir erlang fish fsharp go
graphql groovy haskell hcl html http ini java javascript js json json5 jsx julia kotlin kt latex
less lua make makefile markdown md mysql nginx nim nix objective-c ocaml patch perl php postgres
postgresql powershell protobuf ps1 py py3 python python3 r rb rs ruby rust sass scala scheme scss sh
shell sql sqlite3 swift terraform tex toml ts tsx typescript udiff vim xml yaml yml zig zsh
"""
LANGUAGES = frozenset(_NAMES.split())
"""As they are written after the backticks, in small letters."""
_UNKNOWN_TO_PYGMENTS = {"kt": "kotlin", "patch": "diff"}
"""Names of the list, and what Pygments calls them."""


class CodeKind(Enum):
    COMMENT = "Comment"
    KEYWORD = "Keyword"
    STRING = "String"
    NUMBER = "Number"
    NAME = "Name"
    """Of a function, a class, a tag, a key."""
    ADDED = "Inserted"
    """A line of a patch."""
    REMOVED = "Deleted"


class CodePart(NamedTuple):
    """Characters from `start` to before `end` are of this kind."""

    start: int
    end: int
    kind: CodeKind


@lru_cache(maxsize=64)
def parts_of_code(source: str, language: str) -> tuple[CodePart, ...]:
    """What is not plain in `source`, rising, without overlap; empty for a language that is not known."""
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
    for start, token, value in lexer.get_tokens_unprocessed(source):
        kind = next((kind for parent, kind in kinds if token in parent), None)
        if kind is not None and start >= end:
            end = start + len(value)
            parts.append(CodePart(start, end, kind))
    return tuple(parts)
