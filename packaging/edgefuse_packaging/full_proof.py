"""Prove in full counts, part by part, what the tests prove in small ones, and write down what was found.

    python -m edgefuse_packaging.full_proof KIT --part batches --part mutants

Each part keeps its own commit, machine and time, so that a part that was run again stands beside older ones and says
so. A part that fails is written down as well; only then the exit code is 3.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from edgefuse.card import machine_words
from edgefuse_packaging.builds import build_twice, build_wheels_again
from edgefuse_packaging.counted_tests import ROOT, run_tests
from edgefuse_packaging.proof import NATIVE, PROCESSORS, prove
from edgefuse_packaging.root import missing_tools
from edgefuse_runtimes.errors import BadInput, EdgefuseError, QualityGate
from edgefuse_runtimes.files import write_json

SCHEMA = 1
OUTPUT = ROOT / "docs" / "proof.json"


@dataclass(frozen=True)
class Found:
    """What a part found."""

    right: bool
    figures: Mapping[str, Any]


def tests(*paths: str, **counts: int) -> Callable[[Path], Found]:
    """A part that runs tests; `counts` are the environment variables that say how many, without EDGEFUSE_."""

    def run(_: Path) -> Found:
        told = run_tests(paths, {f"EDGEFUSE_{name}": count for name, count in counts.items()})
        return Found(not told.failed, asdict(told))

    return run


def processors(kit: Path, *, machine: str, replay: bool) -> Found:
    """Install in a bare Debian and answer as each processor, this machine's own one among them.

    With `replay` every golden sample is replayed there instead of answering and installing the Debian package.
    """
    missing = missing_tools(machine)
    if missing:
        raise BadInput(f"{', '.join(missing)} is missing; run 'apt-get install debootstrap qemu-user-static'.")
    try:
        own = (NATIVE,) if machine == platform.machine() else ()
        names = own + PROCESSORS[machine]
        found = prove(kit, machine, names, samples=0 if replay else 1, verify=replay, package=not replay)
        return Found(True, found)
    except BadInput as error:
        return Found(False, {"wrong": str(error)})


def builds(kit: Path, *, build: Callable[[Path], dict[str, Any]]) -> Found:
    """Make files twice; they have to be the same to the byte."""
    try:
        return Found(True, build(kit))
    except QualityGate as error:
        return Found(False, {"wrong": str(error)})


# Four tests kill installations, each so often: first ones and upgrades, of a kit and of the .run file.
PARTS: Mapping[str, Callable[[Path], Found]] = {
    "batches": tests("tests/packaging/test_killing.py", KILLS=200),
    "installs": tests(
        "tests/edgefuse/kits/test_survival.py",
        "tests/packaging/test_interrupted_installer.py",
        INSTALL_KILLS=25,
        FULL_DISKS=5,
    ),
    "exports": tests("tests/edgefuse/kits/test_killed_makers.py", EXPORT_KILLS=50),
    "full-disks": tests(
        "tests/edgefuse/test_full_disks.py",
        "tests/edgefuse/results/test_full_disk.py",
        "tests/edgefuse_export/commands/test_export_again.py",
        "tests/edgefuse_export/commands/test_starter.py",
        "tests/packaging/test_making_installers.py",
        FULL_DISKS=5,
    ),
    "mutants": tests("tests/edgefuse/hostile", "tests/edgefuse/answering/test_mutated_inputs.py", MUTANTS=2000),
    "arm": partial(processors, machine="aarch64", replay=False),
    "x86-64": partial(processors, machine="x86_64", replay=False),
    "arm-replay": partial(processors, machine="aarch64", replay=True),
    "x86-64-replay": partial(processors, machine="x86_64", replay=True),
    "installers": partial(builds, build=build_twice),
    "llama-wheels": partial(builds, build=build_wheels_again),
}


def prove_part(name: str, kit: Path) -> dict[str, Any]:
    """Run one part; what is written down of it."""
    started = datetime.now(UTC)
    clock = time.monotonic()
    found = PARTS[name](kit)
    return {
        "commit": commit(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - clock),
        "machine": machine_words(),
        **asdict(found),
    }


def commit() -> str:
    """The commit of the repository.

    Raises:
        BadInput: there is none, or files differ from it.
    """
    changed = _git("status", "--porcelain", "--", ".", f":!{OUTPUT.relative_to(ROOT)}")
    if changed:
        raise BadInput(f"A proof names a commit, and these files differ from it: {' '.join(changed.split())}.")
    return _git("rev-parse", "HEAD")


def _git(*words: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise BadInput("A proof names a commit, and git is not here; install it.")
    done = subprocess.run([git, "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BadInput(f"A proof names a commit, and git says of {ROOT}: {done.stderr.strip()}.")
    return done.stdout.strip()


@click.command(epilog="Example: python -m edgefuse_packaging.full_proof run/starter.kit --part arm")
@click.argument("kit", type=click.Path(path_type=Path))
@click.option("--part", "names", multiple=True, type=click.Choice(list(PARTS)), help="Only this; may be repeated.")
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, help="[default: docs/proof.json]")
def main(kit: Path, names: tuple[str, ...], output: Path) -> None:
    """Prove every part in full counts, with KIT in the installers, and write the figures down."""
    try:
        commit()
        wrong = []
        for name in names or PARTS:
            click.echo(f"proof: {name}", err=True)
            part = prove_part(name, kit)
            before = json.loads(output.read_bytes())["parts"] if output.exists() else {}
            kept = {other: (before | {name: part})[other] for other in PARTS if other in before or other == name}
            write_json(output, {"schema": SCHEMA, "kind": "proof", "parts": kept})
            wrong += [] if part["right"] else [name]
        if wrong:
            raise QualityGate(f"Not proven: {', '.join(wrong)}; {output} says what was found.")
    except EdgefuseError as error:
        click.echo(f"proof: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
