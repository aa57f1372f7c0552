"""The name of the system's user, as a default for names in the chat."""

from __future__ import annotations

import getpass

from broadcast_tui.core.names import name_from


def system_user() -> str:
    """Name of the user who runs this program, without a domain; empty if the system has none."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # the last on Windows, without any of the variables
        return ""
    return user.rpartition("\\")[2].partition("@")[0]


def login_name() -> str:
    """The name of the system's user as a name in the chat; empty if it is none, such as root."""
    return name_from(system_user())
