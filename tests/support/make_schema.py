"""Generates `broadcast_tui/protocol.schema.json`, the JSON schema of all frames.

    python -m tests.support.make_schema

`tests/test_docs.py` fails when the file is out of date.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path

from broadcast_tui.core.protocol.codec import schema

PATH = Path(__file__).resolve().parents[2] / "broadcast_tui" / "protocol.schema.json"


def render() -> str:
    """The whole file as JSON."""
    return json.dumps(_cleaned(schema()), indent=2, default=list) + "\n"


def _cleaned(value: object) -> object:
    """A part of the schema without the indentation of docstrings, which old versions of msgspec keep."""
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(item) if key == "description" and isinstance(item, str) else _cleaned(item)
            for key, item in value.items()
        }
    return [_cleaned(item) for item in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    PATH.write_text(render(), "utf-8")
    print(PATH)
