"""Build llama-cpp-python so that one wheel runs on every processor of its kind and picks its kernels at every start.

The wheel from the package registry needs AVX2 on x86-64, and there is none for Arm. This one holds ggml's kernels
several times, each for another set of instructions, and ggml loads the best that the processor of the moment has: a
card may move from a Raspberry Pi 4 to a 5. It holds the bindings to the C functions alone, which is all that edgefuse
uses, and therefore needs no other package.

Run in the workshop, with cmake, ninja and a compiler:  python -m edgefuse_packaging.llama_wheel --help
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import click

from edgefuse_packaging.pip import fetch_source
from edgefuse_packaging.wheel_file import write_wheel
from edgefuse_runtimes.errors import BadInput, EdgefuseError, QualityGate
from edgefuse_runtimes.files import cache_home, sha256, write_bytes

VERSION = "0.3.36"
SOURCE_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
LOCAL_VERSION = f"{VERSION}+edgefuse.1"
"""Says that it is not the release itself."""

FLAGS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
    "CMAKE_INSTALL_RPATH": "$ORIGIN",
    "BUILD_SHARED_LIBS": "ON",
    "GGML_NATIVE": "OFF",
    "GGML_BACKEND_DL": "ON",
    "GGML_CPU_ALL_VARIANTS": "ON",
    "GGML_OPENMP": "OFF",  # its library would have to be on the device
    "GGML_CCACHE": "OFF",
    "LLAMA_BUILD_COMMON": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_TOOLS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_NUMBER": "0",
    "LLAMA_BUILD_COMMIT": "unknown",
}
LINKER = "-Wl,--build-id=none -s"

LEFT_OUT = {
    "x86_64": {
        "sapphirerapids": "on virtual machines that claim AMX without granting it, it is chosen and dies of SIGILL",
        "piledriver": "rare; ivybridge serves there",
        "cannonlake": "rare; skylakex serves there",
        "cooperlake": "rare; cascadelake serves there",
    },
    "aarch64": {
        "armv8.2_1": "dot products without half precision are rare; armv8.0_1 serves there",
        "armv8.2_3": "SVE without int8 products is rare; armv8.2_2 serves there",
        "armv9.2_1": "SME needs gcc 14; armv8.6_1 serves there",
        "armv9.2_2": "SME needs gcc 14; armv8.6_2 serves there",
    },
}
"""ggml's variants that are not built, with the reason."""

MODULES = ("llama_cpp.py", "_ctypes_extensions.py")
LIBRARIES = ("libllama.so", "libggml.so.0", "libggml-base.so.0")
"""By the names under which they ask for each other, except the first, which Python asks for. One file each: a copy
under another name would be loaded as a second library, with an empty registry of kernels."""

TOOLCHAINS = {"x86_64": "x86_64-linux-gnu-", "aarch64": "aarch64-linux-gnu-"}
TOOLS = ("cmake", "ninja", "gcc", "g++", "readelf")


def cached_wheel(machine: str) -> Path | None:
    """The wheel for `machine` that was built before with this recipe and this compiler; None if there is none.

    Where there is no compiler now, one of this version that any compiler built.
    """
    folder = _cache(machine).name if _compiler(machine) else f"{machine}-*"
    found = sorted(_root().glob(f"{folder}/llama_cpp_python-{LOCAL_VERSION}-*.whl"))
    return found[0] if found else None


def build_llama_wheel(machine: str, *, again: bool = False) -> Path:
    """Build the wheel for `machine` ("x86_64" or "aarch64") into the cache, or take it from there.

    Args:
        machine: the processor's kind; another than this machine's needs a cross-compiler.
        again: build although there is one, and see that the result is the same to the byte.

    Raises:
        BadInput: a tool is missing, or the compiler failed.
        QualityGate: the second build differs from the first.
        RegistryUnreachable: the source is not here and cannot be fetched.
    """
    before = cached_wheel(machine)
    if before and not again:
        return before
    _require_tools(machine)
    with tempfile.TemporaryDirectory(prefix="edgefuse-llama-") as name:
        work = Path(name)
        source = _unpack(_source(), work)
        libraries = _compile(source / "vendor" / "llama.cpp", work / "build", machine)
        wheel = _assemble(source, libraries, machine, work)
        if before and sha256(wheel) != sha256(before):
            kept = before.with_suffix(".differs")
            write_bytes(kept, wheel.read_bytes())
            raise QualityGate(f"The same recipe gave another wheel ({kept}) than before ({before}); compare the two.")
        target = _cache(machine) / wheel.name
        write_bytes(target, wheel.read_bytes())
    return target


def _source() -> Path:
    """The released source, fetched once and checked."""
    path = _root() / "sources" / f"llama_cpp_python-{VERSION}.tar.gz"
    if not path.exists():
        write_bytes(path, fetch_source("llama-cpp-python", VERSION, SOURCE_SHA256))
    if sha256(path) != SOURCE_SHA256:
        raise BadInput(f"{path} is not the release that is pinned; remove it, and it is fetched again.")
    return path


def _unpack(archive: Path, work: Path) -> Path:
    """The source with the variants of `LEFT_OUT` taken away."""
    with tarfile.open(archive) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2, of Debian 12, has none
        tar.extractall(work)  # noqa: S202 - its hash is pinned
    source = next(work.glob("llama_cpp_python-*"))
    listing = source / "vendor" / "llama.cpp" / "ggml" / "src" / "CMakeLists.txt"
    text = listing.read_text()
    for variant in (name for names in LEFT_OUT.values() for name in names):
        text, count = re.subn(rf"^ *ggml_add_cpu_backend_variant\({re.escape(variant)}[ )].*\n", "", text, flags=re.M)
        assert count == 1, variant
    listing.write_text(text)
    return source


def _compile(source: Path, build: Path, machine: str) -> list[Path]:
    """Compile llama.cpp; the libraries that the wheel holds."""
    prefix = TOOLCHAINS[machine]
    flags = FLAGS | {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": machine,
        "CMAKE_C_COMPILER": f"{prefix}gcc",
        "CMAKE_CXX_COMPILER": f"{prefix}g++",
        "CMAKE_C_FLAGS": f"-ffile-prefix-map={source}=.",
        "CMAKE_CXX_FLAGS": f"-ffile-prefix-map={source}=.",
        "CMAKE_SHARED_LINKER_FLAGS": LINKER,
        "CMAKE_MODULE_LINKER_FLAGS": LINKER,
    }
    defined = [f"-D{name}={value}" for name, value in flags.items()]
    _run("cmake", "-G", "Ninja", "-S", str(source), "-B", str(build), *defined)
    _run("ninja", "-C", str(build), "llama")
    files = build / "bin"
    return [*(files / name for name in LIBRARIES), *sorted(files.glob("libggml-cpu-*.so"))]


def _assemble(source: Path, libraries: list[Path], machine: str, folder: Path) -> Path:
    package = source / "llama_cpp"
    files = {f"llama_cpp/{name}": _python_module(package / name) for name in MODULES}
    files["llama_cpp/__init__.py"] = f'from .llama_cpp import *\n\n__version__ = "{LOCAL_VERSION}"\n'.encode()
    files |= {f"llama_cpp/lib/{library.name}": library.read_bytes() for library in libraries}
    files["llama_cpp/lib/LICENSE"] = (source / "vendor" / "llama.cpp" / "LICENSE").read_bytes()
    return write_wheel(
        folder,
        name="llama-cpp-python",
        version=LOCAL_VERSION,
        tag=f"py3-none-manylinux_2_{needed_glibc(libraries)}_{machine}",
        summary="llama.cpp's C functions for Python, with kernels for every processor of this kind",
        licence=(source / "LICENSE.md").read_bytes(),
        files=files,
    )


def _python_module(path: Path) -> bytes:
    """A module of the source; what it needs `typing_extensions` for is in `typing` since Python 3.10."""
    return path.read_bytes().replace(b"from typing_extensions import TypeAlias", b"from typing import TypeAlias")


def needed_glibc(libraries: list[Path]) -> int:
    """The minor version of the oldest glibc 2.x that has what `libraries` ask for.

    GLIBCXX_3.4.30 is the libstdc++ of gcc 12, which no mainstream system with a glibc before 2.35 has.
    """
    readelf = shutil.which("readelf") or "readelf"
    command = [readelf, "--version-info", "--wide", *map(str, libraries)]
    asked = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    glibc = max(int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", asked))
    libstdcxx = max(int(patch) for patch in re.findall(r"GLIBCXX_3\.4\.(\d+)", asked))
    if libstdcxx > 30:
        raise BadInput(f"These libraries ask for GLIBCXX_3.4.{libstdcxx}; build them with gcc 12.")
    return max(glibc, 35) if libstdcxx == 30 else max(glibc, 34)


def _require_tools(machine: str) -> None:
    if machine not in TOOLCHAINS:
        raise BadInput(f"There is no llama.cpp wheel for {machine!r}; choose one of {', '.join(TOOLCHAINS)}.")
    wanted = [tool if tool in ("cmake", "ninja") else TOOLCHAINS[machine] + tool for tool in TOOLS]
    missing = [tool for tool in wanted if shutil.which(tool) is None]
    if missing:
        packages = f"cmake ninja-build g++-{machine.replace('_', '-')}-linux-gnu"
        raise BadInput(f"Building llama.cpp needs {', '.join(missing)}; run 'apt-get install {packages}'.")


def _compiler(machine: str) -> str:
    """The first line of what the compiler says of itself; "" where there is none."""
    compiler = shutil.which(TOOLCHAINS.get(machine, "") + "g++")
    if compiler is None:
        return ""
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def _cache(machine: str) -> Path:
    """Where the wheel of this recipe lies: another recipe or compiler has another folder."""
    recipe = [LOCAL_VERSION, SOURCE_SHA256, FLAGS, LINKER, sorted(LEFT_OUT.get(machine, {})), _compiler(machine)]
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    return _root() / f"{machine}-{key}"


def _root() -> Path:
    return cache_home() / "llama-wheels"


def _run(*command: str) -> None:
    environment = os.environ | {"SOURCE_DATE_EPOCH": "0", "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line] or [done.stderr.strip()]
        raise BadInput(f"{command[0]} failed: {said[0]}")


@click.command(epilog="Example: python -m edgefuse_packaging.llama_wheel --machine aarch64")
@click.option(
    "--machine", type=click.Choice(list(TOOLCHAINS)), default=platform.machine(), show_default=True, help="Processor."
)
@click.option("--again", is_flag=True, help="Build although there is one, and compare the two.")
@click.option("--if-cached", is_flag=True, help="Print the wheel if it was built before; build nothing.")
def main(machine: str, again: bool, if_cached: bool) -> None:
    """Build a llama-cpp-python wheel that picks its kernels at every start, and print where it lies."""
    try:
        wheel = cached_wheel(machine) if if_cached else build_llama_wheel(machine, again=again)
    except EdgefuseError as error:
        click.echo(f"llama_wheel: {error}", err=True)
        sys.exit(error.exit_code)
    if wheel is not None:
        click.echo(f"{wheel}\n{sha256(wheel)}")


if __name__ == "__main__":
    main()
