"""Which of the instructions that make encoders fast the processor has."""

from __future__ import annotations

import re
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


def processor_features(root: Path = Path("/")) -> list[str]:
    """Values of `FEATURES` that the first core has; /proc lies in `root`."""
    try:
        text = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return []
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    words = set(line[1].split()) if line else set()
    return [shown for name, shown in FEATURES.items() if name in words]


def multiplies_bytes(features: Collection[str]) -> bool:
    """Whether one of the features is for products of 8-bit numbers."""
    return not PRODUCTS_OF_BYTES.isdisjoint(features)
