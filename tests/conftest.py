"""Every test has a home of its own: nothing is read from or left in the user's directories."""

from __future__ import annotations

import os
import tempfile

from hypothesis import settings

# How long an example takes depends on the machine.
settings.register_profile("anywhere", deadline=None)
settings.load_profile("anywhere")

_home = tempfile.TemporaryDirectory(prefix="broadcast-tui-tests-")
for _name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
    os.environ[_name] = os.path.join(_home.name, _name.lower())
for _name in [name for name in os.environ if name.startswith("BROADCAST_TUI_")]:
    del os.environ[_name]
# Where the package keyring is installed, tests must not write into the user's.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
