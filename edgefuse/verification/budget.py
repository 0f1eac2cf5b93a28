"""What one answer takes on this device, held against what the kit says that it may take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgefuse.kits.golden import NOTES, PICTURES
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.errors import EdgefuseError

_ANSWER = """
import json, sys
from edgefuse.answering.classifier import Classifier
from edgefuse_runtimes.errors import EdgefuseError

kit, picture, note, threads = sys.argv[1:]
try:
    with Classifier.open(kit, keep_open=False, cache=False, threads=int(threads) or None) as classifier:
        prediction = classifier.predict(picture, open(note, encoding="utf-8").read()).to_json()
    took = {"ms": prediction["timings_ms"]["total"], "ram_bytes": prediction["memory"]["peak_rss_bytes"]}
    json.dump(took, sys.stdout)
except EdgefuseError as error:
    json.dump({"error": str(error)}, sys.stdout)
"""


@dataclass(frozen=True)
class Measured:
    """One answer in a process of its own, the kit opened for it; engines were probed before."""

    ms: float
    ram_bytes: int
    """The most memory that its processes held."""


def measure_answer(kit: Kit, threads: int | None = None) -> Measured:
    """Answer a golden sample twice, each time in a new process; the second counts, since the first may probe.

    Raises:
        EdgefuseError: the kit gives no answer here.
    """
    words = [str(kit.folder), str(kit.file(PICTURES[0])), str(kit.file(NOTES[0])), str(threads or 0)]
    command = [sys.executable, "-P", "-c", _ANSWER, *words]  # -P: nothing is imported from where the user stands
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"error": "its process died"}
        if "error" in found:
            raise EdgefuseError(f"The kit {kit.folder} gives no answer here: {found['error']}")
    return Measured(float(found["ms"]), int(found["ram_bytes"]))


def over_budget(measured: Measured, budget: Mapping[str, Any]) -> list[str]:
    """What the answer took beyond what the kit allows, each in a sentence."""
    sentences = []
    if "latency_ms" in budget and measured.ms > budget["latency_ms"]:
        sentences.append(f"An answer took {measured.ms:.0f} ms and the kit allows {budget['latency_ms']:.0f} ms.")
    if "ram_bytes" in budget and measured.ram_bytes > budget["ram_bytes"]:
        mib, allowed = measured.ram_bytes / 2**20, budget["ram_bytes"] / 2**20
        sentences.append(f"An answer took {mib:.0f} MiB and the kit allows {allowed:.0f} MiB.")
    return sentences
