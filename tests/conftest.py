"""What every test may ask for; more of it is in `fixtures/`."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytest_plugins = [
    "tiny_sources", "tiny_kits", "fake_engines", "made_once", "real_weights", "memory_groups", "small_disks",
]  # fmt: skip
"""Modules of `fixtures/`, beside this file."""

# Processes test side by side: threads that wait busily (numpy's BLAS, OpenMP's in torch) would take the other's core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell makes what it runs in the background (`make test &`) deaf to Ctrl-C, and so would be all that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

if importlib.util.find_spec("hypothesis") is not None:  # a field environment has none
    from hypothesis import HealthCheck, settings

    # The first draw of a text builds hypothesis's table of Unicode, which takes seconds on a small machine.
    settings.register_profile("edgefuse", suppress_health_check=[HealthCheck.too_slow], deadline=None)
    settings.load_profile("edgefuse")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that processes side by side end at about the same time.

    Of these, those that need the starter kit come after those in which one process makes it, and no other one waits.
    """
    needed: dict[Path, set[str]] = {}
    for item in items:
        needed.setdefault(item.path, set()).update(getattr(item, "fixturenames", ()))

    def turn(item: pytest.Item) -> int:
        if needed[item.path] & {"edgefuse_wheel", "filling"}:
            return 0
        return 1 if "starter_kit" in needed[item.path] else 2

    items.sort(key=turn)


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the files of a recorded machine: "pi4", "pi5", "laptop" or "cloud_vm"."""

    def copy(machine: str) -> Path:
        source = ROOT / "tests" / "edgefuse_bench" / "meters" / "fixtures" / machine
        return Path(shutil.copytree(source, tmp_path / machine))

    return copy


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """Import a script of the repository that lies in no package, by its path below the root."""

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def python_3_13() -> Path:
    """Python 3.13 beside the running one."""
    if sys.version_info[:2] == (3, 13):
        pytest.skip("the running Python is 3.13 and stands for it")
    named, on_path = os.environ.get("EDGEFUSE_PYTHON313"), shutil.which("python3.13")
    candidates = [
        *([Path(named)] if named else []),
        *([Path(on_path)] if on_path else []),
        *sorted(Path.home().glob(".pyenv/versions/3.13.*/bin/python")),
    ]
    for candidate in candidates:
        asked = [candidate, "-c", "import sys, venv, ensurepip; print(sys.version_info[:2])"]
        if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == "(3, 13)":
            return candidate
    pytest.skip("needs Python 3.13 as python3.13 on the PATH, as $EDGEFUSE_PYTHON313 or in ~/.pyenv")


@pytest.fixture(scope="session", autouse=True)
def _pip_cache() -> Iterator[None]:
    """What pip downloaded once serves all tests, though each has a cache folder of its own."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pip"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CACHE_DIR", os.environ.get("PIP_CACHE_DIR") or str(cache))
        yield


@pytest.fixture(scope="session")
def _new_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders that are not there yet; `mktemp` would look through all of those before for each."""
    homes = tmp_path_factory.mktemp("homes")
    return (homes / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_home(_new_homes: Iterator[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own active kit, probe verdicts or settings.

    `tmp_path` is asked for first: what a test replaced is back before its folder is removed.
    """
    home = next(_new_homes)
    home.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.delenv("EDGEFUSE_HOME", raising=False)
    monkeypatch.delenv("EDGEFUSE_KIT", raising=False)
    monkeypatch.delenv("EDGEFUSE_ENGINE", raising=False)
    monkeypatch.delenv("EDGEFUSE_MEMORY", raising=False)


class Outcome(NamedTuple):
    """What a run of the command line left."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The sentence by which input was refused, after checking that there is nothing beside it."""
        assert (self.code, self.out) == (2, ""), self
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("edgefuse: "), self.err
        return self.err.removeprefix("edgefuse: ").rstrip("\n")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `edgefuse` with arguments, in this process, from `run` on: exit codes and sentences as users meet them."""
    from edgefuse.cli import run

    def call(*arguments: Path | str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["edgefuse", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run()
        printed = capsys.readouterr()
        return Outcome(end.value.code, printed.out, printed.err)

    return call
