"""pip, called as a program; the package registry may be away."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from edgefuse_runtimes.errors import BadInput, DoesNotFit

_UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|Failed to establish a new connection"
    r"|Could not fetch URL|Connection refused|Network is unreachable"
    r"|ReadTimeoutError|Read timed out|ConnectionResetError|Connection aborted|IncompleteRead"
)


class RegistryUnreachable(BadInput):
    """The package registry did not answer."""


def run_pip(*arguments: str) -> None:
    """Run this environment's pip.

    Raises:
        BadInput: it failed, with its first error.
        DoesNotFit: because the disk is full.
        RegistryUnreachable: because the registry did not answer.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if _UNREACHABLE.search(done.stderr):
        raise RegistryUnreachable("The package registry cannot be reached; wheels are collected with a network.")
    if os.strerror(errno.ENOSPC) in done.stderr:
        raise DoesNotFit(
            f"The disk became full while pip {arguments[0]} wrote wheels; make room or choose another output."
        )
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or [done.stderr.strip()]
    raise BadInput(f"pip {arguments[0]} failed: {errors[0].removeprefix('ERROR: ')}")


def fetch_source(name: str, version: str, sha256: str) -> bytes:
    """The released source archive of a package, whose hash is known."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
        run_pip("download", "--no-deps", "--no-binary=:all:", "--require-hashes", "--dest", folder, "-r", str(wanted))
        return next(Path(folder).glob("*.tar.gz")).read_bytes()
