"""A package registry that does not answer is told from one that refuses, and what it gave once is kept."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse_packaging.pip import RegistryUnreachable, run_pip


def hang_up(server: socket.socket) -> None:
    """Reset every connection after its first byte, until the server is shut down."""
    with contextlib.suppress(OSError):
        while True:
            caller, _ = server.accept()
            caller.recv(1)
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            caller.close()


@pytest.mark.parametrize("is_slow", [True, False], ids=["slow", "hangs up"])
def test_a_registry_that_is_slow_or_hangs_up_is_unreachable(
    is_slow: bool, tmp_path: Path, ask_registry: Callable[..., None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        if not is_slow:
            threading.Thread(target=hang_up, args=[server], daemon=True).start()
        ask_registry(server.getsockname()[1], PIP_TIMEOUT="0.5")
        with pytest.raises(RegistryUnreachable):
            run_pip("download", "--no-deps", "--dest", str(tmp_path), "numpy")
        server.shutdown(socket.SHUT_RDWR)


def test_what_pip_fetched_is_there_for_the_next_test(tmp_path_factory: pytest.TempPathFactory) -> None:
    asked = [sys.executable, "-m", "pip", "cache", "dir"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    assert not Path(told).is_relative_to(tmp_path_factory.getbasetemp())
