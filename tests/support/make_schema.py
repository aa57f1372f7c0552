"""Generates `broadcast_tui/protocol.schema.json`, the JSON schema of all frames.

    python -m tests.support.make_schema

`tests/test_docs.py` fails when the file is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path

from broadcast_tui.core.protocol.codec import schema

PATH = Path(__file__).resolve().parents[2] / "broadcast_tui" / "protocol.schema.json"


def render() -> str:
    """The whole file as JSON."""
    return json.dumps(schema(), indent=2, default=list) + "\n"


if __name__ == "__main__":
    PATH.write_text(render(), "utf-8")
    print(PATH)
