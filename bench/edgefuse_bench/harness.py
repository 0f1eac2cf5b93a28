"""Starts every measurement in a fresh process, so that nothing before it warmed or filled the memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgefuse_runtimes.errors import BadInput, DoesNotFit, EdgefuseError

_ERRORS: dict[int, type[EdgefuseError]] = {2: BadInput, 7: DoesNotFit}


def run_single_stream(
    kit: Path, *, samples: int, warmup: int, engine: str, threads: int | None, precision: str | None = None
) -> dict[str, Any]:
    """The result of `measure.measure` with these settings, from a child process.

    Raises:
        EdgefuseError: what the child refused, as the same class; or the child died.
    """
    with tempfile.TemporaryDirectory(prefix="edgefuse-bench-") as folder:
        output = Path(folder) / "result.json"
        order = {"kit": str(kit.absolute()), "output": str(output), "samples": samples, "warmup": warmup}
        order |= {"engine": engine, "threads": threads, "precision": precision}
        command = [sys.executable, "-P", "-m", "edgefuse_bench.measure", json.dumps(order)]
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        if done.returncode < 0:
            name = signal.Signals(-done.returncode).name
            raise EdgefuseError(
                f"The measuring process was ended by {name}; was there enough memory? Try --engine numpy."
            )
        if not output.is_file():
            raise EdgefuseError(f"The measuring process failed with exit code {done.returncode}; see above.")
        result: dict[str, Any] = json.loads(output.read_bytes())
    if "refused" in result:
        raise _ERRORS.get(result["exit_code"], EdgefuseError)(result["refused"])
    return result
