"""Nothing of the field asks for the network: not the system's calls of installing, answering and verifying."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FIELD = """
import sys
from edgefuse.cli import run

kit, picture = sys.argv[1:]
for words in (
    ["kits", "install", kit, "--allow-unsigned"],
    ["kits", "list"],
    ["kits", "show"],
    ["classify", picture, "--note", "A new spot.", "--threads", "1"],
    ["verify", "tiny", "--allow-unsigned", "--threads", "1"],
    ["doctor"],
):
    sys.argv = ["edgefuse", *words]
    try:
        run()
    except SystemExit as end:
        assert end.code == 0, (words, end.code)
"""


def test_with_sockets_blocked_everything_works(
    cli: Callable[..., Any], bring: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocked(*_: object, **__: object) -> None:
        raise AssertionError("somebody asked for the network")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    kit = bring(seed=None)
    for words in (
        ("kits", "install", kit, "--allow-unsigned"),
        ("classify", kit / "golden/0.png", "--note", "A new spot.", "--engine", "numpy"),
        ("kits", "show"),
        ("kits", "remove", "tiny"),
    ):
        assert cli(*words).code == 0, words


def test_the_system_sees_no_socket_but_those_between_our_own_processes(
    bring: Callable[..., Path], tmp_path: Path
) -> None:
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-f", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs strace and the right to trace a process")
    kit, log = bring(seed=None), tmp_path / "calls"
    watched = [strace, "-f", "-q", "-e", "trace=socket,connect,bind,sendto,sendmsg", "-o", log]
    done = subprocess.run(
        [*watched, sys.executable, "-c", FIELD, kit, kit / "golden/0.png"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    calls = re.findall(r"^.*\b(?:socket|connect|bind|sendto|sendmsg)\(.*$", log.read_text(), re.MULTILINE)
    assert [line for line in calls if "AF_UNIX" not in line] == []
