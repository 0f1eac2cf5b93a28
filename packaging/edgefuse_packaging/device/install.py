"""Put edgefuse and its kit on this device, without a network: this runs before edgefuse is there.

It needs Python's standard library alone, neither pip nor venv. Where things come to lie, below ROOT (/opt/edgefuse for
the administrator, else the user's data folder):

    ROOT/versions/ID/       a whole installation: Python packages and the list of parts; replaced only if it fails
    ROOT/current            link to the one that is used; changed by one rename
    ROOT/previous           link to the one before, for ROOT/bin/edgefuse-rollback
    ROOT/bin/               what the user starts
    ROOT/kits/, objects/    the kit, which the new edgefuse takes over as `edgefuse kits install` does
    ROOT/active-kit         names it, and ROOT/trusted_keys the key that signed it

Nothing of the kit is run, and nothing but its manifest read, before its signature was held against the trusted keys
and its files against the manifest.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HEADER_BYTES = 65536
"""Shell and program at the beginning of the file; what is carried follows."""
PIECE = 1 << 20
"""Bytes that are copied at a time."""
BAD_INPUT, DOES_NOT_FIT, INTERRUPTED = 2, 7, 130
"""Exit codes, the same as edgefuse's."""

FULL_BYTES = 1 << 20
"""A disk with less than this is taken for full: not all that fails says why."""

SYSTEM_ROOT = Path("/opt/edgefuse")
SYSTEM_LINKS, SYSTEM_MENU = Path("/usr/local/bin"), Path("/usr/share/applications")
"""The menu's folder below /usr/local is missing on a new system, and a desktop looks into no folder that was missing
when it began."""


class Refused(Exception):
    """A sentence that says why nothing is installed and what to do."""

    def __init__(self, sentence: str, exit_code: int = BAD_INPUT) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Device:
    """What decides whether this can be installed here."""

    machine: str
    bits: int
    glibc: tuple[int, ...]
    """Empty where the C library is another one."""
    page: int
    """Bytes of a memory page: 16384 on a Raspberry Pi 5."""
    python: str
    memory: int
    """Bytes that programs can have."""
    disk: int
    """Bytes that are free where it would be installed."""


def this_device(root: Path) -> Device:
    """The one that this runs on, with the disk that `root` would be on."""
    place = root.absolute()
    while not place.exists():
        place = place.parent
    free = os.statvfs(place)
    library, version = platform.libc_ver()
    return Device(
        machine=platform.machine(),
        bits=64 if sys.maxsize > 2**32 else 32,
        glibc=tuple(int(number) for number in version.split(".")) if library == "glibc" else (),
        page=os.sysconf("SC_PAGE_SIZE"),
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        memory=_available_memory(),
        disk=free.f_bavail * free.f_frsize,
    )


def require_fit(facts: Mapping[str, Any], device: Device) -> None:
    """Refuse a device on which this would not run.

    Raises:
        Refused: with the first reason.
    """
    if device.machine != facts["machine"]:
        raise Refused(f"this file is for {facts['machine']}, and this device is {device.machine}; make one for it.")
    if device.bits != 64:
        raise Refused("this Python is a 32-bit one; install the 64-bit edition of the system.")
    if not device.glibc:
        raise Refused("edgefuse needs a Linux with glibc; use Debian, Ubuntu, Fedora or Raspberry Pi OS.")
    if device.glibc < tuple(facts["glibc"]):
        needed, found = (".".join(map(str, version)) for version in (facts["glibc"], device.glibc))
        raise Refused(f"this file needs glibc {needed}, and this device has {found}; make one with --glibc {found}.")
    if device.page > facts["page"]:
        raise Refused(f"a memory page has {device.page} bytes here, and what is carried bears {facts['page']} at most.")
    if device.python not in facts["pythons"]:
        raise Refused(f"this file is for Python {' or '.join(facts['pythons'])}, and this is {device.python}.")
    if device.memory < facts["memory"]:
        raise Refused(
            f"the kit needs {_mb(facts['memory'])} of memory, and {_mb(device.memory)} are free; "
            "close other programs or use a smaller kit.",
            DOES_NOT_FIT,
        )
    if device.disk < facts["disk"][device.python]:
        raise Refused(
            f"this needs {_mb(facts['disk'][device.python])} of disk, and {_mb(device.disk)} are free; make room.",
            DOES_NOT_FIT,
        )


def parts_of(file: Path, facts: Mapping[str, Any]) -> list[Path]:
    """The files that hold what is carried, each checked: `file` itself, then FILE.2, FILE.3, ...

    Raises:
        Refused: one is missing, cut short or changed.
    """
    parts = facts["parts"]
    paths = [file if number == 1 else file.with_name(f"{file.name}.{number}") for number in range(1, len(parts) + 1)]
    for path, part in zip(paths, parts, strict=True):
        if not path.exists():
            raise Refused(f"{path.name} is missing; copy all {len(parts)} files into one folder.")
        size = path.stat().st_size - (HEADER_BYTES if path == file else 0)
        if size != part["bytes"]:
            short = "is cut short" if size < part["bytes"] else "is too long"
            raise Refused(f"{path.name} {short} ({size} bytes of {part['bytes']}); copy it again.")
    for path, part in zip(paths, parts, strict=True):
        with path.open("rb") as opened:
            opened.seek(HEADER_BYTES if path == file else 0)
            if hashlib.file_digest(opened, "sha256").hexdigest() != part["sha256"]:
                raise Refused(f"{path.name} was changed or is damaged; copy it again.")
    return paths


def unpack(paths: list[Path], folder: Path, parts: Sequence[Mapping[str, Any]]) -> None:
    """Write what the parts hold into the new folder `folder`: plain files and folders, and nothing outside it.

    By hand, since Python 3.11.2, which Debian 12 has, knows no filter for it. The bytes are hashed as they are read,
    since a stick may give others than it gave to `parts_of`.

    Args:
        paths: of the parts.
        folder: to make; what is in it is right only if this returns.
        parts: "bytes" and "sha256" of each.

    Raises:
        Refused: the parts are others than they should be, or hold what does not belong there.
    """
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in paths]
        files[0].seek(HEADER_BYTES)
        joined = _Hashed(files, parts)
        try:
            with tarfile.open(fileobj=joined, mode="r|") as archive:
                for entry in archive:
                    path = folder / entry.name
                    is_plain = entry.isdir() or (entry.isfile() and not entry.issparse())
                    if not path.resolve().is_relative_to(folder.resolve()) or not is_plain:
                        raise Refused(f"this file holds {entry.name!r}, which does not belong there; do not use it.")
                    if entry.isdir():
                        path.mkdir()
                        continue
                    content = archive.extractfile(entry)
                    assert content is not None
                    with path.open("xb") as target:
                        shutil.copyfileobj(content, target, PIECE)
        except tarfile.TarError:
            joined.read_on()  # if it was changed, that is what has to be told
            raise
        joined.read_on()


class _Hashed(io.RawIOBase):
    """Parts read one after the other; the end of one that was changed is never passed."""

    def __init__(self, files: Sequence[IO[bytes]], parts: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self._parts = list(zip(files, parts, strict=True))
        self._hash, self._left = hashlib.sha256(), parts[0]["bytes"]

    def read(self, size: int = -1) -> bytes:
        while self._parts:
            file, part = self._parts[0]
            data = file.read(min(self._left, PIECE if size < 0 else size))
            self._hash.update(data)
            self._left -= len(data)
            if data:
                return data
            if self._left or self._hash.hexdigest() != part["sha256"]:
                raise Refused(f"{Path(file.name).name} was changed while it was read; copy it again.")
            self._parts.pop(0)
            if self._parts:
                self._hash, self._left = hashlib.sha256(), self._parts[0][1]["bytes"]
        return b""

    def read_on(self) -> None:
        """Hash what is left."""
        while self.read(PIECE):
            pass


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
    _run(command, "the packages cannot be installed", TMPDIR=str(temporary), PIP_CONFIG_FILE=os.devnull)
    shutil.rmtree(temporary)
    if compiled:
        _run([command[0], "-I", "-m", "compileall", "-q", str(version / "lib")], "the packages cannot be compiled")
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
        said = json.loads(_run(command, "it does not run here", EDGEFUSE_HOME=aside, XDG_CACHE_HOME=aside))
    probabilities = sample["probabilities"]
    expected = manifest["classes"][probabilities.index(max(probabilities))]
    if said["label"] != expected:
        raise Refused(f"it answers {said['label']} here to the sample whose label is {expected}; do not use it.")


def edgefuse(version: Path) -> list[str]:
    """The command `edgefuse` of an installation, which nothing in the environment changes."""
    return [str(version / "bin" / "python"), "-I", "-m", "edgefuse"]


def install(
    root: Path,
    file: Path,
    facts: Mapping[str, Any],
    *,
    say: Callable[[str], None],
    trust: str | None,
    kit_options: Sequence[str],
    compiled: bool,
) -> Path:
    """Unpack, fill and try out a new version beside what is there; then make it the current one.

    The kit is checked by the new edgefuse before it is tried out. All is on the disk before the kit is taken over, and
    the new edgefuse is made current right after: an old one has the new kit for a moment alone.

    Args:
        root: see the beginning of this file.
        file: the .run file.
        facts: what it says of itself.
        say: takes the name of each step.
        trust: the fingerprint of the key that is to be trusted, or None.
        kit_options: what else to add to `edgefuse kits install`, which takes the kit over.
        compiled: see `fill`.

    Returns:
        The folder of the version.

    Raises:
        Refused: with what is left to do, if anything was changed.
    """
    say("checking the file")
    paths = parts_of(file, facts)
    (root / "versions").mkdir(parents=True, exist_ok=True)
    version = root / "versions" / str(facts["id"])
    part, kit = version.with_name(f".{version.name}.part"), version.with_name(".kit.part")
    with _only_one(root):
        for leftover in (root / "versions").glob(".*.part"):
            shutil.rmtree(leftover)
        if _is_installed(version, root, facts["kit"], trust):
            with _told_to_finish():
                make_current(root, version)
                _remove_unused(root)
            return version
        part.mkdir()
        try:
            with _told_if_full(root):
                say("unpacking")
                unpack(paths, part / "carried", facts["parts"])
                say("installing")
                python = f"{sys.version_info[0]}.{sys.version_info[1]}"
                fill(part, part / "carried", python, compiled=compiled)
                shutil.rmtree(part / "carried")
                (part / "kit").replace(kit)
                say("checking the kit")
                asked = [*([f"--trust={trust}"] if trust else []), *kit_options]
                options = _require_trust(part, kit, root, facts["kit"]["digest"], asked)
                say("trying it out on a golden sample")
                try_out(part, kit)
                os.sync()
        except BaseException:
            _remove_unused(root)
            raise
        with _told_to_finish():
            try:
                with _told_if_full(root):
                    _put_in_place(part, version, kit)
                    say("installing the kit")
                    said = _install_kit(version, kit, root, options, "start this file again to finish")
                    make_current(root, version)
                print(said, end="", flush=True)
            finally:
                _remove_unused(root)
    return version


def _is_installed(version: Path, root: Path, kit: Mapping[str, Any], trust: str | None) -> bool:
    """Whether nothing is left to do: this version answers with the kit, which is whole and trusted as asked.

    The kit may have been removed or taken unsigned, the card may have damaged anything, and the Python may have gone
    with an upgrade of the system.
    """
    python = [str(version / "bin" / "python"), "-I", "-c"]
    try:
        listed = _run([*edgefuse(version), "kits", "list", "--json"], "no kits", EDGEFUSE_HOME=str(root))
        same = [one for one in json.loads(listed)["kits"] if one["digest"] == kit["digest"]]
        found = [one for one in same if (one["signer"] == trust if trust else one["signer"] or not kit["signer"])]
        if not found:
            return False
        if trust:
            keys = "from edgefuse.trust.pinned import pinned_keys; print(*(key.fingerprint for key in pinned_keys()))"
            if trust not in _run([*python, keys], "no keys", EDGEFUSE_HOME=str(root)).split():
                return False
        look = "import pathlib, sys; from edgefuse.kits.kit import Kit; Kit.open(pathlib.Path(sys.argv[1])).verify()"
        _run([*python, look, found[0]["folder"]], "the kit is damaged")
    except (Refused, OSError):
        return False
    return _answers(version, Path(found[0]["folder"]))


def _answers(version: Path, kit: Path) -> bool:
    try:
        try_out(version, kit)
    except (Refused, OSError):
        return False
    return True


def _put_in_place(part: Path, version: Path, kit: Path) -> None:
    """Give the new installation its name, unless there is one already that works, and only lacked its kit."""
    if version.exists():
        if _answers(version, kit):
            return
        version.replace(version.with_name(f".{version.name}.broken.part"))
    part.replace(version)
    sync_folder(version.parent)  # before a link names it


def _remove_unused(root: Path) -> None:
    """Remove all versions but the current and the previous one; what cannot be removed waits for the next time."""
    used = [(root / name).resolve() for name in ("current", "previous")]
    for old in list((root / "versions").iterdir()):
        if old.resolve() not in used:
            shutil.rmtree(old, ignore_errors=True)


def _require_trust(version: Path, kit: Path, root: Path, digest: str, options: Sequence[str]) -> list[str]:
    """Have edgefuse check who signed the kit and hash its files, before anything of it is run.

    It asks a person who is there whether a first signer is to be trusted.

    Returns:
        The options with which the kit is taken over without being asked about again.

    Raises:
        Refused: it is not to be trusted, or damaged.
    """
    said = json.loads(_install_kit(version, kit, root, [*options, "--check", "--json"], "nothing was changed"))
    if said["digest"] != digest:
        raise Refused("the kit is another one than this file says; do not use it.")
    return [*options, f"--trust={said['signer']}"] if said["signer"] else [*options]


def _install_kit(version: Path, kit: Path, root: Path, options: Sequence[str], then: str) -> str:
    """What `edgefuse kits install` prints; what it asks and complains of goes to the person.

    Raises:
        Refused: the kit was not taken; the sentence ends with `then`.
    """
    command = [*edgefuse(version), "kits", "install", str(kit), *options]
    environment = _environment(EDGEFUSE_HOME=str(root))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise Refused(f"the kit was not taken; {then}.", done.returncode)
    return done.stdout


def make_current(root: Path, version: Path) -> None:
    """Point `current` at `version`, and `previous` at what `current` was, each by one rename."""
    current, previous = root / "current", root / "previous"
    before = current.resolve() if current.is_symlink() else None
    if before == version.resolve():
        return
    if before is not None:
        _link(previous, before)
    _link(current, version)


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


@contextlib.contextmanager
def _told_if_full(root: Path) -> Iterator[None]:
    """Tell a full disk as such, whatever failed of it: what runs here has words and exit codes of its own.

    Raises:
        Refused: the block failed since the disk is full.
    """
    try:
        yield
    except (Refused, OSError) as error:
        no_room = os.strerror(errno.ENOSPC)  # which pip says, and then removes what filled the disk
        free = os.statvfs(root)
        if (
            getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
            or no_room in str(error)
            or (free.f_bavail * free.f_frsize < FULL_BYTES)
        ):
            raise Refused(
                f"the disk of {root} became full; make room and start this file again. What is installed stays.",
                DOES_NOT_FIT,
            ) from error
        raise


@contextlib.contextmanager
def _told_to_finish() -> Iterator[None]:
    """Once the kit may be in use, or the new version: say so of whatever comes between.

    Raises:
        Refused: the block was interrupted, or the disk failed.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Refused("interrupted; start this file again to finish.", INTERRUPTED) from None
    except OSError as error:
        raise Refused(f"it is not finished ({error}); start this file again to finish.") from error


@contextlib.contextmanager
def _only_one(root: Path) -> Iterator[None]:
    with (root / ".installing").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"another installation into {root} is running; wait for it.") from None
        yield


def _environment(**more: str) -> dict[str, str]:
    """Nothing of what the user set for his own Python and pip."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    return kept | more


def _run(command: list[str], complaint: str, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment(**environment))
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Refused(f"{complaint}: {said[-1] if said else f'exit code {done.returncode}'}")
    return done.stdout


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def main(arguments: list[str], facts: Mapping[str, Any]) -> int:
    """Read the command line, check, install; an exit code."""
    parser = argparse.ArgumentParser(prog=f"sh {Path(arguments[0]).name}", description="Install edgefuse and a kit.")
    parser.add_argument("--prefix", type=Path, help="where to install, instead of the user's data folder")
    parser.add_argument("--system", action="store_true", help="install for everyone, as the administrator does")
    parser.add_argument("--check", action="store_true", help="only see whether it can be installed here")
    parser.add_argument("--no-menu", action="store_true", help="make no icon and no command, only the folder")
    kit_options = parser.add_argument_group("the kit")
    kit_options.add_argument("--trust", metavar="SHA256:...", help="trust the key with this fingerprint")
    kit_options.add_argument("--allow-unsigned", action="store_true", help="take a kit that nobody known signed")
    kit_options.add_argument("--allow-downgrade", action="store_true", help="take a lower version")
    asked = parser.parse_args(arguments[1:])
    is_system = asked.system or (asked.prefix is None and os.geteuid() == 0)
    root: Path = (asked.prefix or (SYSTEM_ROOT if is_system else user_root())).absolute()
    file = Path(arguments[0])
    os.umask(0o022)  # nothing that is installed may be written by others
    try:
        require_fit(facts, this_device(root))
        if asked.check:
            parts_of(file, facts)
            print("This can be installed here.")
            return 0
        options = ["--allow-unsigned"] if asked.allow_unsigned else []
        options += ["--allow-downgrade"] if asked.allow_downgrade else []
        options += ["--use"] if is_system else []  # nobody chooses for everyone
        version = install(
            root,
            file,
            facts,
            say=lambda step: print(f"{step} ...", file=sys.stderr),
            trust=asked.trust,
            kit_options=options,
            compiled=is_system,
        )
        words = ["--system" if is_system else "--user", *(["--no-menu"] if asked.no_menu else [])]
        module = ["-I", "-m", "edgefuse_packaging.device.starters"]
        with _told_to_finish(), _told_if_full(root):
            _run([str(version / "bin" / "python"), *module, str(root), *words], "the icon cannot be made")
    except Refused as refusal:
        print(f"edgefuse: {refusal}", file=sys.stderr)
        return refusal.exit_code
    except KeyboardInterrupt:
        print("edgefuse: interrupted; nothing was changed.", file=sys.stderr)
        return INTERRUPTED
    except (OSError, tarfile.TarError) as error:
        print(f"edgefuse: it cannot be installed ({error}); nothing was changed.", file=sys.stderr)
        return DOES_NOT_FIT if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) else BAD_INPUT
    print(f"edgefuse {facts['edgefuse']} is installed in {root}.")
    place = "in the menu" if is_system else "on the desktop or in the menu"
    print(f"Open 'edgefuse' {place}, or type:\n{root}/bin/edgefuse ask")
    return 0


def user_root() -> Path:
    """This user's folder, as `edgefuse.home` names it."""
    named = os.environ.get("EDGEFUSE_HOME")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(named) if named else Path(data) / "edgefuse"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], globals()["FACTS"]))
