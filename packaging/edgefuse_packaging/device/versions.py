"""A whole installation in a folder of its own: how it is made, tried out, and becomes the one that is used."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgefuse_packaging.device.refused import Failed, Refused


def fill(version: Path, carried: Path, python: str, *, compiled: bool) -> None:
    """Make a whole installation in the folder `version` out of what was unpacked in `carried`.

    A virtual environment is a link to Python and a file that says so (PEP 405), so it needs no package `venv`; pip
    runs out of its own wheel. What is `compiled` are all modules, which takes minutes on a small device; else each user
    who may write here has the few compiled that are used, when they are.
    """
    (version / "bin").mkdir()
    (version / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    base = Path(sys.base_prefix, "bin")
    (version / "pyvenv.cfg").write_text(f"home = {base}\ninclude-system-site-packages = false\nversion = {python}\n")
    (version / "lib" / f"python{python}" / "site-packages").mkdir(parents=True)
    pip = next((carried / "wheels").glob("pip-*.whl")) / "pip"
    command = [
        str(version / "bin" / "python"), "-I", str(pip), "--isolated", "install", "--quiet", "--no-index",
        "--no-cache-dir", "--no-compile", "--disable-pip-version-check", "--no-warn-script-location",
        "--root-user-action=ignore", "--find-links", str(carried / "wheels"), "--require-hashes",
        "-r", str(carried / f"requirements-{python}.lock"),
    ]  # fmt: skip
    temporary = version / "tmp"
    temporary.mkdir()
    run(command, "the packages cannot be installed", TMPDIR=str(temporary), PIP_CONFIG_FILE=os.devnull)
    shutil.rmtree(temporary)
    if compiled:
        run([command[0], "-I", "-m", "compileall", "-q", str(version / "lib")], "the packages cannot be compiled")
    for script in (version / "bin").iterdir():
        if script.name != "python":
            script.unlink()  # they name this very folder, which is about to get another name
    for name in ("kit", "sbom.cdx.json"):
        (carried / name).replace(version / name)


def try_out(version: Path, kit: Path) -> None:
    """See that an installation gives the label of the kit's first golden sample.

    Raises:
        Refused: it does not, with what it said.
    """
    manifest = json.loads((kit / "kit.json").read_bytes())
    sample = manifest["golden"][0]
    words = ["classify", str(kit / sample["image"]), "--text", str(kit / sample["text"]), "--kit", str(kit)]
    command = [*edgefuse(version), *words, "--no-cache", "--json"]
    with tempfile.TemporaryDirectory(".part", ".", version.parent, ignore_cleanup_errors=True) as aside:
        said = json.loads(run(command, "it does not run here", EDGEFUSE_HOME=aside, XDG_CACHE_HOME=aside))
    probabilities = sample["probabilities"]
    expected = manifest["classes"][probabilities.index(max(probabilities))]
    if said["label"] != expected:
        raise Refused(f"it answers {said['label']} here to the sample whose label is {expected}; do not use it.")


def edgefuse(version: Path) -> list[str]:
    """The command `edgefuse` of an installation, which nothing in the environment changes."""
    return [str(version / "bin" / "python"), "-I", "-m", "edgefuse"]


def answers(version: Path, kit: Path) -> bool:
    """Whether `try_out` finds nothing wrong."""
    try:
        try_out(version, kit)
    except (Refused, OSError):
        return False
    return True


def put_in_place(part: Path, version: Path, kit: Path) -> None:
    """Give the new installation its name, unless there is one already that works, and only lacked its kit."""
    if version.exists():
        if answers(version, kit):
            return
        version.replace(version.with_name(f".{version.name}.broken.part"))
    part.replace(version)
    sync_folder(version.parent)  # before a link names it


def remove_unused(root: Path) -> None:
    """Remove all versions but the current and the previous one; what cannot be removed waits for the next time.

    Where none is current, folders that are empty go too, and what kept others out of them: nothing was installed.
    """
    used = [(root / name).resolve() for name in ("current", "previous")]
    for old in list((root / "versions").iterdir()):
        if old.resolve() not in used:
            shutil.rmtree(old, ignore_errors=True)
    if (root / "current").is_symlink():
        return
    kits = root / "kits"
    locks = [root / ".installing"]
    if kits.is_dir() and [path.name for path in kits.iterdir()] == [".lock"]:
        locks.append(kits / ".lock")
    for path in (*locks, root / "versions", root / "objects", kits, root):
        with contextlib.suppress(OSError):  # a folder that holds something, or is not there
            path.unlink() if path in locks else path.rmdir()


def make_current(root: Path, version: Path) -> None:
    """Point `current` at `version`, and `previous` at what `current` was, each by one rename."""
    current, previous = root / "current", root / "previous"
    before = current.resolve() if current.is_symlink() else None
    if before == version.resolve():
        return
    if before is not None:
        _link(previous, before)
    _link(current, version)


@contextlib.contextmanager
def current_unless_refused(root: Path, version: Path) -> Iterator[None]:
    """Make `version` current for the block, and have what was current back if that is refused with no kit changed.

    The block takes over the version's kit. The new edgefuse answers with an old kit, but an old one maybe not with a
    new kit: so whenever a kill comes, the one that is current is the newer one.
    """
    links = {name: (root / name).readlink() for name in ("current", "previous") if (root / name).is_symlink()}
    kits = _kits_in_use(root)
    make_current(root, version)
    try:
        yield
    except Refused:
        if _kits_in_use(root) == kits:
            for name in ("previous", "current"):
                if name in links:
                    _link(root / name, links[name])
                else:
                    (root / name).unlink(missing_ok=True)
        raise


def _kits_in_use(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (root / "kits").glob("*/current")}


def _link(link: Path, version: Path) -> None:
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(Path("versions", version.name))
    new.replace(link)
    sync_folder(link.parent)


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk before what follows."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


def clean_environment(**more: str) -> dict[str, str]:
    """Nothing of what the user set for his own Python and pip."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    return kept | more


def run(command: list[str], complaint: str, **environment: str) -> str:
    """What a command prints.

    Raises:
        Failed: with `complaint`, and the last line that it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(**environment))
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Failed(f"{complaint}: {said[-1] if said else f'exit code {done.returncode}'}")
    return done.stdout
