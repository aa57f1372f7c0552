"""The import rules of the layers, as code: who may import whom, and what the pure ones never touch."""

from __future__ import annotations

import ast
import subprocess
import sys
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


DENIED = {
    "core": IMPURE | layers("engine", "server", "client", "tui", "cli"),
    "engine": SCREEN | {"websockets"} | layers("server", "client", "tui", "cli"),
    "server": SCREEN | layers("client", "tui", "cli"),
    "client": SCREEN | layers("engine", "server", "tui", "cli"),
    "tui": {"sqlite3", "socket"} | layers("engine", "server", "cli"),
    "tui/model": {"textual", "asyncio", "socket", "websockets"} | layers("client", "tui.widgets"),
}
ONLY_IN = {"sqlite3": {"engine/sqlite.py", "engine/sqlite_schema.py"}, "redis": {"engine/redis.py"}}


def imports_of(path: Path) -> set[str]:
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
    paths = sorted((PACKAGE / layer).rglob("*.py"))
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
def test_a_database_is_imported_by_its_engine_only(module: str) -> None:
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


def test_the_root_loads_next_to_nothing() -> None:
    loaded = loaded_by("import broadcast_tui")
    assert not loaded & {"websockets", "textual", "rich", "asyncio", "msgspec", "cyclopts"}


def test_modules_classes_and_functions_stay_small() -> None:
    """600 lines a module, 45 methods a class, 60 lines a function: past that it is two ideas."""
    too_large = []
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text("utf-8")
        if len(source.splitlines()) > 600:
            too_large.append(f"{path.relative_to(PACKAGE)}: {len(source.splitlines())} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                methods = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
                if len(methods) > 45:
                    too_large.append(f"{path.relative_to(PACKAGE)}: {node.name} has {len(methods)} methods")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                lines = (node.end_lineno or node.lineno) - first.lineno + 1
                if lines > 60:
                    too_large.append(f"{path.relative_to(PACKAGE)}: {node.name} has {lines} lines")
    assert too_large == []
