"""Runs the recipes of docs/automation.md: shell, CI steps, a crontab line and a systemd unit."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

PAGE = Path(__file__).parent.parent / "docs" / "automation.md"
RECIPES = [
    pytest.param(language, expected, code, id=f"{number}-{language}")
    for number, (expected, language, code) in enumerate(
        re.findall(
            r"<!-- recipe: (?:prints|fails with) (.*?) -->\n```(\w+)\n(.*?)```",
            PAGE.read_text("utf-8"),
            re.DOTALL,
        ),
        1,
    )
]
TIMEOUT_S = 60
CI = {
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_JOB": "build",
    "GITHUB_WORKFLOW": "Test",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "ana/project",
    "CI_PIPELINE_ID": "8",
    "CI_JOB_ID": "9",
    "CI_PROJECT_NAME": "project",
    "CI_PIPELINE_URL": "https://gitlab.com/ana/project/-/pipelines/8",
}

pytestmark = [
    pytest.mark.process,
    pytest.mark.xdist_group("recipes"),
    pytest.mark.skipif(
        shutil.which("curl") is None or shutil.which("jq") is None,
        reason="needs curl and jq: apt-get install curl jq",
    ),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server whose room has a message."""
    with subprocess.Popen(
        [sys.executable, "-m", "broadcast_tui", "serve", "--port", "0", "--host", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().rsplit(" ", 1)[1].strip().replace("ws", "http", 1)
        subprocess.run(
            ["curl", "-sf", "-d", "Deploy done", f"{url}/rooms/ops"], check=True, timeout=TIMEOUT_S
        )
        yield url
        server.terminate()


def script_of(language: str, code: str) -> tuple[str, Mapping[str, str]]:
    """The shell script of a recipe, and its variables."""
    if language == "sh":
        return code, {}
    if language == "crontab":
        command = code.split(maxsplit=5)[5]
        assert "%" not in command, "cron replaces it with a line break"
        return command, {}
    if language == "ini":
        unit = configparser.RawConfigParser()
        unit.read_string(code.replace("%i", "backup.service"))
        assert unit["Service"]["Type"] == "oneshot"
        return shlex.join(shlex.split(unit["Service"]["ExecStart"])), {}
    document: Any = yaml.safe_load(code)
    if isinstance(document, list):
        return document[0]["run"], dict.fromkeys(document[0]["env"], "")
    (job,) = document.values()
    return "\n".join(job["script"]), {}


@pytest.mark.parametrize(("language", "expected", "code"), RECIPES)
def test_recipe_runs(language: str, expected: str, code: str, address: str, tmp_path: Path) -> None:
    expected, _, until_stopped = expected.partition(", ")
    script, variables = script_of(language, code.replace("http://localhost:8765", address))
    environment = {**os.environ, **CI, **variables, "CHAT_URL": address, "CHAT_TOKEN": ""}
    environment["JOB_STATUS"] = "success"
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    if until_stopped.startswith("until"):
        assert expected in process.stdout.readline()
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_S)
        return
    output, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    assert expected in output


def test_there_are_recipes_for_each_place() -> None:
    languages = [recipe.values[0] for recipe in RECIPES]
    assert {"sh", "yaml", "crontab", "ini"} == set(languages)
    assert languages.count("yaml") == 2
