"""An `sshd` of a test's own on a free port of 127.0.0.1, with a key for each name.

Tests that need one have the mark `needs_sshd`, which skips them where it is not installed.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.ports import unused_port

PROGRAM = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
START_S = 20.0
CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
PidFile {directory}/sshd.pid
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
AcceptEnv EDITOR VISUAL DISPLAY TMUX LC_* BROADCAST_TUI_* TEXTUAL_*
SetEnv XDG_STATE_HOME={directory}/state XDG_CONFIG_HOME={directory}/config XDG_DATA_HOME={directory}/data
"""

needs_sshd = pytest.mark.skipif(
    PROGRAM is None or shutil.which("ssh") is None, reason="needs sshd: apt install openssh-server"
)


class SshServer:
    """The server process, with its files and the saved state of those who log in in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = unused_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert PROGRAM is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._create_key("host_key")
        config = self.directory / "sshd_config"
        config.write_text(CONFIG.format(port=self.port, directory=self.directory), "utf-8")
        with (self.directory / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen([PROGRAM, "-D", "-e", "-f", str(config)], stderr=log)
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=START_S).close()
                return
            except OSError:
                assert time.monotonic() < deadline, (self.directory / "sshd.log").read_text()
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=START_S)
            self._process = None

    def authorize(self, name: str, command: str) -> None:
        """Create a key `name` that runs `command`, whatever is requested."""
        self._create_key(name)
        public = (self.directory / f"{name}.pub").read_text("utf-8")
        with (self.directory / "authorized_keys").open("a", encoding="utf-8") as file:
            file.write(f'command="{command}",restrict,pty {public}')

    def command(self, name: str, *words: str) -> list[str]:
        """The command line of `ssh` with the key `name`: options, and a command that is requested."""
        options = [word for word in words if word.startswith("-")]
        return [
            *("ssh", "-F", "none", "-p", str(self.port), "-i", str(self.directory / name), "-q"),
            *("-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no"),
            *(
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "SendEnv=EDITOR VISUAL DISPLAY TMUX BROADCAST_TUI_* TEXTUAL_*",
            ),
            *options,
            f"{getpass.getuser()}@127.0.0.1",
            *words[len(options) :],
        ]

    def _create_key(self, name: str) -> None:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.directory / name)], check=True
        )
