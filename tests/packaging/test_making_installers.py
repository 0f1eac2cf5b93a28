"""`edgefuse installer`: the files that it tells, wrong options, a disk that fills up, and after it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_disks import SmallDisk

from edgefuse.kits.kit import Kit
from edgefuse.trust.keys import public_of
from edgefuse.verification.installers import verify_installer
from edgefuse_packaging import installer
from edgefuse_packaging.commands import installer as verb
from edgefuse_packaging.installer import file_stem
from edgefuse_packaging.pip import RegistryUnreachable

DISKS = int(os.environ.get("EDGEFUSE_FULL_DISKS", "1"))


@pytest.fixture
def command(tiny_kit: Path, edgefuse_wheel: Path) -> list[str | Path]:
    """All but the output."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    options = ["--platform", "linux-aarch64", "--python", python, "--wheel", edgefuse_wheel, "--no-onnxruntime"]
    return [sys.executable, "-m", "edgefuse", "installer", tiny_kit, *options]


def test_a_disk_that_fills_up_holds_no_installer(
    command: list[str | Path], small_disk: SmallDisk, record_property: Callable[[str, object], None]
) -> None:
    making = [*command, "--output", small_disk.place]
    whole = small_disk.run(*making, size="256m")
    if "registry cannot be reached" in whole.err:
        pytest.skip("collecting the wheels needs the package registry")
    assert whole.code == 0, whole.err
    assert [Path(name).suffix for name in whole.changed] == [".deb", ".run"]

    for k in range(DISKS):
        free = whole.taken * (2 * k + 1) // (2 * DISKS)
        done = small_disk.run(*making, free=free, again=True, size="256m")

        assert done.code == 7, (k, done.err)
        assert [line[:10] for line in done.err.splitlines() if not line.startswith("note: ")] == ["edgefuse: "]
        assert done.changed == []
        assert (done.code_again, done.hidden) == (0, []), done.err_again
    record_property("full_disks", DISKS)


def test_without_its_debian_package_there_is_no_installer(
    tiny_kit: Path, edgefuse_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(installer, "write_deb", power_cut)
    monkeypatch.setattr(installer, "cached_wheel", lambda machine: None)
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    wanted = installer.Wanted(tiny_kit, "linux-aarch64", (python,), "2.36", edgefuse_wheel, onnxruntime=False)
    try:
        with pytest.raises(KeyboardInterrupt):
            installer.build_installer(wanted, tmp_path / "stick", lambda remark: None)
    except RegistryUnreachable as error:
        pytest.skip(f"collecting the wheels needs the package registry: {error}")
    assert list((tmp_path / "stick").iterdir()) == []


def test_what_a_killed_one_left_is_gone_when_the_same_is_made_again(command: list[str | Path], tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    making = [str(word) for word in [*command, "--output", stick]]
    said = tmp_path / "said"
    with said.open("w") as stderr:
        process = subprocess.Popen(making, start_new_session=True, stderr=stderr)
    while not list(stick.glob(".*.part/whole/carried")):
        if process.poll() is not None and "registry cannot be reached" in said.read_text():
            pytest.skip("collecting the wheels needs the package registry")
        assert process.returncode is None, said.read_text()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert [path.suffix for path in stick.iterdir()] == [".part"]

    again = subprocess.run(making, capture_output=True, text=True, check=False)

    if "registry cannot be reached" in again.stderr:
        pytest.skip("collecting the wheels needs the package registry")
    assert again.returncode == 0, again.stderr
    assert sorted(path.suffix for path in stick.iterdir()) == [".deb", ".run"]


def test_the_verb_tells_the_file_and_its_hash_and_signs_it(
    tiny_kit: Path, edgefuse_wheel: Path, tmp_path: Path
) -> None:
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519", reason="signs the files")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    arguments = ["--platform", "linux-aarch64", "--python", "3.11", "--wheel", str(edgefuse_wheel), "--no-onnxruntime"]

    private = ed25519.Ed25519PrivateKey.generate()
    form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    (tmp_path / "key").write_bytes(private.private_bytes(*form))
    arguments += ["--sign", str(tmp_path / "key")]

    done = CliRunner().invoke(verb.command, [str(tiny_kit), *arguments, "--output", str(tmp_path / "stick")])

    if isinstance(done.exception, RegistryUnreachable):
        pytest.skip(f"collecting the wheels needs the package registry: {done.exception}")
    assert done.exit_code == 0, done.output
    files = sorted((tmp_path / "stick").iterdir())
    stem = f"edgefuse-{file_stem(Kit.open(tiny_kit))}-linux-aarch64"
    assert [file.name for file in files] == [f"{stem}.{end}" for end in ("deb", "deb.sig", "run", "run.sig")]
    files = [file for file in files if file.suffix != ".sig"]
    for file in files:
        signer = verify_installer(file, fingerprint=public_of(private).fingerprint).signer
        assert f"signed by {signer.fingerprint}" in done.output
    for line in subprocess.run(["sha256sum", *files], capture_output=True, text=True, check=True).stdout.splitlines():
        assert f"sha256 {line[:64]}" in done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--python", "3.9"], "'3.9' is none of 3.11, 3.12, 3.13"),
        (["--glibc", "3"], "'3' is no version of glibc"),
        (["--platform", "windows"], "'windows' is not one of"),
    ],
)
def test_a_wrong_option_is_a_sentence(tiny_kit: Path, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    given = ["--platform", "linux-aarch64", "--output", str(tmp_path / "stick"), *arguments]

    done = CliRunner().invoke(verb.command, [str(tiny_kit), *given])

    assert done.exit_code == 2
    assert sentence in done.output
    assert list(tmp_path.iterdir()) == []
