"""onnxruntime at its own settings but for the threads, and its own tool for int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_bench.peers.encoder import PeerEncoder
from edgefuse_bench.peers.feeding import feed
from edgefuse_bench.peers.peer import Order
from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.spec import EncoderSpec

Floats = NDArray[np.float32]


class OnnxRuntimePeer(PeerEncoder):
    """A session on any graph whose first output stands for the sample."""

    def __init__(self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]

        def run(x: NDArray[Any]) -> Floats:
            output: Floats = session.run(None, feed(names, x))[0]
            return output

        super().__init__(spec, run, "onnxruntime", onnxruntime.__version__)


def write_int8(order: Order) -> None:
    """What `quantize_dynamic` makes: int8 weights per channel in MatMul, activations to uint8 when run."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        order.graph, order.target, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8,
        extra_options={"WeightSymmetric": True, "MatMulConstBOnly": True},
    )  # fmt: skip
