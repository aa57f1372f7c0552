"""Mutation testing of core and engine: `python -m tests.support.mutate --count 30 --seed 1`.

Each mutant is a copy of the package with one change, chosen at random. The tests of the changed layer run
against it first, then those of the layers that use it. A mutant that no test fails for has survived. The exit
status is 1 if fewer than `--killed` mutants are killed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS = ("core", "engine")
INNER_LOOP = "not app and not process and not soak"
OTHERS = ("tests/core", "tests/engine", "tests/fuzz", "tests/server", "tests/client")
"""Directories with tests of the layers and of those that use them."""
LIMIT_S = 300.0
"""A mutant may loop forever; then it is killed."""
FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True)
class Mutation:
    """A change of one node: `path:line`, what it does, and the new source of the statement that holds it."""

    path: Path
    line: int
    what: str
    source: str


def mutants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Changed versions of a node, each with a description."""
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in FLIPPED:
            other = copy.deepcopy(node)
            other.ops = [FLIPPED[type(operator)]()]
            yield "comparison changed", other
        case ast.BinOp(op=ast.Add() | ast.Sub(), right=ast.Constant(value=1)):
            yield "± 1 dropped", node.left
        case ast.BoolOp():
            swapped = copy.deepcopy(node)
            swapped.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "and/or swapped", swapped
        case ast.UnaryOp(op=ast.Not()):
            yield "not dropped", node.operand
        case ast.Constant(value=bool()):
            yield "boolean negated", ast.Constant(not node.value)
        case ast.If(orelse=[]):
            yield "branch removed", ast.Pass()
        case ast.If():
            yield "condition negated", ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        case ast.Return(value=ast.expr()) if not isinstance(node.value, ast.Constant):
            yield "returns None", ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield "call removed", ast.Pass()
        case _:
            return


def mutations_of(path: Path) -> Iterator[Mutation]:
    """Every mutation of the functions of a module."""
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(node): node for function in functions for part in function.body for node in ast.walk(part)}
    for node in inside.values():
        for what, changed in mutants(node):
            assert isinstance(node, ast.stmt | ast.expr)
            yield Mutation(path, node.lineno, what, _replaced(source, node, changed))


def _replaced(source: str, node: ast.stmt | ast.expr, changed: ast.AST) -> str:
    """`source` with the text of `node` replaced."""
    lines = source.encode().splitlines(keepends=True)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    before = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    after = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
    text = ast.unparse(ast.fix_missing_locations(changed))
    indentation = "\n" + " " * node.col_offset
    text = text.replace("\n", indentation) if isinstance(node, ast.stmt) else f"({text})"
    return (before + text.encode() + after).decode()


def survives(mutation: Mutation | None) -> bool:
    """Whether the tests pass with the mutation, or without any."""
    with tempfile.TemporaryDirectory() as directory:
        copied = Path(directory)
        for name in ("broadcast_tui", "tests", "docs"):
            shutil.copytree(ROOT / name, copied / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, copied / name)
        if mutation is None:
            return _passes(copied, *OTHERS)
        relative = mutation.path.relative_to(ROOT)
        (copied / relative).write_text(mutation.source, "utf-8")
        # core/hub/x.py is tested by tests/core/hub, engine/x.py by tests/engine.
        first = "/".join(("tests", *relative.parts[1:-1]))
        return _passes(copied, first) and _passes(copied, *OTHERS, f"--ignore={first}")


def _passes(directory: Path, *words: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", "-m", INNER_LOOP]
    try:
        done = subprocess.run(
            [*command, *words],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--killed", type=int, default=0, help="fail if fewer are killed")
    options = parser.parse_args()
    paths = sorted(path for layer in LAYERS for path in (ROOT / "broadcast_tui" / layer).rglob("*.py"))
    every = [mutation for path in paths for mutation in mutations_of(path)]
    if not survives(None):
        print("the tests fail without a mutation")
        return 1
    killed = 0
    for mutation in random.Random(options.seed).sample(every, options.count):
        survived = survives(mutation)
        killed += not survived
        place = f"{mutation.path.relative_to(ROOT)}:{mutation.line}"
        print(f"{'survived' if survived else 'killed':8}  {place}  {mutation.what}", flush=True)
    print(f"{killed} of {options.count} killed")
    return int(killed < options.killed)


if __name__ == "__main__":
    sys.exit(main())
