"""Environments and installations as the field has them: made without a network, with base dependencies only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from made_once import MadeOnce

from edgefuse_packaging import run_file, wheelhouse
from edgefuse_packaging.pip import RegistryUnreachable

from .installations import Carried, Person, collected
from .no_network import no_network

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class FieldVenv:
    """A virtual environment that holds edgefuse, numpy, Pillow, click, psutil and (from `venv`) pip."""

    folder: Path
    wheelhouse: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *arguments: str | Path, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment (`"edgefuse"`, `"python"`, ...), cut off from the network."""
        program, *rest = map(str, arguments)
        command = [*no_network(), str(self.folder / "bin" / program), *rest]
        settings = {"capture_output": True, "text": True, "check": False, "env": self.environment()} | options
        done = subprocess.run(command, **settings)
        assert done.returncode == 0 or not check, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def environment(self) -> dict[str, str]:
        """Nothing of the developer's: no PYTHONPATH, pip settings or user packages; a home of its own."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        closed = "http://127.0.0.1:9"
        return kept | {
            "HOME": str(home),
            "PYTHONNOUSERSITE": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "http_proxy": closed,
            "https_proxy": closed,
        }


@pytest.fixture(scope="session")
def edgefuse_wheel(made_once: MadeOnce) -> Path:
    """The wheel of this repository."""
    try:
        folder = made_once("wheel", wheelhouse.build_edgefuse)
    except RegistryUnreachable as error:
        pytest.skip(f"building the wheel needs hatchling from the package registry: {error}")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session", params=["running", "3.13"])
def field_venv(request: pytest.FixtureRequest, edgefuse_wheel: Path, made_once: MadeOnce) -> FieldVenv:
    """What a device has after an installation without a network, on the running Python and on 3.13."""
    python = Path(sys.executable) if request.param == "running" else request.getfixturevalue("python_3_13")
    asked = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

    def install(base: Path) -> None:
        collected = base / "wheelhouse"
        wheelhouse.build_wheelhouse(
            collected, target=wheelhouse.this_platform(), python=version, edgefuse_wheel=edgefuse_wheel
        )
        subprocess.run([python, "-m", "venv", base / "venv"], check=True)
        FieldVenv(base / "venv", collected).run(
            "python", "-m", "pip", "install", "--no-index", "--no-compile", "--find-links", collected,
            "--require-hashes", "-r", collected / wheelhouse.LOCK,
        )  # fmt: skip

    try:
        base = made_once(f"field-{request.param}", install)
    except RegistryUnreachable as error:
        pytest.skip(f"collecting the wheels needs the package registry: {error}")
    return FieldVenv(base / "venv", base / "wheelhouse")


@pytest.fixture
def ask_registry(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have pip ask the registry at a port of this machine, once, and nobody else."""

    def ask(port: int, **more: str) -> None:
        settings = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple",
            "PIP_RETRIES": "1",
            "PIP_FIND_LINKS": "",
            "PIP_EXTRA_INDEX_URL": "",
            "no_proxy": "127.0.0.1",
        }
        for name, value in (settings | more).items():
            monkeypatch.setenv(name, value)

    return ask


@pytest.fixture(scope="session")
def carried(tiny_kit: Path, edgefuse_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Carried:
    folder = tmp_path_factory.mktemp("carried")
    facts = collected(tiny_kit, edgefuse_wheel, folder / "content")
    payload = folder / "payload.tar"
    run_file.write_payload(folder / "content", payload)
    return Carried(payload, facts)


@pytest.fixture(scope="session")
def first(carried: Carried, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installer of the first version."""
    return carried.run_file(tmp_path_factory.mktemp("stick"))


@pytest.fixture(scope="session")
def installed_home(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Who installed the first version; tests must not change it."""
    home = tmp_path_factory.mktemp("homes") / "ho me"  # a space must do no harm
    home.mkdir()
    started = time.monotonic()
    Person(home).install(first)
    return Person(home, time.monotonic() - started)


@pytest.fixture
def person(installed_home: Person, first: Path, tmp_path: Path) -> Person:
    """Another one who installed the first version: its folder is copied, and the installer sees that it is there."""
    person = Person(tmp_path / "home", installed_home.took)
    shutil.copytree(installed_home.root, person.root, symlinks=True)
    shutil.rmtree(person.root / "bin")
    active = person.root / "active-kit"  # the one thing that names the folder
    active.write_text(active.read_text().replace(str(installed_home.root), str(person.root)))
    person.install(first)
    return person
