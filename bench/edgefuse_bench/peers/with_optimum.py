"""optimum's own int8, as `optimum-cli onnxruntime quantize` makes it with the preset of this processor."""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

from edgefuse_bench.peers.peer import Order
from edgefuse_runtimes.processor import processor_features

_PRESETS = (("AVX-512 VNNI", "avx512_vnni"), ("AVX-512", "avx512"), ("AVX2", "avx2"))
"""A feature of processors and optimum's preset for it, the best first."""


def preset() -> str:
    """The name of optimum's preset for this processor."""
    if platform.machine() == "aarch64":
        return "arm64"
    features = processor_features()
    return next((name for feature, name in _PRESETS if feature in features), "avx2")


def write_int8(order: Order) -> None:
    """Quantise the float32 graph."""
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    config = getattr(AutoQuantizationConfig, preset())(is_static=False, per_channel=False)
    with tempfile.TemporaryDirectory(dir=order.target.parent) as folder:
        made = ORTQuantizer(order.graph).quantize(save_dir=folder, quantization_config=config)
        next(Path(made).glob("*.onnx")).rename(order.target)
