"""Run files of tests with counts of their own, and gather the figures that the tests tell.

A test tells a figure with pytest's `record_property("kills", 10)`; here the figures of one name are added up.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from edgefuse_runtimes.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]
"""Of the repository."""


@dataclass(frozen=True)
class Counted:
    """What running tests gave."""

    passed: int
    failed: tuple[str, ...]
    """The names of those that failed, or could not be set up."""
    skipped: tuple[str, ...]
    """Why, each reason once."""
    figures: Mapping[str, float]


def run_tests(paths: Sequence[str], counts: Mapping[str, int], *, processes: int = 2) -> Counted:
    """Run the tests in `paths`, from the repository's root, with environment variables that say how many.

    Raises:
        BadInput: there are no tests here, or pytest ended without having run them.
    """
    missing = [path for path in paths if not (ROOT / path).exists()]
    if missing:
        raise BadInput(f"There is no {missing[0]} in {ROOT}; the proof runs in a clone of the repository.")
    with tempfile.TemporaryDirectory(prefix="edgefuse-proof-") as folder:
        told = Path(folder, "told.xml")
        options = ["--numprocesses", str(processes), "--dist", "load", "--quiet", f"--junitxml={told}"]
        environment = os.environ | {name: str(count) for name, count in counts.items()}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *paths],
            cwd=ROOT,
            env=environment,
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise BadInput(f"pytest ended with {done.returncode} on {', '.join(paths)}; its own words stand above.")
        return read_told(told.read_bytes())


def read_told(junit: bytes) -> Counted:
    """What pytest's JUnit XML says."""
    figures: Counter[str] = Counter()
    passed, failed, skipped = 0, [], []
    for case in ElementTree.fromstring(junit).iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname')}.{case.get('name')}")
        elif skip is not None:
            skipped.append(str(skip.get("message")))
        else:
            passed += 1
            for told in case.iter("property"):
                figures[str(told.get("name"))] += float(str(told.get("value")))  # type: ignore[assignment]
    return Counted(passed, tuple(failed), tuple(sorted(set(skipped))), dict(figures))
