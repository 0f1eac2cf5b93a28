"""What the processor can do, on recorded machines and on this one."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse_runtimes.processor import cpuinfo, multiplies_bytes, processor_features, processor_name

pytestmark = pytest.mark.field

RECORDED = {
    "Pi 4": ("Features\t: fp asimd evtstrm crc32 cpuid\nCPU part\t: 0xd08\n", ["NEON"], False),
    "Pi 5": (
        "BogoMIPS : 108.00\nFeatures\t: fp asimd evtstrm aes fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp\n",
        ["NEON", "NEON half precision", "dot product"],
        True,
    ),
    "old laptop": (
        "model name\t: Intel(R) Core(TM) i5-4200U\nflags\t\t: fpu sse2 ssse3 fma sse4_1 sse4_2 avx f16c avx2\n",
        ["SSE4.2", "AVX", "F16C", "FMA", "AVX2"],
        False,
    ),
    "VNNI": (
        "flags\t\t: sse4_2 avx f16c fma avx2 avx512f avx512_vnni\n\nprocessor : 1\nflags\t\t: none\n",
        ["SSE4.2", "AVX", "F16C", "FMA", "AVX2", "AVX-512", "AVX-512 VNNI"],
        True,
    ),
    "nothing said": ("processor : 0\n", [], False),
}


@pytest.mark.parametrize("name", RECORDED)
def test_features_are_read_from_the_first_core(name: str, tmp_path: Path) -> None:
    text, features, multiplies = RECORDED[name]
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(text)
    architecture = "aarch64" if "Features" in text else "x86_64"
    assert processor_features(tmp_path, architecture) == features
    assert multiplies_bytes(features) is multiplies


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert processor_features(tmp_path) == []


def test_this_machine_has_what_numpy_says_it_has() -> None:
    from numpy._core._multiarray_umath import __cpu_features__ as numpy_found

    same = {
        "AVX2": "AVX2",
        "AVX512F": "AVX-512",
        "FMA3": "FMA",
        "F16C": "F16C",
        "ASIMD": "NEON",
        "ASIMDDP": "dot product",
    }
    found = set(processor_features())
    assert {shown for name, shown in same.items() if numpy_found.get(name)} == found & set(same.values())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd08\n", "Cortex-A72"),
        (
            "CPU implementer\t: 0x41\nCPU part\t: 0xd05\n\nCPU part\t: 0xd05\n\nCPU part\t: 0xd0b\n",
            "Cortex-A55 + Cortex-A76",
        ),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xfff\n", "Arm implementer 0x41 part 0xfff"),
        ("CPU implementer\t: 0x61\nCPU part\t: 0xd08\n", "Arm implementer 0x61 part 0xd08"),  # another maker's numbers
        ("model name\t: Intel(R) N100\n", "Intel(R) N100"),
        ("model name\t: ARMv8 Processor rev 3\nCPU implementer : 0x41\nCPU part\t: 0xd0b\n", "Cortex-A76"),
        ("", "an unknown processor"),
    ],
)
def test_the_name_of_the_processor(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(text)
    assert processor_name(tmp_path) == name


@pytest.mark.parametrize(
    ("hwcap", "hwcap2", "features"),
    [
        (1 << 1, 0, ["NEON"]),
        (1 << 1 | 1 << 10 | 1 << 20, 0, ["NEON", "NEON half precision", "dot product"]),
        (1 << 1 | 1 << 22, 1 << 13, ["NEON", "I8MM", "SVE"]),
    ],
)
def test_on_arm_the_auxiliary_vector_tells_what_cpuinfo_does_not(
    recorded: Callable[[str], Path], hwcap: int, hwcap2: int, features: list[str]
) -> None:
    root = recorded("cloud_vm")  # what an emulator shows as /proc/cpuinfo
    (root / "proc/self").mkdir()
    (root / "proc/self/auxv").write_bytes(struct.pack("<8Q", 6, 4096, 16, hwcap, 26, hwcap2, 0, 0))
    assert processor_features(root, "aarch64") == features
    assert "AVX2" in processor_features(root, "x86_64")


def test_without_proc_there_are_no_facts(tmp_path: Path) -> None:
    assert cpuinfo(tmp_path) == {}
    assert processor_features(tmp_path, "aarch64") == []
