"""A wheelhouse installs edgefuse on a device that has no network, and nothing but what it pins."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import edgefuse
from edgefuse_packaging import wheelhouse
from edgefuse_packaging.pip import RegistryUnreachable
from edgefuse_runtimes.errors import BadInput

BASE = {"edgefuse", "numpy", "pillow", "click", "psutil"}


def wheel(folder: Path, name: str, version: str, needs: str = "") -> Path:
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    return path


def test_platform_tags_reach_back_to_older_glibcs() -> None:
    tags = wheelhouse.platform_tags("manylinux_2_28_aarch64")

    assert tags[0] == "manylinux_2_28_aarch64"
    assert tags.index("manylinux_2_17_aarch64") < tags.index("manylinux2014_aarch64")
    assert "manylinux_2_29_aarch64" not in tags
    assert not [tag for tag in tags if "x86" in tag]


def test_platform_tags_are_among_those_that_pip_accepts_here() -> None:
    """Against the library that pip itself decides with."""
    reference = pytest.importorskip("packaging.tags", reason="packaging's own tags are the reference")

    known = {tag.platform for tag in reference.sys_tags() if tag.platform.startswith("manylinux")}

    assert known == set(wheelhouse.platform_tags(wheelhouse.this_platform()))


@pytest.mark.parametrize(
    "target",
    [
        "win_amd64",
        "linux_aarch64",
        "musllinux_1_2_aarch64",
        "manylinux_2_28_armv7l",
        "",
        "manylinux2014_aarch64",
    ],
)
def test_other_platforms_are_refused_with_a_sentence(target, tmp_path) -> None:
    with pytest.raises(BadInput, match="edgefuse has no wheels for"):
        wheelhouse.build_wheelhouse(tmp_path / "wheels", target=target, python="3.11")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_names_every_wheel_with_its_hash(tmp_path) -> None:
    wheels = [wheel(tmp_path, "Pillow", "13.0.0"), wheel(tmp_path, "two-words", "1.0")]

    text = wheelhouse.lock(wheels)

    pins = re.findall(r"^(\S+)==(\S+) \\\n    --hash=sha256:(\w{64})$", text, re.MULTILINE)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in wheels]
    assert pins == [("pillow", "13.0.0", hashes[0]), ("two-words", "1.0", hashes[1])]


def test_every_pin_is_one_exact_release() -> None:
    pins = [line for line in wheelhouse.PINS.read_text().splitlines() if not line.startswith("#")]

    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", pin) for pin in pins)
    assert {pin.split("==")[0] for pin in pins} >= BASE - {"edgefuse"}


def test_a_wheel_that_does_not_exist_is_one_sentence_and_leaves_nothing(edgefuse_wheel, tmp_path, monkeypatch) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text("numpy==0.0.1\n")
    monkeypatch.setattr(wheelhouse, "PINS", pins)
    output = tmp_path / "wheels"

    done = CliRunner().invoke(wheelhouse.main, ["--output", str(output), "--wheel", str(edgefuse_wheel)])

    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert [entry.name for entry in tmp_path.iterdir()] == ["pins.txt"]


def test_a_registry_that_is_away_is_said_so(tmp_path, ask_registry) -> None:
    ask_registry(9)
    edgefuse_wheel = wheel(tmp_path, "edgefuse", "0.0.1", "Requires-Dist: numpy\n")

    with pytest.raises(RegistryUnreachable, match="cannot be reached"):
        wheelhouse.build_wheelhouse(
            tmp_path / "wheels", target="manylinux_2_28_x86_64", python="3.11", edgefuse_wheel=edgefuse_wheel
        )


def test_the_wheel_holds_the_five_packages_and_nothing_else(edgefuse_wheel) -> None:
    with zipfile.ZipFile(edgefuse_wheel) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}

    assert {name for name in folders if not name.endswith(".dist-info")} == {
        "edgefuse", "edgefuse_export", "edgefuse_runtimes", "edgefuse_bench", "edgefuse_packaging",
    }  # fmt: skip


@pytest.mark.field
def test_an_installation_without_a_network_holds_base_dependencies_only(field_venv) -> None:
    listed = json.loads(field_venv.run("python", "-m", "pip", "list", "--format", "json").stdout)

    assert {entry["name"].lower() for entry in listed} - {"pip", "setuptools"} == BASE


@pytest.mark.field
def test_edgefuse_starts_there(field_venv) -> None:
    assert field_venv.run("edgefuse", "--version").stdout.strip() == f"edgefuse, version {edgefuse.__version__}"
    assert "classify" in field_venv.run("edgefuse", "--help").stdout


@pytest.mark.field
def test_bad_input_is_a_sentence_there(field_venv, tmp_path) -> None:
    done = field_venv.run("edgefuse", "bench", "run", tmp_path / "missing.kit", check=False)

    assert done.returncode == 2
    assert "There is no kit at" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.field
def test_a_wheel_that_was_changed_is_refused(field_venv, tmp_path) -> None:
    changed = tmp_path / "wheelhouse"
    changed.mkdir()
    for file in field_venv.wheelhouse.iterdir():
        (changed / file.name).write_bytes(file.read_bytes())
    with zipfile.ZipFile(next(changed.glob("click-*.whl")), "a") as archive:
        archive.writestr("click/added.py", "")

    done = field_venv.run(
        "python", "-m", "pip", "install", "--no-index", "--find-links", changed, "--require-hashes",
        "--target", tmp_path / "target", "-r", changed / wheelhouse.LOCK, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "target" / "click").exists()
