"""Prove, on this machine's processor or emulated ones, that one file installs without a network and answers as here.

In a bare Debian 12 without pip, venv and network, an ordinary user installs the .run file; then golden samples are
answered on each processor with each engine. An emulator proves that the answers are right, not how fast they come.

    python -m edgefuse_packaging.proof KIT --machine aarch64 --processor cortex-a53 --processor cortex-a72
    python -m edgefuse_packaging.proof KIT --machine x86_64 --processor native --processor Haswell
"""

from __future__ import annotations

import json
import platform
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from edgefuse.kits.kit import Kit
from edgefuse_packaging.installer import Wanted, build_installer
from edgefuse_packaging.root import EMULATORS, USER, Root, bare_root, copied_root, missing_tools
from edgefuse_runtimes.errors import BadInput, EdgefuseError

NATIVE = "native"
"""This machine's own processor, with no emulator."""
PROCESSORS = {"aarch64": ("cortex-a53", "cortex-a72", "cortex-a76"), "x86_64": ("Haswell", "Nehalem")}
ENGINES = ("auto", "numpy")
TOLERANCE = 0.02
"""Of a probability."""
SLOWER_THAN_ALLOWED = 5
"""Exit code of `edgefuse verify`."""
COMMAND = ".local/bin/edgefuse"
HOME = ".local/share/edgefuse"


def prove(
    kit: Path, machine: str, processors: tuple[str, ...], *, samples: int, verify: bool, package: bool
) -> dict[str, Any]:
    """Install once, then answer on every processor.

    Args:
        kit: to make an installer of.
        machine: "aarch64" or "x86_64".
        processors: as qemu names them, or "native".
        samples: golden samples that each engine answers.
        verify: also have `edgefuse verify` replay every golden sample with every encoder file on every engine.
        package: also install the Debian package, let another home answer with it, and remove it.

    Returns:
        What was done and found, as it is printed.

    Raises:
        BadInput: it cannot be tried here, or an answer differs; the sentence says which.
    """
    opened = Kit.open(kit)
    with tempfile.TemporaryDirectory(prefix="edgefuse-proof-") as name:
        wanted = Wanted(kit=kit, platform=f"linux-{machine}", pythons=("3.11",), glibc="2.36")
        file, deb = build_installer(wanted, Path(name, "stick"), lambda remark: _say(f"note: {remark}"))
        root = copied_root(bare_root(machine), Path(name, "root"))
        inside = root.home / file.name
        installer_bytes = shutil.copyfile(file, root.outside(inside)).stat().st_size
        first = _qemu(machine, processors[0])
        _say(f"{machine}: installing as an ordinary user without a network, pip or venv")
        started = time.monotonic()
        _checked(root, "sh", str(inside), "--allow-unsigned", environment=first)
        install_seconds = time.monotonic() - started
        found: list[dict[str, Any]] = []
        verified: dict[str, Any] = {}
        for processor in processors:
            with _emulated(root, machine, processor) as environment:
                if verify:
                    verified[processor] = _verify(root, processor, environment)
                found += [
                    _answer(root, opened, processor, engine, sample, environment)
                    for engine in ENGINES
                    for sample in range(samples)
                ]
        if package:
            _try_package(root, deb, first)
    return {
        "machine": machine,
        "kit": {"name": opened.name, "version": opened.version, "digest": opened.digest},
        "installer": file.name,
        "installer_bytes": installer_bytes,
        "installed_as": processors[0],
        "install_seconds": round(install_seconds, 1),
        "answers": found,
        "verified": verified,
    }


def _try_package(root: Root, deb: Path, environment: Mapping[str, str]) -> None:
    """As the administrator installs the package, a user answers with its kit, and the administrator removes it."""
    shutil.copyfile(deb, root.folder / deb.name)
    _checked(root, "dpkg", "--install", f"/{deb.name}", environment=environment, user="root")
    (picture,) = root.outside(Path("/opt/edgefuse/kits")).glob("*/*/golden/0.png")
    golden = f"/{picture.relative_to(root.folder).with_suffix('')}"
    words = ["edgefuse", "classify", f"{golden}.png", "--text", f"{golden}.txt"]
    answer = _checked(root, *words, environment={**environment, "EDGEFUSE_HOME": str(root.home / "another")})
    _say(f"the Debian package, for a user who has no kit of his own:\n{answer}")
    _checked(root, "dpkg", "--purge", "edgefuse", environment=environment, user="root")
    if root.outside(Path("/opt/edgefuse")).exists():
        raise BadInput(f"The Debian package left {list(root.outside(Path('/opt/edgefuse')).iterdir())} behind.")


def _verify(root: Root, processor: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Vectors and probabilities of every golden sample; that an emulator is too slow for the kit is no failure."""
    words = [COMMAND, "verify", str(_kit(root)), "--allow-unsigned", "--json"]
    done = root.run(*words, environment=environment)
    if done.returncode not in (0, SLOWER_THAN_ALLOWED):
        raise BadInput(f"{processor}: 'edgefuse verify' says {done.stderr.strip() or done.stdout.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    for run in found["replayed"]:
        _say(f"{processor}: {run['file']} on {run['engine']}: {_replayed(run)}")
    return {"replayed": found["replayed"]}


def _replayed(run: Mapping[str, Any]) -> str:
    if not run["used"]:
        return f"not used, {run['reason']}"
    return f"cosine {run['cosine']:.5f}, probabilities within {run['shift']:.1g}, {run['flipped']} other labels"


def _kit(root: Root) -> Path:
    """The installed kit, as the system of the root names it."""
    (manifest,) = root.outside(root.home / HOME / "kits").glob("*/*/kit.json")
    return Path("/", manifest.parent.relative_to(root.folder))


def _answer(
    root: Root, kit: Kit, processor: str, engine: str, sample: int, environment: Mapping[str, str]
) -> dict[str, Any]:
    """One golden sample's answer, compared with what the kit says of it."""
    golden = kit.manifest["golden"][sample]
    expected = dict(zip(kit.classes, golden["probabilities"], strict=True))
    picture, note = (str(_kit(root) / golden[part]) for part in ("image", "text"))
    words = [COMMAND, "classify", picture, "--text", note, "--engine", engine, "--no-cache", "--json"]
    started = time.monotonic()
    answer = json.loads(_checked(root, *words, environment=environment))
    seconds = time.monotonic() - started
    engines = f"image {answer['engines']['image']}, text {answer['engines']['text']}"
    worst = max(abs(answer["probabilities"][label] - value) for label, value in expected.items())
    where = f"{processor}, engine {engine} ({engines}), golden sample {sample}"
    if answer["label"] != max(expected, key=expected.__getitem__):
        raise BadInput(f"{where}: the label is {answer['label']}, and the kit says {expected}.")
    if worst > TOLERANCE:
        raise BadInput(f"{where}: a probability differs by {worst:.3f} from what the kit says.")
    _say(f"{where}: {answer['label']}, probabilities within {worst:.1g}, {seconds:.0f} s")
    return {
        "processor": processor,
        "engine": engine,
        "engines": answer["engines"],
        "sample": sample,
        "label": answer["label"],
        "worst_difference": worst,
        "notes": answer["notes"],
        # an emulator's own memory and time say nothing of the device
        "peak_rss_bytes": answer["memory"]["peak_rss_bytes"] if processor == NATIVE else None,
        "timings_ms": answer["timings_ms"] if processor == NATIVE else None,
    }


@contextmanager
def _emulated(root: Root, machine: str, processor: str) -> Iterator[dict[str, str]]:
    """The environment in which programs of the root run as on `processor`, children included.

    The kernel starts the emulator for every program of another kind. A program of this machine's own kind it runs
    itself, so there the installation's Python is replaced by a script that starts the emulator.
    """
    if processor == NATIVE or machine != platform.machine():
        yield _qemu(machine, processor)
        return
    python = root.outside(root.home / HOME / "current" / "bin").resolve() / "python"
    real = python.readlink()
    emulator = Path("/usr/bin") / EMULATORS[machine]
    root.outside(emulator).write_bytes(emulator.read_bytes())
    root.outside(emulator).chmod(0o755)
    python.unlink()
    words = [str(emulator), "-cpu", processor, "-0"]
    python.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$0" {shlex.quote(str(real))} "$@"\n')
    python.chmod(0o755)
    try:
        yield {}
    finally:
        python.unlink()
        python.symlink_to(real)


def _qemu(machine: str, processor: str) -> dict[str, str]:
    """What tells an emulator that the kernel starts which processor it is."""
    return {} if machine == platform.machine() else {"QEMU_CPU": processor}


def _checked(root: Root, *words: str, environment: Mapping[str, str], user: str = USER) -> str:
    done = root.run(*words, environment=environment, user=user)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BadInput(f"In the {root.folder.name}, '{' '.join(words)}' failed: {said[-1]}")
    return done.stdout


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


@click.command(epilog="Example: python -m edgefuse_packaging.proof my.kit --machine aarch64 --processor cortex-a72")
@click.argument("kit", type=click.Path(path_type=Path))
@click.option("--machine", type=click.Choice(list(PROCESSORS)), default="aarch64", show_default=True, help="Its kind.")
@click.option(
    "--processor",
    "processors",
    multiple=True,
    help=f'As qemu names it, or "{NATIVE}"; may be repeated.  [default: all]',
)
@click.option("--samples", default=1, show_default=True, help="Golden samples that each engine answers.")
@click.option("--verify", is_flag=True, help="Replay every golden sample too, which takes many minutes.")
@click.option("--package", is_flag=True, help="Install and remove the Debian package too.")
@click.option("--required", is_flag=True, help="Fail, instead of saying so and ending well, where tools are missing.")
def main(
    kit: Path, machine: str, processors: tuple[str, ...], samples: int, verify: bool, package: bool, required: bool
) -> None:
    """Install KIT's installer in an emulated Debian, and compare its answers with the kit's golden ones."""
    if NATIVE in processors and machine != platform.machine():
        raise click.UsageError(f"The native processor is this machine's, {platform.machine()}, and not {machine}.")
    missing = missing_tools(machine, emulated=set(processors) != {NATIVE})
    if missing:
        _say(f"proof: not tried, since {', '.join(missing)} is missing (Debian: debootstrap, qemu-user-static).")
        sys.exit(2 if required else 0)
    try:
        found = prove(kit, machine, processors or PROCESSORS[machine], samples=samples, verify=verify, package=package)
    except EdgefuseError as error:
        _say(f"proof: {error}")
        sys.exit(error.exit_code)
    click.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
