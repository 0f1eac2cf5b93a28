"""A bare Debian in a folder, and commands in it as an ordinary user without a network."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import cache_home
from edgefuse_runtimes.folders import new_folder

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EMULATORS = {"x86_64": "qemu-x86_64-static", "aarch64": "qemu-aarch64-static"}
BINARY_FORMATS = Path("/proc/sys/fs/binfmt_misc")
"""Where the kernel tells, and is told, which programs run programs of other processors."""
KNOWN_FORMATS = Path("/usr/lib/binfmt.d")
"""What qemu-user-static has to tell it."""
USER = "field"


@dataclass(frozen=True)
class Root:
    """A folder with a whole system of another or the same processor; it has python3, and neither pip nor venv."""

    folder: Path
    home: Path = Path("/home") / USER

    def outside(self, path: Path) -> Path:
        """Where a path of this system lies for us."""
        return self.folder / path.relative_to("/")

    def run(self, *words: str, environment: Mapping[str, str], user: str = USER) -> subprocess.CompletedProcess[str]:
        """Run a command as `user`, in the ordinary user's home, with no network and nothing of our environment."""
        inside = ["/usr/sbin/chroot", f"--userspec={user}:{user}", str(self.folder), "/usr/bin/env", "-i"]
        path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        settings = {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", **environment}
        said = [f"{name}={value}" for name, value in settings.items()]
        at_home = ["/bin/sh", "-c", 'cd && exec "$@"', "sh", *words]
        cut_off = ["unshare", "--net", "--mount", "--pid", "--fork", f"--mount-proc={self.folder}/proc"]
        command = [*cut_off, *inside, *said, *at_home]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def missing_tools(machine: str, *, emulated: bool = True) -> list[str]:
    """Programs of the workshop that a root of `machine` needs, `emulated` or not, and that are not here."""
    tools = ["debootstrap", "unshare", *([EMULATORS[machine]] if emulated else [])]
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [tool for tool in tools if shutil.which(tool, path=path) is None]


def register_emulator(machine: str) -> None:
    """See to it that this kernel runs programs for `machine`: with what Debian's qemu-user-static gives for it.

    Source: the kernel's Documentation/admin-guide/binfmt-misc.rst.

    Raises:
        BadInput: the kernel does not let us.
    """
    name = f"qemu-{machine}"
    if machine == platform.machine() or (BINARY_FORMATS / name).exists():
        return
    if not (BINARY_FORMATS / "register").exists():
        _run("mount", "-t", "binfmt_misc", "binfmt_misc", str(BINARY_FORMATS))
    if (BINARY_FORMATS / name).exists():
        return
    try:
        (BINARY_FORMATS / "register").write_bytes((KNOWN_FORMATS / f"{name}.conf").read_bytes().strip())
    except OSError as error:
        raise BadInput(
            f"This kernel was not told to run programs for {machine} ({error.strerror}: {error.filename}); try again "
            "as root, with qemu-user-static installed."
        ) from error


def bare_root(machine: str) -> Path:
    """The folder of a bare Debian 12 for `machine`, made once; it must not be changed.

    Raises:
        BadInput: it cannot be made here.
    """
    folder = cache_home() / "roots" / f"bookworm-{ARCHITECTURES[machine]}"
    register_emulator(machine)
    if folder.is_dir():
        return folder
    if os.geteuid() != 0:
        raise BadInput("A Debian in a folder can be made by the administrator only; run this as root.")
    with new_folder(folder) as made:
        _run(
            "debootstrap",
            f"--arch={ARCHITECTURES[machine]}",
            "--variant=minbase",
            "--include=python3",
            "bookworm",
            str(made),
        )
        shutil.rmtree(made / "var" / "cache" / "apt", ignore_errors=True)
    return folder


def copied_root(bare: Path, folder: Path) -> Root:
    """A copy in the new folder `folder`, with an ordinary user."""
    _run("cp", "--archive", "--reflink=auto", str(bare), str(folder))
    _run("/usr/sbin/chroot", str(folder), "/usr/sbin/useradd", "--create-home", USER)
    return Root(folder)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"exit code {done.returncode}"]
        raise BadInput(f"{command[0]} failed: {said[-1]}")
