"""Commands that have no network device."""

from __future__ import annotations

import shutil
import subprocess


def no_network() -> list[str]:
    """What a command is prefixed with to have no network device at all, where the kernel lets us."""
    prefix = ["unshare", "--map-root-user", "--net"]
    allowed = shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return prefix if allowed and allowed.returncode == 0 else []
