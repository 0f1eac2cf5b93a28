"""The one file of an installer: what is refused before anything is written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import random
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from edgefuse_packaging import run_file
from edgefuse_packaging.device.carried import HEADER_BYTES, parts_of, unpack
from edgefuse_packaging.device.fitting import Device, require_fit
from edgefuse_packaging.device.refused import Refused

GIB = 1 << 30
DEVICE = Device(
    machine="aarch64", bits=64, glibc=(2, 36), page=16384, python="3.11", memory=GIB, disk=GIB
)  # a Raspberry Pi 5 with system 12
FACTS: dict[str, Any] = {
    "edgefuse": "0.1.0",
    "id": "0.1.0-abc",
    "kit": {"name": "tiny", "version": "1", "digest": "00", "signer": None},
    "machine": "aarch64",
    "pythons": ["3.13", "3.11"],
    "glibc": [2, 28],
    "page": 65536,
    "memory": GIB // 2,
    "disk": {"3.11": GIB // 2, "3.13": GIB // 2},
}


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    (folder / "kit").mkdir(parents=True)
    draw = random.Random(0)
    for name in ("kit/kit.json", "kit/text.gguf", "sbom.cdx.json"):
        (folder / name).write_bytes(draw.randbytes(300_000))
    return folder


def make(content: Path, output: Path, part_bytes: int = run_file.PART_BYTES) -> tuple[list[Path], dict[str, Any]]:
    """An installer of `content` that this machine's shell takes, and the facts that it holds."""
    payload = output.with_suffix(".tar")
    run_file.write_payload(content, payload)
    here = FACTS | {"machine": platform.machine(), "pythons": [f"{sys.version_info[0]}.{sys.version_info[1]}"]}
    files = run_file.write_run_file(output, payload, here, part_bytes=part_bytes)
    return files, json.loads(files[0].read_bytes()[:HEADER_BYTES].partition(b"\n#FACTS\n")[2])


def start(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"EDGEFUSE_PYTHON": sys.executable, "HOME": str(file.parent / "home")}
    command = ["sh", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_same_content_makes_the_same_file(content: Path, tmp_path: Path) -> None:
    (first,), _ = make(content, tmp_path / "first.run")
    os.utime(content / "sbom.cdx.json", (0, 0))
    (content / "kit" / "kit.json").chmod(0o600)
    (second,), _ = make(content, tmp_path / "second.run")

    assert first.read_bytes() == second.read_bytes()


def test_what_is_carried_is_a_plain_tar_after_the_beginning(content: Path, tmp_path: Path) -> None:
    (file,), _ = make(content, tmp_path / "tiny.run")

    data = file.read_bytes()
    (tmp_path / "rest.tar").write_bytes(data[HEADER_BYTES:])
    listed = subprocess.run(["tar", "-tf", tmp_path / "rest.tar"], capture_output=True, text=True, check=True).stdout

    assert sorted(listed.split()) == ["kit/", "kit/kit.json", "kit/text.gguf", "sbom.cdx.json"]


def test_parts_are_no_larger_than_asked_and_give_all_back(content: Path, tmp_path: Path) -> None:
    files, facts = make(content, tmp_path / "tiny.run", part_bytes=250_000)

    assert [file.name for file in files] == ["tiny.run", "tiny.run.2", "tiny.run.3", "tiny.run.4"]
    assert max(file.stat().st_size for file in files) <= 250_000
    unpack(parts_of(files[0], facts), tmp_path / "back", facts["parts"])
    assert files_of(tmp_path / "back") == files_of(content)


def test_a_file_that_would_be_too_large_for_fat32_is_split() -> None:
    sizes = run_file._sizes(9 * GIB, run_file.PART_BYTES)

    assert sum(sizes) == 9 * GIB
    assert sizes[0] + HEADER_BYTES < 4 * GIB
    assert max(sizes) < 4 * GIB


def cut_short(files: list[Path]) -> None:
    os.truncate(files[0], files[0].stat().st_size - 1)


def only_the_beginning(files: list[Path]) -> None:
    os.truncate(files[0], HEADER_BYTES // 2)


def grown(files: list[Path]) -> None:
    with files[-1].open("ab") as file:
        file.write(b"more")


def changed(files: list[Path]) -> None:
    with files[0].open("r+b") as file:
        file.seek(HEADER_BYTES + 1000)
        file.write(b"another")


def second_missing(files: list[Path]) -> None:
    files[1].unlink()


def swapped(files: list[Path]) -> None:
    second, third = files[1].read_bytes(), files[2].read_bytes()
    files[1].write_bytes(third)
    files[2].write_bytes(second)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (cut_short, "tiny.run is cut short"),
        (only_the_beginning, "the beginning of this file is damaged"),
        (grown, "tiny.run.4 is too long"),
        (changed, "tiny.run was changed or is damaged"),
        (second_missing, "tiny.run.2 is missing; copy all 4 files"),
        (swapped, "tiny.run.2 was changed or is damaged"),
    ],
)
def test_a_damaged_file_is_refused_before_anything_is_written(content, tmp_path, harm, sentence) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    files, _ = make(content, folder / "tiny.run", part_bytes=250_000)
    (folder / "tiny.tar").unlink()
    harm(files)
    before = files_of(folder)

    done = start(files[0], "--prefix", str(folder / "root"))

    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert files_of(folder) == before


def test_a_changed_byte_of_the_beginning_installs_nothing(content: Path, tmp_path: Path) -> None:
    (file,), _ = make(content, tmp_path / "tiny.run")
    whole = file.read_bytes()
    draw = random.Random(0)
    for _ in range(25):
        place = draw.randrange(HEADER_BYTES)
        harmed = bytearray(whole)
        harmed[place] ^= 1 << draw.randrange(8)
        file.write_bytes(harmed)

        done = start(file, "--prefix", str(tmp_path / "root"))

        assert done.returncode != 0, place
        assert not (tmp_path / "root").exists(), place


def test_a_name_out_of_a_kit_never_reaches_the_shell() -> None:
    evil = "x'; touch /tmp/owned; echo '$(reboot)`"
    beginning = run_file.header(FACTS | {"kit": {"name": evil, "version": evil, "digest": "00"}, "parts": []})

    shell, _, rest = beginning.partition(b"\n#PROGRAM\n")

    assert b"owned" not in shell
    assert b"owned" in rest
    assert beginning.split(b"\n")[1][2:] == hashlib.sha256(beginning.split(b"\n", 2)[2]).hexdigest().encode()


def test_a_device_that_fits_is_taken() -> None:
    require_fit(FACTS, DEVICE)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"machine": "armv7l"}, "this device is armv7l"),
        ({"bits": 32}, "64-bit edition"),
        ({"glibc": ()}, "needs a Linux with glibc"),
        ({"glibc": (2, 27)}, "needs glibc 2.28, and this device has 2.27"),
        ({"page": 131072}, "131072 bytes"),
        ({"python": "3.12"}, r"for Python 3.13 or 3.11, and this is 3.12"),
        ({"memory": GIB // 4}, "needs 537 MB of memory, and 268 MB are free"),
        ({"disk": GIB // 4}, "needs 537 MB of disk, and 268 MB are free"),
    ],
)
def test_a_device_that_does_not_fit_is_told_why(other, sentence) -> None:
    with pytest.raises(Refused, match=sentence):
        require_fit(FACTS, dataclasses.replace(DEVICE, **other))


@pytest.mark.parametrize("kind", ["link", "device", "above", "absolute"])
def test_what_does_not_belong_in_the_tar_is_refused(tmp_path: Path, kind: str) -> None:
    entry = tarfile.TarInfo({"above": "../out", "absolute": str(tmp_path / "out")}.get(kind, "in"))
    entry.type = {"link": tarfile.SYMTYPE, "device": tarfile.CHRTYPE}.get(kind, tarfile.REGTYPE)
    entry.linkname = "/etc/passwd"
    file = tmp_path / "evil.run"
    with file.open("wb") as target:
        target.write(bytes(HEADER_BYTES))
        with tarfile.open(fileobj=target, mode="w") as archive:
            archive.addfile(entry)

    with pytest.raises(Refused, match="does not belong there"):
        unpack([file], tmp_path / "inside", [{"bytes": file.stat().st_size - HEADER_BYTES, "sha256": "0" * 64}])
    assert not (tmp_path / "out").exists()


def test_holes_that_a_small_file_would_fill_the_disk_with_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wide").write_bytes(b"x")
    os.truncate(tmp_path / "wide", GIB)
    made = subprocess.run(
        ["tar", "--sparse", "--format=gnu", "-cf", tmp_path / "holes.tar", "-C", tmp_path, "wide"], check=False
    )
    assert made.returncode == 0
    file = tmp_path / "evil.run"
    file.write_bytes(bytes(HEADER_BYTES) + (tmp_path / "holes.tar").read_bytes())
    assert file.stat().st_size < GIB // 1000

    with pytest.raises(Refused, match="does not belong there"):
        unpack([file], tmp_path / "inside", [{"bytes": file.stat().st_size - HEADER_BYTES, "sha256": "0" * 64}])
    assert files_of(tmp_path / "inside") == {}


@pytest.mark.parametrize("where", ["in what is carried", "in the frame of the tar", "at the end"])
def test_a_stick_that_gives_other_bytes_the_second_time_is_found(content: Path, tmp_path: Path, where: str) -> None:
    files, facts = make(content, tmp_path / "tiny.run", part_bytes=600_000)
    paths = parts_of(files[0], facts)
    place = {"in what is carried": (files[1], 5000), "in the frame of the tar": (files[0], HEADER_BYTES + 3)}.get(
        where, (files[1], files[1].stat().st_size - 1)
    )
    with place[0].open("r+b") as file:
        file.seek(place[1])
        file.write(b"!")

    with pytest.raises(Refused, match=r"was changed while it was read; copy it again"):
        unpack(paths, tmp_path / "back", facts["parts"])


def test_a_shell_on_another_processor_says_so(content: Path, tmp_path: Path) -> None:
    payload = tmp_path / "tiny.tar"
    run_file.write_payload(content, payload)
    other = {"x86_64": "aarch64"}.get(platform.machine(), "x86_64")
    (file,) = run_file.write_run_file(tmp_path / "tiny.run", payload, FACTS | {"machine": other})

    done = start(file)

    assert done.returncode == 2
    assert done.stderr == (
        f"edgefuse: this file is for Linux on {other}, and this is Linux on {platform.machine()}; make one for it.\n"
    )


def test_a_device_without_a_fitting_python_is_told_which_one(content: Path, tmp_path: Path) -> None:
    payload = tmp_path / "tiny.tar"
    run_file.write_payload(content, payload)
    facts = FACTS | {"machine": platform.machine(), "pythons": ["3.9"]}
    (file,) = run_file.write_run_file(tmp_path / "tiny.run", payload, facts)

    done = start(file)

    assert done.returncode == 2
    assert "no complete Python 3.9; install one" in done.stderr
