from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.lexers import get_all_lexers

from broadcast_tui.tui.model.text.code import LANGUAGES, LINES_MAX, CodeKind, parts_of_code
from tests.support.profile import by_profile


def kinds(source: str, language: str) -> dict[str, CodeKind]:
    return {source[part.start : part.end].strip(): part.kind for part in parts_of_code(source, language)}


def test_the_parts_of_a_program() -> None:
    source = 'def hello(name):\n    # greet\n    return len("hi") + 42'
    assert kinds(source, "python") == {
        "def": CodeKind.KEYWORD,
        "hello": CodeKind.NAME,
        "# greet": CodeKind.COMMENT,
        "return": CodeKind.KEYWORD,
        '"': CodeKind.STRING,
        "hi": CodeKind.STRING,
        "42": CodeKind.NUMBER,
    }


def test_the_parts_of_a_patch() -> None:
    assert kinds("-old\n+new\n same", "diff") == {"-old": CodeKind.REMOVED, "+new": CodeKind.ADDED}


def test_the_language_is_the_first_word_in_any_case() -> None:
    assert kinds("true", "JSON lines=3") == {"true": CodeKind.KEYWORD}


def test_every_listed_language_is_supported() -> None:
    aliases = {alias for _, names, _, _ in get_all_lexers() for alias in names}
    assert sorted(LANGUAGES - aliases) == ["kt", "patch"]
    assert kinds("-old\n+new", "patch") == kinds("-old\n+new", "diff")
    assert kinds("fun main()", "kt") == kinds("fun main()", "kotlin") != {}


@pytest.mark.parametrize(
    "language",
    ["", "no such", "../../etc/passwd", "python\x00", "text", "brainfuck", "as", "in", "the", "after"],
)
def test_an_unknown_language_is_plain(language: str) -> None:
    assert parts_of_code("def x(): pass", language) == ()


def test_long_code_is_plain() -> None:
    assert parts_of_code("x = 1\n" * LINES_MAX, "python") == ()
    assert parts_of_code("x" * 2_000, "python") == ()


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@settings(max_examples=by_profile(30, 500))
@given(source=st.text(st.sampled_from("abc(){}[]<>\"'`#/*-+=\\ \n\t0.:;漢e\u0301"), max_size=60))
def test_no_text_breaks_a_language(language: str, source: str) -> None:
    end = 0
    for part in parts_of_code(source, language):
        assert end <= part.start <= part.end <= len(source)
        end = part.end


def test_pygments_is_loaded_by_the_first_block_only() -> None:
    code = (
        "import sys, broadcast_tui.tui.app\n"
        "from broadcast_tui.tui.model.text.code import parts_of_code\n"
        "parts_of_code('x', 'unknown')\n"
        "assert 'pygments.lexers' not in sys.modules\n"
        "parts_of_code('x', 'python')\n"
        "assert 'pygments.lexers' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
