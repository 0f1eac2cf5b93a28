"""One wheel of llama.cpp for every processor of a kind: what it is made of, and that it answers."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgefuse_packaging import llama_wheel
from edgefuse_packaging.wheel_file import write_wheel
from edgefuse_runtimes.errors import BadInput

FILES = {"it/__init__.py": b"VALUE = 7\n", "it/lib/data.bin": bytes(range(256))}


def write(folder: Path) -> Path:
    folder.mkdir()
    return write_wheel(
        folder, name="it-self", version="1.0+here.1", tag="py3-none-any", summary="A test", licence=b"free", files=FILES
    )


BUILT = {machine: llama_wheel.cached_wheel(machine) for machine in llama_wheel.TOOLCHAINS}
"""Looked up here, since every test has a cache of its own."""


def cached(machine: str) -> Path:
    wheel = BUILT[machine]
    if wheel is None:
        pytest.skip(f"needs 'python -m edgefuse_packaging.llama_wheel --machine {machine}', which compiles for minutes")
    return wheel


def test_the_same_files_make_the_same_wheel_and_pip_installs_it(tmp_path) -> None:
    first, second = write(tmp_path / "first"), write(tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()

    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--target", str(target), str(first)]
    subprocess.run(command, check=True)

    assert {path: (target / path).read_bytes() for path in FILES} == FILES
    assert (target / "it_self-1.0+here.1.dist-info" / "RECORD").exists()


@pytest.mark.parametrize("machine", llama_wheel.TOOLCHAINS)
def test_the_wheel_holds_the_kernels_of_many_processors_and_asks_for_nothing(machine) -> None:
    wheel = cached(machine)

    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name).name for name in archive.namelist()]
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()

    variants = {
        name.removeprefix("libggml-cpu-").removesuffix(".so") for name in names if name.startswith("libggml-cpu")
    }
    lowest = {"x86_64": "x64", "aarch64": "armv8.0_1"}[machine]
    assert lowest in variants
    assert len(variants) > 1
    assert not variants & set(llama_wheel.LEFT_OUT[machine])
    assert wheel.name.endswith(f"_{machine}.whl")
    assert "Requires-Dist" not in metadata


def test_a_wheel_of_this_machine_is_imported_without_any_other_package(tmp_path) -> None:
    wheel = cached(platform.machine())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import llama_cpp; print(llama_cpp.__version__)"

    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == llama_wheel.LOCAL_VERSION


VECTORS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import llama_cpp, numpy
from pathlib import Path
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.gguf.with_llama_cpp import LlamaCppInProcess
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder

assert llama_cpp.__file__.startswith(sys.argv[1])
kit = Kit.open(Path(sys.argv[2]))
note = [numpy.arange(3, 12, dtype=numpy.int32)]
for engine in (LlamaCppInProcess, GgufNumpyEncoder):
    with engine(kit.file(kit.text.file), kit.text, threads=1, memory="low") as encoder:
        print(json.dumps(encoder.encode(note)[0].tolist()))
"""


def test_a_wheel_of_this_machine_finds_its_kernels_and_computes_what_numpy_does(tmp_path, tiny_kit) -> None:
    wheel = cached(platform.machine())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)

    command = [sys.executable, "-c", VECTORS, str(tmp_path), str(tiny_kit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    ours, reference = (np.array(json.loads(line)) for line in done.stdout.splitlines())
    cosine = ours @ reference / np.linalg.norm(ours) / np.linalg.norm(reference)
    assert cosine >= 0.998  # llama.cpp rounds activations to 8 bits, which a tiny encoder feels; any build gives .9988


def test_a_source_that_is_not_the_pinned_one_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(llama_wheel, "_require_tools", lambda machine: None)
    source = tmp_path / "edgefuse" / "llama-wheels" / "sources" / f"llama_cpp_python-{llama_wheel.VERSION}.tar.gz"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"another")
    assert hashlib.sha256(b"another").hexdigest() != llama_wheel.SOURCE_SHA256

    with pytest.raises(BadInput, match="not the release that is pinned"):
        llama_wheel.build_llama_wheel("x86_64")


def test_a_wheel_that_was_built_is_found_where_there_is_no_compiler_any_more(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "edgefuse" / "llama-wheels" / "aarch64-0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "llama_cpp_python-0.3.35+edgefuse.1-py3-none-manylinux_2_34_aarch64.whl").write_bytes(b"older")
    assert llama_wheel.cached_wheel("aarch64") is None

    wheel = folder / f"llama_cpp_python-{llama_wheel.LOCAL_VERSION}-py3-none-manylinux_2_34_aarch64.whl"
    wheel.write_bytes(b"this one")

    assert llama_wheel.cached_wheel("aarch64") == wheel
    assert llama_wheel.cached_wheel("x86_64") is None


def test_another_processor_is_refused_with_a_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(BadInput, match="choose one of x86_64, aarch64"):
        llama_wheel.build_llama_wheel("riscv64")


def test_a_missing_compiler_is_named_with_its_package(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BadInput, match=r"needs cmake, ninja, aarch64-linux-gnu-gcc.* g\+\+-aarch64-linux-gnu"):
        llama_wheel.build_llama_wheel("aarch64")
