"""Each private part of Textual that the client uses, listed once and compared with the installed Textual.

Private names can change in any release, and most changes would go unnoticed: an override that Textual no
longer calls fails silently. So the table says what each part is, the first test compares it with the
installed Textual, and the second finds uses that the table does not list. Before you add a row, look for a
public API; before you allow another minor release of Textual, run this file against it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import broadcast_tui.tui

MODULE, CLASS, ATTRIBUTE = "module", "class", "attribute"

SEAMS: list[tuple[str, str, str]] = [
    # The app: output, crash, end
    ("textual.app:App", "_display", "self, screen, renderable"),
    ("textual.app:App", "_batch_count", ATTRIBUTE),
    ("textual.app:App", "_closed", ATTRIBUTE),
    ("textual.app:App", "_driver", ATTRIBUTE),
    ("textual.app:App", "_filters", ATTRIBUTE),
    ("textual.app:App", "_refresh_truecolor_filter", "self, theme"),
    ("textual.app:App", "_check_resize", "self"),
    ("textual.app:App", "_background_screens", ATTRIBUTE),
    ("textual.screen:Screen", "_screen_resized", "self, size"),
    ("textual.screen:Screen", "_compositor_refresh", "self"),
    ("textual.screen:Screen", "_repaint_required", ATTRIBUTE),
    ("textual.reactive:Reactive", "_layout", ATTRIBUTE),
    ("textual.reactive:Reactive", "_repaint", ATTRIBUTE),
    ("textual.app:App", "_start_widget", "self, parent, widget"),
    ("textual.app:App", "_handle_exception", "self, error"),
    ("textual.app:App", "_exception", ATTRIBUTE),
    ("textual.app:App", "_exception_event", ATTRIBUTE),
    ("textual.app:App", "_return_code", ATTRIBUTE),
    ("textual.message_pump:MessagePump", "_close_messages_no_wait", "self"),
    ("textual.app:App", "_shutdown", "self"),
    ("textual.app:App", "_print_error_renderables", "self"),
    ("textual.app:App", "_exit_renderables", ATTRIBUTE),
    ("textual._compositor", "ChopsUpdate", CLASS),
    ("textual._compositor:ChopsUpdate", "chops", ATTRIBUTE),
    ("textual._compositor:ChopsUpdate", "spans", ATTRIBUTE),
    ("textual._compositor:ChopsUpdate", "chop_ends", ATTRIBUTE),
    ("textual._compositor", "LayoutUpdate", CLASS),
    ("textual._compositor:LayoutUpdate", "strips", ATTRIBUTE),
    ("textual._compositor:LayoutUpdate", "region", ATTRIBUTE),
    # The echo of a key
    ("textual.screen:Screen", "_compositor", ATTRIBUTE),
    ("textual._compositor:Compositor", "visible_widgets", ATTRIBUTE),
    ("textual.widget:Widget", "_layout_required", ATTRIBUTE),
    ("textual.widget:Widget", "_repaint_required", ATTRIBUTE),
    ("textual.widget:Widget", "_repaint_regions", ATTRIBUTE),
    # The driver and its parser
    ("textual.driver:Driver", "_app", ATTRIBUTE),
    ("textual.driver:Driver", "_loop", ATTRIBUTE),
    ("textual.driver:Driver", "_mouse", ATTRIBUTE),
    ("textual.drivers.linux_driver:LinuxDriver", "_disable_mouse_support", "self"),
    ("textual.drivers.linux_driver:LinuxDriver", "_enable_mouse_support", "self"),
    ("textual.drivers.linux_driver:LinuxDriver", "_writer_thread", ATTRIBUTE),
    ("textual.drivers.linux_driver:LinuxDriver", "_file", ATTRIBUTE),
    ("textual.drivers._writer_thread:WriterThread", "_queue", ATTRIBUTE),
    ("textual.drivers.linux_driver:LinuxDriver", "run_input_thread", "self"),
    ("textual.drivers.linux_driver:LinuxDriver", "_get_terminal_size", "self"),
    ("textual.drivers.linux_driver:LinuxDriver", "attrs_before", ATTRIBUTE),
    ("textual.drivers.linux_driver:LinuxDriver", "exit_event", ATTRIBUTE),
    ("textual.drivers.linux_driver:LinuxDriver", "fileno", ATTRIBUTE),
    ("textual._xterm_parser", "XTermParser", CLASS),
    ("textual._xterm_parser:XTermParser", "feed", "self, data"),
    ("textual._xterm_parser:XTermParser", "tick", "self"),
    ("textual", "_ansi_sequences", MODULE),
    ("textual._ansi_sequences", "ANSI_SEQUENCES_KEYS", ATTRIBUTE),
    # Keys
    ("textual.app:App", "_check_bindings", "self, key, priority"),
    ("textual.app:App", "_keymap", ATTRIBUTE),
    ("textual.dom:DOMNode", "_bindings", ATTRIBUTE),
    # Widgets
    ("textual.screen:Screen", "_select_state", ATTRIBUTE),
    ("textual.screen:Screen", "_selecting", ATTRIBUTE),
    ("textual.scroll_view:ScrollView", "_size_updated", "self, size, virtual_size, container_size, layout"),
    ("textual.widget:Widget", "_on_click", "self, event"),
    ("textual.widget:Widget", "_vertical_scrollbar", ATTRIBUTE),
    ("textual.widgets._footer", "FooterKey", CLASS),
    ("textual.widgets._footer:FooterKey", "compact", ATTRIBUTE),
    ("textual.widgets._input:Input", "_on_key", "self, event"),
    ("textual.widgets._input:Input", "_on_paste", "self, event"),
    ("textual.widgets._text_area:TextArea", "_delete_via_keyboard", "self, start, end"),
    ("textual.widgets._text_area:TextArea", "_replace_via_keyboard", "self, insert, start, end"),
    ("textual.widgets._text_area:TextArea", "_on_key", "self, event"),
    ("textual.widgets._text_area:TextArea", "_on_paste", "self, event"),
    ("textual.widgets._toast", "ToastHolder", CLASS),
    # Rows of the log without the caches of a Strip
    ("textual.strip:Strip", "_cell_count", ATTRIBUTE),
    ("textual.strip:Strip", "_cell_length", ATTRIBUTE),
    ("textual.strip:Strip", "_crop_cache", ATTRIBUTE),
    ("textual.strip:Strip", "_crop_extend_cache", ATTRIBUTE),
    ("textual.strip:Strip", "_divide_cache", ATTRIBUTE),
    ("textual.strip:Strip", "_filter_cache", ATTRIBUTE),
    ("textual.strip:Strip", "_line_length_cache", ATTRIBUTE),
    ("textual.strip:Strip", "_link_ids", ATTRIBUTE),
    ("textual.strip:Strip", "_offsets_cache", ATTRIBUTE),
    ("textual.strip:Strip", "_render_cache", ATTRIBUTE),
    ("textual.strip:Strip", "_segments", ATTRIBUTE),
    ("textual.strip:Strip", "_style_cache", ATTRIBUTE),
    # Data
    ("rich._emoji_codes", "EMOJI", ATTRIBUTE),
]
"""Owner as `module` or `module:Class`, name, and what it is: a kind or the parameters of a function."""

PUBLIC_NAMES_OF = {
    "ChopsUpdate", "Compositor", "FooterKey", "LayoutUpdate", "LinuxDriver", "XTermParser",
    "textual._ansi_sequences",
}  # fmt: skip
"""Owners that are private or undocumented, so their public names are rows too; no scan finds those."""
NOT_SCANNED = {"ToastHolder"}
"""Names used in strings only, such as selectors."""


def owned(seam: str) -> object:
    """The object that `module` or `module:Class` names."""
    module, _, name = seam.partition(":")
    found = importlib.import_module(module)
    return getattr(found, name) if name else found


@cache
def classes_in(module: str) -> dict[str, ast.ClassDef]:
    """The classes that the source of `module` defines, by name; empty without source."""
    source = getattr(sys.modules[module], "__file__", None)
    if source is None or not source.endswith(".py"):
        return {}
    tree = ast.parse(Path(source).read_text("utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


@cache
def names_of(owner: type) -> frozenset[str]:
    """Names that `owner` itself, not a base class, defines in its body or by assignment to `self`."""
    names = {*vars(owner), *vars(owner).get("__annotations__", ())}
    if (definition := classes_in(owner.__module__).get(owner.__name__)) is not None:
        for node in ast.walk(definition):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
    return frozenset(names)


def is_private(name: str) -> bool:
    """Whether the name is private; the methods of a named tuple are not."""
    return name.startswith("_") and not name.startswith("__") and name not in {"_", "_replace", "_asdict"}


def is_foreign(module: str) -> bool:
    return module.partition(".")[0] in {"textual", "rich"}


@cache
def own_modules() -> tuple[ModuleType, ...]:
    """Every module of the client's screen part."""
    package = broadcast_tui.tui
    names = (info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."))
    return tuple(importlib.import_module(name) for name in names)


def private_imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Private modules and names imported from Textual or Rich, as (owner, name)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if is_foreign(alias.name) and "._" in alias.name:
                    yield alias.name, ""
        elif isinstance(node, ast.ImportFrom) and is_foreign(node.module or ""):
            for alias in node.names:
                if "._" in str(node.module) or is_private(alias.name):
                    yield str(node.module), alias.name


def uses_in_class(cls: type, node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Private names of foreign base classes that `cls` uses, defines or overrides, as (owner, name)."""
    names = {item.name for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
    for item in ast.walk(node):
        if isinstance(item, ast.Attribute) and is_own_receiver(item.value):
            names.add(item.attr)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            names.add(item.target.id)
    for name in filter(is_private, names):
        for base in cls.__mro__:
            if is_foreign(base.__module__) and name in names_of(base):
                yield f"{base.__module__}:{base.__qualname__}", name
                break


def is_own_receiver(node: ast.expr) -> bool:
    """Whether an attribute is read from `self`, `cls` or `super()`."""
    if isinstance(node, ast.Call):
        node = node.func
    return isinstance(node, ast.Name) and node.id in {"self", "cls", "super"}


def uses_of_others(tree: ast.Module) -> Iterator[str]:
    """Private names read from another object than `self`, unless the module defines them itself."""
    defined = {item.name for item in ast.walk(tree) if isinstance(item, ast.FunctionDef)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and is_own_receiver(node.value)
        ):
            defined.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.add(node.target.id)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_own_receiver(node.value):
            if node.attr not in defined or node.attr in OWNED:
                yield node.attr
        elif isinstance(node, ast.Constant) and node.value in OWNED:
            yield str(node.value)  # getattr(widget, "_name"), vars(widget)["_name"]


OWNED = {name for _, name, _ in SEAMS if is_private(name)}


@cache
def uses() -> frozenset[tuple[str, str, str]]:
    """Every private use, as (file, owner or "" if unknown, name)."""
    found: set[tuple[str, str, str]] = set()
    for module in own_modules():
        assert module.__file__ is not None
        path = Path(module.__file__)
        tree = ast.parse(path.read_text("utf-8"))
        found |= {(path.name, owner, name) for owner, name in private_imports(tree)}
        found |= {(path.name, "", name) for name in uses_of_others(tree)}
        for node in tree.body:
            cls = getattr(module, node.name) if isinstance(node, ast.ClassDef) else None
            if isinstance(node, ast.ClassDef) and isinstance(cls, type):
                found |= {(path.name, owner, name) for owner, name in uses_in_class(cls, node)}
    return frozenset(found)


@pytest.mark.parametrize(("owner", "name", "expected"), SEAMS, ids=lambda value: str(value)[:40])
def test_textual_still_has_each_part(owner: str, name: str, expected: str) -> None:
    where = owned(owner)
    if expected == ATTRIBUTE:
        assert name in (names_of(where) if isinstance(where, type) else vars(where))
        return
    part = getattr(where, name)
    if expected in {MODULE, CLASS}:
        assert inspect.isclass(part) if expected == CLASS else inspect.ismodule(part)
    else:
        assert ", ".join(map(str_of_parameter, inspect.signature(part).parameters.values())) == expected


def str_of_parameter(parameter: inspect.Parameter) -> str:
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            return f"*{parameter.name}"
        case inspect.Parameter.VAR_KEYWORD:
            return f"**{parameter.name}"
    return parameter.name


def test_every_private_use_is_in_the_table() -> None:
    listed = {(owner, name) for owner, name, _ in SEAMS}
    names = {name for _, name in listed}
    unlisted = [
        f"{file}: {owner or 'some object'} {name}"
        for file, owner, name in sorted(uses())
        if ((owner, name) not in listed if owner else name not in names)
    ]
    assert not unlisted


def test_every_row_of_the_table_is_used() -> None:
    used = {name for _, _, name in uses()} | NOT_SCANNED
    rows = [row for row in SEAMS if is_private(row[1]) or row[0].rpartition(":")[2] not in PUBLIC_NAMES_OF]
    assert not [f"{owner} {name}" for owner, name, _ in rows if name not in used]
