"""Proof that nothing acknowledged is lost: processes that are killed at random moments, and what they leave.

A kill is SIGKILL to a whole process group, so no code of ours sees it. It does not stand for a power cut, where the
system's own cache is lost too: against that stands `synchronous = FULL`, and that a line is written after its answer.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse.progress import Progress, silent
from edgefuse.results.log import ResultsLog
from edgefuse_runtimes.errors import QualityGate


@dataclass(frozen=True)
class BatchKilling:
    """What killing batches left."""

    kills: int
    """Processes that were killed while they worked."""
    batches: int
    """Batches that were finished by the runs after the kills."""
    acknowledged: int
    """Answers that stood in a file of answers."""
    stored: int
    """Answers in the results log: those, and the last one of runs that were killed between storing and writing."""


def run_for(
    command: Sequence[str | Path], seconds: float, environment: Mapping[str, str], *, from_first_line: bool = False
) -> float | None:
    """Run a command and kill it and its children after some time.

    Args:
        command: the program and its arguments.
        seconds: after which it is killed.
        environment: of the command.
        from_first_line: count from the first line on standard output on, with which it says that its work begins.

    Returns:
        The seconds that it took, counted likewise, or None if it was killed.

    Raises:
        QualityGate: it ended by itself, and not well.
    """
    child = subprocess.Popen(
        [str(word) for word in command],
        env=dict(environment),
        stdout=subprocess.PIPE if from_first_line else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    if child.stdout is not None:
        child.stdout.readline()
    started = time.monotonic()
    try:
        _, complaint = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return None
    if child.returncode:
        raise QualityGate(f"A run after a kill failed with {child.returncode}: {complaint.decode().strip()}")
    return time.monotonic() - started


def kill_batches(
    kit: Path, photos: Path, work: Path, *, kills: int, seed: int, progress: Progress = silent
) -> BatchKilling:
    """Classify a folder again and again, kill most runs, and look for every acknowledged answer after each.

    Args:
        kit: what answers, on the engine numpy.
        photos: pictures with notes beside them; enough that a batch takes longer than its start.
        work: a new folder for the files of answers and a home with the log.
        kills: how many.
        seed: of the moments.
        progress: shows the kills.

    Raises:
        QualityGate: an acknowledged answer is missing or another one, the log was damaged, or a run failed.
    """
    rng = random.Random(seed)  # noqa: S311 - moments, no secrets
    environment = os.environ | {"EDGEFUSE_HOME": str(work / "home"), "XDG_CACHE_HOME": str(work / "cache")}

    def command(batch: int) -> list[str | Path]:
        output = work / f"{batch}.jsonl"
        start: list[str | Path] = [sys.executable, "-m", "edgefuse", "classify", photos, "--output", output]
        return [*start, "--kit", kit, "--engine", "numpy", "--no-cache"]

    work.mkdir(parents=True)
    whole = run_for(command(0), 3600, environment)  # of a run with nothing done before
    if whole is None:
        raise QualityGate("An undisturbed batch took more than an hour.")
    batch, done = 1, 0
    for _ in progress("killing", range(kills), kills):
        while run_for(command(batch), rng.uniform(0, whole), environment) is not None:
            batch += 1  # it was done before its moment came: the next one begins with nothing
        done += 1
        _look(work)
    run_for(command(batch), 3600, environment)
    acknowledged, stored = _look(work)
    expected = (batch + 1) * sum(1 for path in photos.rglob("*.jpg"))
    if acknowledged != expected:
        raise QualityGate(f"{batch + 1} finished batches gave {acknowledged} answers instead of {expected}.")
    return BatchKilling(done, batch + 1, acknowledged, stored)


def _look(work: Path) -> tuple[int, int]:
    """How many answers are acknowledged and how many are stored, after comparing each."""
    with ResultsLog.open(work / "home" / "results") as log:
        stored = {record.number: record.answer for record in log.records()}
        if log.set_aside or log.take_remarks():
            raise QualityGate(f"The log was damaged by a kill: {log.set_aside}.")
    acknowledged = [answer for path in sorted(work.glob("*.jsonl")) for answer in _lines(path)]
    for answer in acknowledged:
        found = stored.get(answer["number"])
        if found is None or {name: answer[name] for name in found if name != "image"} != {
            name: value for name, value in found.items() if name != "image"
        }:
            raise QualityGate(f"The acknowledged answer {answer['number']} is not the one in the log.")
    if len({answer["number"] for answer in acknowledged}) != len(acknowledged):
        raise QualityGate("Two acknowledged answers have one number.")
    return len(acknowledged), len(stored)


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of answers."""
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
