"""The files for operators in docs/server.md: they are valid, and fit each other and the program."""

from __future__ import annotations

import configparser
import ipaddress
import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from broadcast_tui.cli.parser import app
from broadcast_tui.core.clock import parse_duration
from broadcast_tui.core.limits import Limits
from broadcast_tui.redis_settings import is_redis, parse_location
from broadcast_tui.server.server import SPREAD_MAX_S

PAGE = (Path(__file__).parents[2] / "docs" / "server.md").read_text("utf-8")
WHOLE_STOP_S = SPREAD_MAX_S + 10.0
"""Time that a node needs to close all connections and to store what it has received."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def arguments_of(words: Sequence[str]) -> dict[str, Any]:
    """The arguments with which the words call `serve`."""
    command, bound, _ = app.parse_args(list(words), print_error=False, exit_on_error=False)
    assert command.__name__ == "serve"
    return bound.arguments


@pytest.fixture(autouse=True)
def configuration_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the shown commands look for their configuration."""
    (tmp_path / "broadcast-tui.toml").touch()
    monkeypatch.chdir(tmp_path)


def compose() -> dict[str, Any]:
    (text,) = blocks("yaml")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def units() -> list[configparser.ConfigParser]:
    found = []
    for text in blocks("ini"):
        unit = configparser.ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str  # type: ignore[method-assign,assignment]
        unit.read_string(text)
        found.append(unit)
    return found


def started(unit: configparser.ConfigParser) -> dict[str, Any]:
    """The arguments of `serve` in a unit, as of its instance 1."""
    line = unit["Service"]["ExecStart"].replace("/etc/", "").replace("%i", "1").replace("%d", "/run/x")
    program, *words = line.split()
    assert program.endswith("/broadcast-tui")
    return arguments_of(words)


def test_services_of_the_compose_file_refer_to_what_is_there() -> None:
    file = compose()
    services = file["services"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        assert set(service["networks"]) <= set(file["networks"])
        assert set(service.get("secrets", ())) <= set(file["secrets"])
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert {name for name in named if not name.startswith(".")} <= set(file["volumes"])


def test_nodes_of_the_compose_file_start_with_valid_options() -> None:
    file = compose()
    nodes = [service for service in file["services"].values() if service.get("command", [""])[0] == "serve"]
    assert len(nodes) == 2
    for node in nodes:
        arguments = arguments_of(node["command"])
        settings = parse_location(arguments["history"])
        assert settings.hosts[0][0] in file["services"]
        assert settings.replicas == 1
        assert settings.password_file.removeprefix("/run/secrets/") in node["secrets"]
        assert not settings.has_inline_password
        (subnet,) = file["networks"]["chat"]["ipam"]["config"]
        assert list(arguments["admission"].trusted_proxy) == [subnet["subnet"]]
        assert ipaddress.ip_network(subnet["subnet"]).is_private
        grace_s = parse_duration(node["stop_grace_period"])
        assert grace_s is not None
        assert grace_s >= arguments["drain_delay"] + WHOLE_STOP_S


def test_redis_of_the_compose_file_shows_no_password() -> None:
    services = compose()["services"]
    for name in ("redis", "replica"):
        script = services[name]["command"][2]
        assert "--appendonly yes" in script
        assert "--maxmemory-policy noeviction" in script
        assert "--requirepass" not in script
    assert "--replicaof redis 6379" in services["replica"]["command"][2]


def test_redis_of_the_compose_file_gets_the_password(tmp_path: Path) -> None:
    script = compose()["services"]["redis"]["command"][2].partition("&&")[0]
    (tmp_path / "password").write_text("4f" * 32 + "\n")
    script = script.replace("/run/secrets/redis_password", "password").replace(
        "/tmp/redis.conf", "redis.conf"
    )
    subprocess.run(["sh", "-c", script], check=True, cwd=tmp_path)
    expected = f'requirepass "{"4f" * 32}"\nmasterauth "{"4f" * 32}"\n'
    assert (tmp_path / "redis.conf").read_text() == expected


def test_the_load_balancer_checks_all_nodes() -> None:
    (text,) = blocks("haproxy")
    services = compose()["services"]
    servers = re.findall(r"^ *server (\S+) (\S+):(\d+)$", text, re.MULTILINE)
    nodes = [name for name, service in services.items() if service.get("command", [""])[0] == "serve"]
    assert servers == [(name, name, "8765") for name in nodes]
    assert "uri /readyz" in text
    (published,) = services["balancer"]["ports"]
    assert f"bind :{published.partition(':')[2]}\n" in text
    check = re.search(r"inter (\d+)s fall (\d+)", text)
    assert check is not None
    drain_delay = arguments_of(services["node1"]["command"])["drain_delay"]
    assert drain_delay > int(check[1]) * int(check[2]), "the balancer notices in time"
    tunnel = re.search(r"timeout tunnel (\d+)s", text)
    assert tunnel is not None
    assert int(tunnel[1]) > Limits().ping_interval_s


def test_units_start_with_valid_options() -> None:
    single, node = units()
    started(single)
    arguments = started(node)
    assert arguments["share_port"]
    assert arguments["metrics_port"] == 9101
    assert is_redis(arguments["history"])
    settings = parse_location(arguments["history"])
    credential, _, _ = node["Service"]["LoadCredential"].partition(":")
    assert settings.password_file == f"/run/x/{credential}"
    # Only processes of one user can share a port.
    assert node["Service"]["DynamicUser"] == "yes"
    assert node["Service"]["User"] == "broadcast-tui"
    assert int(node["Service"]["TimeoutStopSec"]) >= WHOLE_STOP_S


def test_the_container_starts_with_valid_options() -> None:
    (text,) = blocks("dockerfile")
    command = re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert command is not None
    arguments_of(json.loads(command[1]))


def test_commands_in_shell_blocks_are_valid() -> None:
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    shown = [shlex.split(line) for line in lines if " broadcast-tui " in f" {line} "]
    assert shown
    for words in shown:
        app.parse_args(words[words.index("broadcast-tui") + 1 :], print_error=False, exit_on_error=False)
