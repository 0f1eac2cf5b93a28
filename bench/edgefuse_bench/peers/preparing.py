"""The files that peers need, each made by a child process of its own: what making takes is no peer's memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from edgefuse_bench.peers.peer import Order, Step
from edgefuse_runtimes.errors import EngineUnavailable
from edgefuse_runtimes.spec import EncoderSpec

SECONDS = 1800


def prepare(step: Step, order: Order) -> None:
    """Have `step.target` made, once for all peers that need it.

    Raises:
        EngineUnavailable: the child failed, now or when it was asked before; the sentence has its last line.
    """
    folder = step.target.parent
    outcome = folder.with_name(f"{folder.name}.outcome")  # "", or what went wrong
    if not outcome.exists():
        folder.mkdir(parents=True, exist_ok=True)
        outcome.write_text(_made(step, order), encoding="utf-8")
    if failure := outcome.read_text(encoding="utf-8"):
        raise EngineUnavailable(failure)


def _made(step: Step, order: Order) -> str:
    """Run the child; a sentence where it failed, else nothing."""
    paths = {name: str(getattr(order, name)) for name in ("source", "graph", "calibration")}
    words = {"function": step.function, "spec": order.spec.to_json(), "target": str(step.target), **paths}
    command = [sys.executable, "-P", "-m", "edgefuse_bench.peers.preparing", json.dumps(words)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder)}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        return f"Making {step.target.name} was not done within {SECONDS} s."
    if done.returncode or not step.target.is_file():
        return f"Making {step.target.name} {_end(done.returncode)}{_last_line(done.stderr)}."
    return ""


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"was ended by {name}" + (", as where no memory is left" if name == "SIGKILL" else "")


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return f' ("{lines[-1].strip()[:200].rstrip(".")}")' if lines else ""


def main(text: str) -> None:
    """The child: do one step."""
    words: dict[str, Any] = json.loads(text)
    module, _, name = words["function"].partition(":")
    paths = {each: Path(words[each]) for each in ("source", "graph", "target", "calibration")}
    order = Order(spec=EncoderSpec.from_json(words["spec"]), **paths)
    getattr(import_module(module), name)(order)


if __name__ == "__main__":
    main(sys.argv[1])
