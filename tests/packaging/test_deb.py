"""The Debian package: a double click for those who have an administrator."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse_packaging.deb import ARCHITECTURES, package_version, write_deb

SIGNER = "SHA256:" + "a" * 42 + "/"
FACTS = {
    "edgefuse": "0.1.0",
    "id": "0.1.0-abc",
    "kit": {"name": "$(reboot)", "version": "1", "digest": "00", "signer": None},
    "machine": platform.machine(),
    "pythons": ["3.13", "3.12", "3.11"],
    "glibc": [2, 17],
    "page": 65536,
    "memory": 1,
    "disk": {"3.11": 1000, "3.12": 1000, "3.13": 1000},
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    carried = tmp_path / "tiny.run"
    carried.write_bytes(b"#!/bin/sh\n" + bytes(5001))
    write_deb(tmp_path / "tiny.deb", carried, FACTS)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tiny.deb", "tiny.run"]
    return tmp_path / "tiny.deb"


def dpkg(*words: str | Path) -> str:
    program = shutil.which("dpkg-deb")
    if program is None:
        pytest.skip("needs dpkg-deb, which Debian and its kin have")
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=True).stdout


def test_debian_reads_it(package: Path, tmp_path: Path) -> None:
    assert dpkg("--field", package, "Package", "Architecture", "Version").splitlines() == [
        "Package: edgefuse",
        f"Architecture: {ARCHITECTURES[platform.machine()]}",
        "Version: 0.1.0+1+abc",
    ]
    dpkg("--extract", package, tmp_path / "files")
    (carried,) = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert carried == tmp_path / "files/opt/edgefuse/installer/edgefuse.run"
    assert carried.read_bytes() == (tmp_path / "tiny.run").read_bytes()
    assert all(" 0/0 " in line for line in dpkg("--contents", package).splitlines())


def test_a_newer_kit_is_a_newer_package_whatever_its_files_hash_to() -> None:
    dpkg("--version")
    old, new = (
        FACTS | {"kit": {"version": version}, "id": f"0.1.0-{key}"} for version, key in (("1.9", "f"), ("1.10", "a"))
    )
    order = ["dpkg", "--compare-versions", package_version(old), "lt", package_version(new)]
    assert subprocess.run(order, check=False).returncode == 0
    assert package_version(FACTS | {"kit": {"version": "$(reboot) v2-rc"}}) == "0.1.0+2+abc"
    assert package_version(FACTS | {"kit": {"version": "first"}}) == "0.1.0+0+abc"


def test_its_scripts_are_valid_and_hold_no_name_out_of_a_kit(package: Path, tmp_path: Path) -> None:
    dpkg("--control", package, tmp_path / "control")

    scripts = ["postinst", "postrm", "preinst", "prerm"]
    assert sorted(file.name for file in (tmp_path / "control").iterdir()) == ["control", *scripts]
    for name in ("postinst", "postrm", "prerm"):
        assert subprocess.run(["sh", "-n", tmp_path / "control" / name], check=False).returncode == 0
    shell = (tmp_path / "control" / "preinst").read_bytes().partition(b"\n#PROGRAM\n")[0]
    assert b"reboot" not in shell + (tmp_path / "control" / "control").read_bytes()


@pytest.mark.parametrize(("signer", "option"), [(None, "--allow-unsigned"), (SIGNER, f"--trust={SIGNER}")])
def test_it_takes_its_kit_as_it_was_packed(tmp_path: Path, signer: str | None, option: str) -> None:
    carried = tmp_path / "tiny.run"
    carried.write_bytes(bytes(10))
    write_deb(tmp_path / "tiny.deb", carried, FACTS | {"kit": {"name": "a", "version": "1", "signer": signer}})
    dpkg("--control", tmp_path / "tiny.deb", tmp_path / "control")

    assert f"edgefuse.run --system {option}\n" in (tmp_path / "control" / "postinst").read_text()


def test_what_is_no_fingerprint_reaches_no_shell(tmp_path: Path) -> None:
    (tmp_path / "tiny.run").write_bytes(bytes(10))
    with pytest.raises(ValueError, match="is no fingerprint"):
        write_deb(
            tmp_path / "tiny.deb",
            tmp_path / "tiny.run",
            FACTS | {"kit": {"version": "1", "signer": f"{SIGNER};reboot"}},
        )


def test_a_device_that_does_not_fit_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    carried = tmp_path / "tiny.run"
    carried.write_bytes(bytes(10))
    write_deb(tmp_path / "tiny.deb", carried, FACTS | {"glibc": [2, 99]})
    dpkg("--control", tmp_path / "tiny.deb", tmp_path / "control")

    done = subprocess.run([tmp_path / "control/preinst", "install"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "needs glibc 2.99" in done.stderr


def test_a_device_that_fits_is_taken(package: Path, tmp_path: Path) -> None:
    dpkg("--control", package, tmp_path / "control")

    done = subprocess.run([tmp_path / "control/preinst", "install"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "This can be installed here.\n"), done.stderr


def test_the_same_gives_the_same(package: Path, tmp_path: Path) -> None:
    write_deb(tmp_path / "again.deb", tmp_path / "tiny.run", FACTS)

    assert (tmp_path / "again.deb").read_bytes() == package.read_bytes()


Debian = Callable[..., subprocess.CompletedProcess[str]]

REFUSES = b"#!/bin/sh\n[ ! -e /opt/edgefuse/kits/highest.json ]\n"
"""In the place of the .run file: it refuses where a kit was, as `edgefuse kits install` does an older one."""


@pytest.fixture
def opt(tmp_path: Path) -> Path:
    """What a Debian of the test's own has as /opt."""
    (tmp_path / "opt").mkdir()
    return tmp_path / "opt"


@pytest.fixture
def debian(opt: Path, namespace: list[str], tmp_path: Path) -> Debian:
    """Run dpkg in a Debian that has no package yet."""
    if shutil.which("dpkg") is None or not Path("/opt").is_dir():
        pytest.skip("needs dpkg, which Debian and its kin have, and /opt")
    for folder in ("info", "updates", "triggers"):
        (tmp_path / "admin" / folder).mkdir(parents=True)
    (tmp_path / "admin" / "status").touch()
    options = "--log=/dev/null --force-depends --force-bad-path"
    script = f'mount --bind "$1" /opt && admin="$2" && shift 2 && exec dpkg --admindir="$admin" {options} "$@"'
    command = [*namespace, "sh", "-c", script, "sh", str(opt), str(tmp_path / "admin")]
    environment = os.environ | {"EDGEFUSE_PYTHON": sys.executable, "LC_ALL": "C"}

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*command, *map(str, words)], capture_output=True, text=True, check=False, env=environment
        )
        assert "mount:" not in done.stderr
        return done

    return run


def test_an_older_kit_is_refused_before_anything_is_unpacked(debian: Debian, opt: Path, tmp_path: Path) -> None:
    older, newer = tmp_path / "older.deb", tmp_path / "newer.deb"
    (tmp_path / "tiny.run").write_bytes(REFUSES)
    for output, version in ((older, "1"), (newer, "2")):
        kit = {"name": "ham", "version": version, "digest": version, "signer": None}
        write_deb(output, tmp_path / "tiny.run", FACTS | {"kit": kit})
    done = debian("--install", newer)
    assert done.returncode == 0, done.stderr
    kits = opt / "edgefuse" / "kits"
    kits.mkdir()
    (kits / "highest.json").write_text(json.dumps({"schema": 1, "versions": {"ham": "2"}}))

    done = debian("--install", older)

    assert done.returncode != 0
    assert "edgefuse: the kit ham 1 is older than version 2, which was installed here; purge the package" in done.stderr
    assert debian("--audit").stdout == ""
    status = debian("--status", "edgefuse").stdout.splitlines()
    assert "Status: install ok installed" in status
    assert "Version: 0.1.0+2+abc" in status
    assert list((opt / "edgefuse" / "installer").iterdir()) == []

    assert debian("--remove", "edgefuse").returncode == 0
    assert (kits / "highest.json").exists()
    assert debian("--install", older).returncode != 0
    assert debian("--audit").stdout == ""
    assert debian("--purge", "edgefuse").returncode == 0
    assert list(opt.iterdir()) == []
    done = debian("--install", older)
    assert done.returncode == 0, done.stderr
