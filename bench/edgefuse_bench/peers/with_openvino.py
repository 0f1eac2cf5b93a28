"""OpenVINO on the float32 graph, and on what its own tool NNCF makes of it in int8."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_bench.peers.encoder import PeerEncoder
from edgefuse_bench.peers.feeding import calibration_inputs, feed
from edgefuse_bench.peers.peer import Order
from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.spec import EncoderSpec

Floats = NDArray[np.float32]


class OpenVinoPeer(PeerEncoder):
    """A compiled model, with settings for the least time of one sample."""

    def __init__(self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory) -> None:
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        # Without this it takes bfloat16 where the processor has it, and is a peer of another precision.
        settings["INFERENCE_PRECISION_HINT"] = "f32"
        compiled = core.compile_model(core.read_model(path), "CPU", settings)
        names = [each.any_name for each in compiled.inputs]

        def run(x: NDArray[Any]) -> Floats:
            output: Floats = compiled(feed(names, x))[0]
            return output

        super().__init__(spec, run, "openvino", openvino.__version__)


def write_model(order: Order) -> None:
    """The float32 graph in OpenVINO's own format."""
    import openvino

    openvino.save_model(openvino.Core().read_model(order.graph), order.target, compress_to_fp16=False)


def write_int8(order: Order) -> None:
    """Quantise the float32 graph with NNCF, which sees the calibration samples."""
    os.environ["NNCF_CI"] = "1"  # it would tell its makers of every call
    import nncf
    import openvino

    model = openvino.Core().read_model(order.graph)
    samples = calibration_inputs(order.calibration, [each.any_name for each in model.inputs])
    made = nncf.quantize(model, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(samples))
    openvino.save_model(made, order.target, compress_to_fp16=False)
