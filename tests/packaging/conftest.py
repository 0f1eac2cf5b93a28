"""Environments as the field has them: made without a network, with base dependencies only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgefuse_packaging import wheelhouse
from edgefuse_packaging.pip import RegistryUnreachable

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


def no_network() -> list[str]:
    """What a command is prefixed with to have no network device at all, where the kernel lets us."""
    prefix = ["unshare", "--map-root-user", "--net"]
    allowed = shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return prefix if allowed and allowed.returncode == 0 else []


@pytest.fixture(scope="session")
def edgefuse_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository."""
    try:
        return wheelhouse.build_edgefuse(tmp_path_factory.mktemp("wheel"))
    except RegistryUnreachable as error:
        pytest.skip(f"building the wheel needs hatchling from the package registry: {error}")


@pytest.fixture(scope="session", params=["running", "3.13"])
def field_venv(
    request: pytest.FixtureRequest,
    edgefuse_wheel: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> FieldVenv:
    """What a device has after an installation without a network, on the running Python and on 3.13."""
    python = Path(sys.executable) if request.param == "running" else request.getfixturevalue("python_3_13")
    asked = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    base = tmp_path_factory.mktemp("field")
    collected = base / "wheelhouse"
    try:
        wheelhouse.build_wheelhouse(
            collected, target=wheelhouse.this_platform(), python=version, edgefuse_wheel=edgefuse_wheel
        )
    except RegistryUnreachable as error:
        pytest.skip(f"collecting the wheels needs the package registry: {error}")
    subprocess.run([python, "-m", "venv", base / "venv"], check=True)
    venv = FieldVenv(base / "venv", collected)
    venv.run(
        "python", "-m", "pip", "install", "--no-index", "--find-links", collected,
        "--require-hashes", "-r", collected / wheelhouse.LOCK,
    )  # fmt: skip
    return venv
