"""The scripts that Redis runs for the log. Each one reads and changes one partition in one atomic step."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final


class LogScript:
    """A script of this directory, preceded by what all of them have in common.

    Args:
        flags: Flags for Redis. Without `allow-oom`, it is rejected when the memory is full.
    """

    def __init__(self, name: str, flags: str = "") -> None:
        directory = Path(__file__).parent
        common, body = ((directory / f"redis_{part}.lua").read_text("utf-8") for part in ("common", name))
        self.text: Final = f"#!lua{f' flags={flags}' if flags else ''}\n{common}\n{body}"
        self.sha: Final = hashlib.sha1(self.text.encode()).hexdigest()
        """The hash by which Redis knows it."""


APPEND = LogScript("append")
COPY_ENTRIES = LogScript("copy_entries")
COPY_ROOM = LogScript("copy_room")
FETCH = LogScript("fetch", "no-writes,allow-oom")
HEADS = LogScript("heads", "no-writes,allow-oom")
OPEN = LogScript("open", "allow-oom")
READ = LogScript("read", "no-writes,allow-oom")
TOPIC = LogScript("topic")
TRIM = LogScript("trim", "allow-oom")
