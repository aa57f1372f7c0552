"""Locations of Redis on the command line."""

from __future__ import annotations

import sys

from broadcast_tui.redis_settings import PASSWORD_VARIABLE, is_redis, parse_location


def password_warning(location: str) -> str:
    """A warning if the command line has a location with a password; otherwise empty. Raises LocationError."""
    if not is_redis(location) or not parse_location(location).has_inline_password:
        return ""
    if not any(location in word for word in sys.argv):
        return ""
    return (
        "Warning: Other users of this machine can see the Redis password in the list of processes. "
        f"Store it in a file and add ?password_file=PATH, or set {PASSWORD_VARIABLE}."
    )
