"""The source as a plain float32 ONNX graph, as torch traces it: what the tools of others start from."""

from __future__ import annotations

import warnings
from typing import Any

from edgefuse_bench.peers.peer import Order
from edgefuse_bench.peers.with_torch import load_model, output_of

OPSET = 18
TOKENS = 16
"""Length of the note that is traced; the graph takes any."""


def write_graph(order: Order) -> None:
    """Trace the model in `order.source` for one sample: a picture of fixed size, or a note of any length."""
    import torch

    spec = order.spec
    model = load_model(order.source, spec, attn_implementation="eager")

    class OneOutput(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> Any:
            return output_of(self.model, spec, **dict(zip(names, inputs, strict=True)))

    free: dict[str, dict[int, str]] = {}
    if spec.preprocess is not None:
        side = spec.preprocess.crop
        _fix_positions(model, side)
        names, inputs = ["pixel_values"], [torch.zeros(1, 3, side, side)]
    else:
        ids = torch.full((1, TOKENS), model.config.vocab_size - 1)
        names, inputs = ["input_ids", "attention_mask"], [ids, torch.ones_like(ids)]
        free = {name: {1: "tokens"} for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # many lines of what is fixed by tracing, which is meant
        torch.onnx.export(
            OneOutput().eval(), tuple(inputs), str(order.target), input_names=names, output_names=["output"],
            dynamic_axes=free, opset_version=OPSET, dynamo=False,
        )  # fmt: skip


def _fix_positions(model: Any, side: int) -> None:
    """Replace the interpolation of a DINOv2's position table, for which ONNX may lack the operator, by its result."""
    import torch

    embeddings: Any = getattr(model, "embeddings", None)
    if hasattr(embeddings, "interpolate_pos_encoding"):
        tokens = 1 + (side // model.config.patch_size) ** 2
        with torch.no_grad():
            table = embeddings.interpolate_pos_encoding(torch.zeros(1, tokens, model.config.hidden_size), side, side)
        embeddings.interpolate_pos_encoding = lambda *_: table  # (1, tokens, d)
