"""Questions to a Raspberry Pi's firmware, through its own program `vcgencmd`.

Source: the Raspberry Pi's documentation, "vcgencmd". It needs the right to open /dev/vcio, which the group video has.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from edgefuse_runtimes.kernel_files import line
from edgefuse_runtimes.sensors import NotMeasurable

PLACES = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd", "usr/local/bin/vcgencmd")
"""Where Raspberry Pi OS, its older releases and other systems have it. PATH, which anyone sets, is not searched."""

TIMEOUT_S = 2.0
"""The firmware answers in milliseconds, or hangs."""


def board(root: Path = Path("/")) -> str:
    """The board's name, such as "Raspberry Pi 4 Model B Rev 1.1"; "" on machines without a device tree."""
    return line(root / "proc/device-tree/model") or ""


def vcgencmd(*question: str, root: Path = Path("/")) -> str:
    """The firmware's answer to one question, such as ("measure_clock", "arm").

    Raises:
        NotMeasurable: this is no Raspberry Pi, or it does not answer.
    """
    program = next((path for place in PLACES if (path := root / place).is_file() and os.access(path, os.X_OK)), None)
    if program is None:
        if board(root).startswith("Raspberry Pi"):
            raise NotMeasurable("vcgencmd is not installed; on Raspberry Pi OS: sudo apt install raspi-utils.")
        raise NotMeasurable("This is no Raspberry Pi, whose firmware could be asked.")
    command = [str(program), *question]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL, env={"LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotMeasurable(f"vcgencmd {question[0]} did not answer within {TIMEOUT_S:g} s.") from None
    except OSError as error:
        raise NotMeasurable(f"{program} cannot be run ({error.strerror}).") from None
    answer = done.stdout.strip()
    if done.returncode or not answer or answer.startswith("error="):
        said = " ".join((done.stderr.strip() or answer).split())[:120] or f"exit code {done.returncode}"
        advice = "; add the user to the group video" if "/dev/vc" in said or "VCHI" in said else ""
        raise NotMeasurable(f"vcgencmd {question[0]} gives no reading ({said}){advice}.")
    return answer
