"""What an installer carries, and somebody who installs it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, write_manifest
from edgefuse_packaging import run_file
from edgefuse_packaging.installer import Wanted, collect
from edgefuse_packaging.killing import run_for
from edgefuse_packaging.pip import RegistryUnreachable

from .no_network import no_network

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class Carried:
    payload: Path
    facts: dict[str, Any]

    def run_file(self, folder: Path, number: int = 1, **facts: Any) -> Path:
        """The installer; another number is another version of the same."""
        folder.mkdir(exist_ok=True)
        facts = self.facts | {"id": f"0.1.0-{number}"} | facts
        (file,) = run_file.write_run_file(folder / f"tiny-{number}.run", self.payload, facts)
        return file

    def with_kit_changed(self, folder: Path, change: Callable[[Path], object]) -> Carried:
        """The same with another kit; `folder` is made for it."""
        content = folder / "content"
        content.mkdir(parents=True)
        subprocess.run(["tar", "-xf", self.payload, "-C", content], check=True)
        change(content / "kit")
        manifest = json.loads((content / "kit" / MANIFEST).read_text())
        run_file.write_payload(content, folder / "payload.tar")
        shutil.rmtree(content)
        kit = self.facts["kit"] | {name: manifest[name] for name in ("version", "digest")}
        return Carried(folder / "payload.tar", self.facts | {"kit": kit})

    def with_kit_version(self, folder: Path, version: int) -> Carried:
        """The same with a newer kit."""

        return self.with_kit_changed(folder, lambda kit: set_version(kit, str(version)))


def set_version(kit: Path, version: str) -> None:
    """Make another version of a kit out of it."""
    manifest = json.loads((kit / MANIFEST).read_text())
    (kit / MANIFEST).unlink()
    kept = {key: value for key, value in manifest.items() if key not in ("files", "digest", "schema")}
    write_manifest(kit, kept | {"version": version})


@dataclass(frozen=True)
class Person:
    """Who has a home, an old environment, and nothing else."""

    home: Path
    took: float = 0.0
    """Seconds of the first installation."""

    @property
    def root(self) -> Path:
        return self.home / ".local" / "share" / "edgefuse"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "EDGEFUSE_PYTHON": sys.executable,
            "PYTHONPATH": "/nowhere",
        }

    def run(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*no_network(), *map(str, words)], capture_output=True, text=True, check=False, env=self.environment()
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def install(self, file: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(*self.installing(file), check=check)

    def installing(self, file: Path) -> list[str | Path]:
        """The command; its `--prefix` since else the administrator's place is taken."""
        return ["sh", file, "--allow-unsigned", "--prefix", self.root]

    def killed_while_installing(self, file: Path, seconds: float) -> bool:
        """Kill an installation, with all that it started, so long after its start; False: it was done before."""
        return run_for(self.installing(file), seconds, self.environment()) is None

    def answer(self) -> str:
        """The label of the kit's first golden sample."""
        golden = Path(self.kit()["folder"], "golden")
        words = ["classify", golden / "0.png", "--text", golden / "0.txt", "--json"]
        said = self.run(self.home / ".local/bin/edgefuse", *words)
        return str(json.loads(said.stdout)["label"])

    def kit(self) -> dict[str, Any]:
        """What is told of the active kit."""
        said = self.run(self.root / "bin" / "edgefuse", "kits", "list", "--json").stdout
        (active,) = (kit for kit in json.loads(said)["kits"] if kit["active"])
        return dict(active)

    def current(self) -> str:
        return (self.root / "current").resolve().name

    def versions(self) -> list[str]:
        return sorted(path.name for path in (self.root / "versions").iterdir())

    def leftovers(self) -> set[str]:
        """What is written or linked before it gets its name, and should be gone."""
        return {path.name for suffix in ("part", "new") for path in self.home.rglob(f".*.{suffix}")}


def wanted(kit: Path, wheel: Path) -> Wanted:
    """An installer of `kit` and the edgefuse of `wheel` for this machine and this Python."""
    return Wanted(
        kit=kit,
        platform=f"linux-{platform.machine()}",
        pythons=(PYTHON,),
        glibc=platform.libc_ver()[1],
        edgefuse_wheel=wheel,
        onnxruntime=False,
    )


def collected(kit: Path, wheel: Path, folder: Path) -> dict[str, Any]:
    """Fill `folder` with what is carried; its facts."""
    with pytest.MonkeyPatch.context() as patch:  # what this machine has built is not what is tested here
        patch.setattr("edgefuse_packaging.installer.cached_wheel", lambda machine: None)
        try:
            return collect(wanted(kit, wheel), Kit.open(kit), folder, lambda remark: None)
        except RegistryUnreachable as error:
            pytest.skip(f"collecting the wheels needs the package registry: {error}")
