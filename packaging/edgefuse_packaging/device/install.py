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
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgefuse_packaging.device.carried import parts_of, unpack
from edgefuse_packaging.device.fitting import require_fit, this_device
from edgefuse_packaging.device.refused import BAD_INPUT, DOES_NOT_FIT, INTERRUPTED, Failed, Refused
from edgefuse_packaging.device.remembered import require_not_older
from edgefuse_packaging.device.versions import (
    answers,
    clean_environment,
    current_unless_refused,
    edgefuse,
    fill,
    make_current,
    put_in_place,
    remove_unused,
    run,
    try_out,
)

FULL_BYTES = 1 << 20
"""A program that fails on a disk with less than this failed for that: not all that fails says why."""

SYSTEM_ROOT = Path("/opt/edgefuse")


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

    The kit is checked by the new edgefuse before it is tried out. All is on the disk before the new edgefuse is made
    current, and it is before it takes the kit over: at no moment has an old one the new kit.

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
                remove_unused(root)
            return version
        try:
            with _told_if_full(root):
                say("unpacking")
                part.mkdir()
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
            remove_unused(root)
            raise
        with _told_to_finish():
            try:
                with _told_if_full(root):
                    put_in_place(part, version, kit)
                    say("installing the kit")
                    with current_unless_refused(root, version):
                        said = _install_kit(version, kit, root, options, "start this file again to finish")
                print(said, end="", flush=True)
            finally:
                remove_unused(root)
    return version


def _is_installed(version: Path, root: Path, kit: Mapping[str, Any], trust: str | None) -> bool:
    """Whether nothing is left to do: this version answers with the kit, which is whole and trusted as asked.

    The kit may have been removed, left for another version or taken unsigned, the card may have damaged anything, and
    the Python may have gone with an upgrade of the system.
    """
    python = [str(version / "bin" / "python"), "-I", "-c"]
    try:
        listed = run([*edgefuse(version), "kits", "list", "--json"], "no kits", EDGEFUSE_HOME=str(root))
        same = [one for one in json.loads(listed)["kits"] if one["digest"] == kit["digest"] and one["in_use"]]
        found = [one for one in same if (one["signer"] == trust if trust else one["signer"] or not kit["signer"])]
        if not found:
            return False
        if trust:
            keys = "from edgefuse.trust.pinned import pinned_keys; print(*(key.fingerprint for key in pinned_keys()))"
            if trust not in run([*python, keys], "no keys", EDGEFUSE_HOME=str(root)).split():
                return False
        look = "import pathlib, sys; from edgefuse.kits.kit import Kit; Kit.open(pathlib.Path(sys.argv[1])).verify()"
        run([*python, look, found[0]["folder"]], "the kit is damaged")
    except (Refused, OSError):
        return False
    return answers(version, Path(found[0]["folder"]))


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
    own = clean_environment(EDGEFUSE_HOME=str(root))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=own)
    if done.returncode != 0:
        refused = Refused if done.returncode in (BAD_INPUT, INTERRUPTED) else Failed
        raise refused(f"the kit was not taken; {then}.", done.returncode)
    return done.stdout


@contextlib.contextmanager
def _told_if_full(root: Path) -> Iterator[None]:
    """Tell a full disk as such where a program failed on it: these have words and exit codes of their own.

    Raises:
        Refused: the block failed since the disk is full, or maybe so; then with the reason that was given.
    """
    try:
        yield
    except (Refused, OSError) as error:
        no_room = os.strerror(errno.ENOSPC)  # which pip says, and then removes what filled the disk
        said = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or no_room in str(error)
        free = os.statvfs(root)
        if said or (isinstance(error, Failed) and free.f_bavail * free.f_frsize < FULL_BYTES):
            why = "became full" if said else f"has no room left, which may be why {str(error).rstrip('.')}"
            raise Refused(
                f"the disk of {root} {why}; make room and start this file again. What is installed stays.",
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
        if not asked.allow_downgrade:
            require_not_older(root, facts)
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
            run([str(version / "bin" / "python"), *module, str(root), *words], "the icon cannot be made")
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
