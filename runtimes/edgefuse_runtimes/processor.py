"""The processor's name, and which of the instructions that make encoders fast it has."""

from __future__ import annotations

import platform
import struct
from collections.abc import Collection
from pathlib import Path

FEATURES = {
    "sse4_2": "SSE4.2", "avx": "AVX", "f16c": "F16C", "fma": "FMA", "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI", "avx512f": "AVX-512", "avx512_vnni": "AVX-512 VNNI", "amx_int8": "AMX-INT8",
    "asimd": "NEON", "asimdhp": "NEON half precision", "asimddp": "dot product", "i8mm": "I8MM", "sve": "SVE",
}  # fmt: skip
"""From the kernel's names to those that people know, in the order in which processors got them."""

PRODUCTS_OF_BYTES = frozenset({"AVX-VNNI", "AVX-512 VNNI", "AMX-INT8", "dot product", "I8MM"})
"""Each of them adds up products of 8-bit numbers; without any, int8 can be slower than float32."""

ARM_CORES = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1", "0xd41": "Cortex-A78", "0xd44": "Cortex-X1", "0xd46": "Cortex-A510", "0xd47": "Cortex-A710",
    "0xd49": "Neoverse-N2", "0xd4f": "Neoverse-V2",
}  # fmt: skip
"""Part numbers of Arm's own cores (implementer 0x41), as util-linux's lscpu-arm.c has them."""

AT_HWCAP, AT_HWCAP2 = 16, 26
ARM_BITS = {
    "asimd": (AT_HWCAP, 1), "asimdhp": (AT_HWCAP, 10), "asimddp": (AT_HWCAP, 20), "sve": (AT_HWCAP, 22),
    "i8mm": (AT_HWCAP2, 13),
}  # fmt: skip
"""Entry and bit of the auxiliary vector for each feature (the kernel's arch/arm64/include/uapi/asm/hwcap.h)."""


def cpuinfo(root: Path = Path("/")) -> dict[str, str]:
    """What /proc/cpuinfo tells of the first core; {} where there is none."""
    facts: dict[str, str] = {}
    for line in _lines(root):
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return facts


def processor_name(root: Path = Path("/")) -> str:
    """The processor's name; on Arm, where the kernel knows none, those of its kinds of cores."""
    facts = cpuinfo(root)
    if "model name" in facts and "CPU part" not in facts:
        return facts["model name"]
    parts = dict.fromkeys(line.partition(":")[2].strip() for line in _lines(root) if line.startswith("CPU part"))
    implementer = facts.get("CPU implementer", "?")
    known = ARM_CORES if implementer == "0x41" else {}
    names = [known.get(part, f"Arm implementer {implementer} part {part}") for part in parts]
    return " + ".join(names) or "an unknown processor"


def processor_features(root: Path = Path("/"), architecture: str = "") -> list[str]:
    """Values of `FEATURES` that the first core has; /proc lies in `root`.

    On Arm they are read from the process's auxiliary vector where /proc/cpuinfo does not tell them: there an emulator
    shows the real processor's instead.
    """
    facts = cpuinfo(root)
    arm = (architecture or platform.machine()) == "aarch64"
    words = facts.get("Features", "").split() if arm or "Features" in facts else facts.get("flags", "").split()
    if arm and not words:
        words = _auxiliary_features(root)
    return [shown for name, shown in FEATURES.items() if name in words]


def multiplies_bytes(features: Collection[str]) -> bool:
    """Whether one of the features is for products of 8-bit numbers."""
    return not PRODUCTS_OF_BYTES.isdisjoint(features)


def _lines(root: Path) -> list[str]:
    try:
        return (root / "proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return []


def _auxiliary_features(root: Path) -> list[str]:
    """The kernel's names of what the auxiliary vector, pairs of 64-bit numbers, tells of an Arm processor."""
    try:
        data = (root / "proc/self/auxv").read_bytes()
    except OSError:
        return []
    entries = dict(struct.iter_unpack("<QQ", data[: len(data) // 16 * 16]))
    return [name for name, (entry, bit) in ARM_BITS.items() if entries.get(entry, 0) >> bit & 1]
