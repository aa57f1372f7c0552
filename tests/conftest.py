"""Settings of all tests: markers, the long profile, the order, and a home directory of their own."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import coverage_scope, fork_server, kinds, profile
from tests.support.redis_server import RedisServer, running

_home = tempfile.TemporaryDirectory(prefix="broadcast-tui-tests-")
for _name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
    os.environ[_name] = os.path.join(_home.name, _name.lower())
for _name in [name for name in os.environ if name.startswith("BROADCAST_TUI_")]:
    del os.environ[_name]
# Where the package keyring is installed, tests must not write into the user's.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"

# A shell without job control ignores Ctrl+C in what it starts in the background, which programs inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example may take as long as the machine needs.
settings.register_profile("ci", deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile(
    "soak", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="random seed of the chaos test, to repeat an earlier run")
    parser.addoption(
        "--soak",
        type=float,
        nargs="?",
        const=profile.LONG_SOAK_S,
        metavar="SECONDS",
        help=f"the long profile: more examples, sizes and connections, and SECONDS "
        f"(default {profile.LONG_SOAK_S:g}) of chaos",
    )


def pytest_configure(config: pytest.Config) -> None:
    soak_s: float | None = config.getoption("--soak")
    if soak_s is not None:
        profile.choose_long(soak_s)
    if config.getoption("hypothesis_profile", None) is None:
        settings.load_profile("soak" if profile.is_long() else "ci")
    fork_server.install()
    coverage_scope.install(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Start half as many workers again as there are CPUs: tests of processes spend much time waiting."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    cpu_count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cpu_count + (cpu_count + 1) // 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what a test starts, and begin with the longest tests."""
    for item in items:
        for mark in kinds.marks_of(item):
            item.add_marker(mark)
    items.sort(key=kinds.order)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Exempt thousands of modules and tests from all garbage collections to come, and collect less often.

    Each start of an app creates many objects that stay until its end. With Python's threshold of 700, looking
    at them again and again was one eighth of the processor time of such tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(autouse=True)
def starts_only_what_it_is_marked_for(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test without the marker `process` starts no process, one without `app` no Textual app."""
    with kinds.guarded({mark.name for mark in request.node.iter_markers()}):
        yield


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """A Redis server for all tests of a process; it stores nothing on disk."""
    with tempfile.TemporaryDirectory(prefix="broadcast-tui-redis-") as directory:
        server = RedisServer(Path(directory), "--appendonly", "no")
        with running(server):
            yield server


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """The location of an empty Redis database."""
    shared_redis.cli("FLUSHALL")
    return shared_redis.socket_url
