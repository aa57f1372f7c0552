"""Rules for the structure of the package: import directions, import cycles, sizes, and inheritance."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "broadcast_tui"

SCREEN = {"textual", "rich"}
IMPURE = {
    "asyncio", "socket", "ssl", "threading", "sqlite3", "time", "random", "secrets", "os", "pathlib",
    "logging", "websockets", "textual", "rich",
}  # fmt: skip


def layers(*names: str) -> set[str]:
    return {f"broadcast_tui.{name}" for name in names}


PRESENTATION = {"textual", "rich", "asyncio", "socket"} | layers("client", "tui.widgets", "tui.screens")

DENIED = {
    "core": IMPURE | layers("engine", "server", "client", "tui", "cli"),
    "engine": SCREEN | {"websockets"} | layers("server", "client", "tui", "cli"),
    "server": SCREEN | layers("client", "tui", "cli"),
    "client": SCREEN | layers("engine", "server", "tui", "cli"),
    "tui": {"sqlite3", "socket"} | layers("engine", "server", "cli"),
    "tui/model": {"textual", "asyncio", "socket", "websockets"}
    | layers("client", *(f"tui.{name}" for name in ("widgets", "screens", "terminal", "app"))),
    "tui/commands/registry.py": PRESENTATION,
    "tui/commands/parser.py": PRESENTATION,
}
ONLY_IN = {
    "sqlite3": {
        f"engine/{name}.py"
        for name in (
            "sqlite",
            "sqlite_batch",
            "sqlite_copying",
            "sqlite_forks",
            "sqlite_index",
            "sqlite_purge",
            "sqlite_reader",
            "sqlite_retention",
            "sqlite_rows",
            "sqlite_schema",
        )
    },
    "redis": {
        "redis_client.py",
        "redis_subscriber.py",
        *(f"engine/redis_{name}.py" for name in ("engine", "partition", "reader", "retention", "writer")),
        "server/cluster/commands.py",
    },
    "aiohttp": {str(path.relative_to(PACKAGE)) for path in (PACKAGE / "server" / "web").glob("*.py")},
}


@cache
def imports_of(path: Path) -> Set[str]:
    """Every module a file imports, with those of `from` imports spelled out."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def is_within(module: str, denied: str) -> bool:
    return module == denied or module.startswith(denied + ".")


@pytest.mark.parametrize("layer", DENIED)
def test_a_layer_imports_nothing_it_must_not(layer: str) -> None:
    place = PACKAGE / layer
    paths = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert paths
    broken = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in paths
        for module in sorted(imports_of(path))
        for denied in DENIED[layer]
        if is_within(module, denied)
    ]
    assert broken == []


@pytest.mark.parametrize("module", ONLY_IN)
def test_a_library_is_imported_by_its_users_only(module: str) -> None:
    users = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(is_within(found, module) for found in imports_of(path))
    }
    assert users <= ONLY_IN[module]


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_the_server_loads_no_screen() -> None:
    assert not loaded_by("import broadcast_tui.server, broadcast_tui.client") & SCREEN


def test_only_a_server_that_starts_loads_the_http_library() -> None:
    assert "aiohttp" not in loaded_by("import broadcast_tui.server, broadcast_tui.client, broadcast_tui.cli")


def test_only_a_client_that_connects_loads_websockets() -> None:
    """The chat shows its first screen before it connects."""
    assert "websockets" not in loaded_by("import broadcast_tui.client.client, broadcast_tui.tui.app")


def test_an_invite_of_a_chat_loads_no_server() -> None:
    """A chat in an empty room makes one at once."""
    code = (
        "import sys; from broadcast_tui.cli.chat_invites import make_invite;"
        "make_invite('ws://localhost:1', 'lobby', '');"
        "print(*{'cyclopts', 'segno', 'broadcast_tui.server'} & {*sys.modules})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_the_first_screen_loads_no_dialogs() -> None:
    code = (
        "import sys, broadcast_tui.tui.app; from broadcast_tui.tui.preload import MODULES;"
        "print(*(name for name in MODULES if f'broadcast_tui.tui.{name}' in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_the_root_loads_next_to_nothing() -> None:
    loaded = loaded_by("import broadcast_tui")
    assert not loaded & {"websockets", "textual", "rich", "asyncio", "msgspec", "cyclopts"}


# -- import cycles


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_level_imports(tree: ast.Module, modules: set[str]) -> set[str]:
    """Modules of the package that are imported when a module is; not those under `if TYPE_CHECKING`."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in modules else str(node.module))
    return found & modules


def cycles(graph: dict[str, set[str]]) -> list[str]:
    """Each import cycle that a depth-first search meets, as `a -> b -> a`."""
    found: list[str] = []
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append(" -> ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for imported in sorted(graph[module]):
                visit(imported, [*path, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def test_a_cycle_is_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b -> c -> b"]
    assert cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_modules_import_each_other() -> None:
    paths = {module_name(path): path for path in PACKAGE.rglob("*.py")}
    graph = {
        name: top_level_imports(ast.parse(path.read_text("utf-8")), set(paths))
        for name, path in paths.items()
    }
    assert cycles(graph) == []


# -- sizes and inheritance

MAX_MODULE_LINES = 600
MAX_METHODS = 45
"""Of a class, including those it inherits from classes of the package."""
LARGE = {
    "client/client.py: BroadcastClient": 75,
    "tui/replay/client.py: ReplayClient": 60,
    "tui/widgets/message_log.py: MessageLog": 50,
}
"""Classes over the limit, with the most methods that they may have."""
MAX_FUNCTION_LINES = 60
"""Without the signature and the docstring."""
EXEMPT_BASES = {"ABC", "Protocol", "Struct", "Exception", "Enum", "StrEnum", "IntEnum", "Message"}
"""Kinds of classes that are bases by nature: contracts, records, errors and messages."""
SINGLE_SUBCLASS = {
    "FrameConnection": "a connection without a pinned certificate",
    "ConnectionLimits": "the limits that an embedding program sets",
    "ServerLimits": "the limits over all connections and rooms",
    "MemoryEngine": "an engine of its own",
    "ChoiceScreen": "asks every question with fixed answers",
    "ReadlineArea": "a text area with the keys of a shell, without chat",
    "AnchoredScrollView": "scrolls any rows by an anchor",
}
"""Base classes with one subclass, and why each of them stands on its own."""


@dataclass
class ClassInfo:
    """A class of the package; `bases` and `methods` are those in its own definition."""

    place: str
    bases: list[str]
    methods: set[str]


@cache
def classes() -> dict[str, ClassInfo]:
    """The classes of the package by name."""
    found: dict[str, ClassInfo] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
                methods = {n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
                found[node.name] = ClassInfo(f"{path.relative_to(PACKAGE)}: {node.name}", bases, methods)
    return found


def ancestors(name: str, known: dict[str, ClassInfo]) -> list[str]:
    """Names of a class and all its bases, as far as they are known."""
    if name not in known:
        return [name]
    return [name, *(above for base in known[name].bases if base != name for above in ancestors(base, known))]


def test_modules_and_functions_stay_small() -> None:
    too_large = []
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text("utf-8")
        if len(source.splitlines()) > MAX_MODULE_LINES:
            too_large.append(f"{path.relative_to(PACKAGE)}: {len(source.splitlines())} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                lines = (node.end_lineno or node.lineno) - first.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    too_large.append(f"{path.relative_to(PACKAGE)}: {node.name} has {lines} lines")
    assert too_large == []


def test_classes_stay_small_with_their_bases() -> None:
    known = classes()
    sizes = {
        found.place: sum(len(known[above].methods) for above in {*ancestors(name, known)} & known.keys())
        for name, found in known.items()
    }
    too_large = {place: size for place, size in sizes.items() if size > LARGE.get(place, MAX_METHODS)}
    assert too_large == {}


def test_a_base_class_has_several_subclasses() -> None:
    known = classes()
    subclasses: dict[str, list[str]] = {}
    for name, found in known.items():
        for base in found.bases:
            subclasses.setdefault(base, []).append(name)
    single = {
        base
        for base, below in subclasses.items()
        if base in known and len(below) == 1 and not {*ancestors(base, known)} & EXEMPT_BASES
    }
    assert single == SINGLE_SUBCLASS.keys()
