"""What the processor can do, on recorded machines and on this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefuse_runtimes.processor import multiplies_bytes, processor_features

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
    assert processor_features(tmp_path) == features
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
