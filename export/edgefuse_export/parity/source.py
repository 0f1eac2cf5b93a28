"""The vectors that an encoder's source gives, in full precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extraction.encoding import prepared
from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse_export.parity.llama_source import llama_vectors
from edgefuse_export.parity.samples import Samples, distinct
from edgefuse_export.resources import resources
from edgefuse_runtimes.image import views
from edgefuse_runtimes.onnx.with_onnxruntime import session_options
from edgefuse_runtimes.pooling import l2_normalize, pool
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_of

Floats = NDArray[np.float32]
Ids = NDArray[np.int32]

Reference = Callable[[Path, EncoderSpec], None]
"""What an exporter calls once its file is written and its source is still there: with the full-precision graph, or the
folder or GGUF file of a LLaMA, and with the finished spec.
"""

LABEL = "encoding with the source"


def ignore(source: Path, spec: EncoderSpec) -> None:
    """The reference that compares nothing."""


def source_vectors(
    source: Path, spec: EncoderSpec, exported: Path, samples: Samples, progress: Progress = silent
) -> Floats:
    """Vectors (n, d) that the source of `spec` gives for the samples, or (m, d) for their m different notes.

    Args:
        source: an ONNX graph before it is folded and quantised; or a LLaMA's Hugging Face folder or GGUF file.
        spec: of the encoder that was made of it.
        exported: its file, which holds the tokenizer.
        samples: to be encoded.
        progress: shows the steps.

    Raises:
        BadInput: a picture or the source cannot be read.
    """
    if spec.format == "gguf":
        return llama_vectors(source, spec, token_ids(spec, exported, samples), progress)
    run = onnx_encoder(source, spec, _output_name(exported))
    inputs: Iterator[Floats | Ids]
    if spec.preprocess is not None:
        inputs, count = prepared(samples.pictures, spec.preprocess), len(samples.pictures)
    else:
        ids = token_ids(spec, exported, samples)
        inputs, count = iter(ids), len(ids)
    return np.stack([run(one) for one in progress(LABEL, inputs, count)])  # (n, d)


def token_ids(spec: EncoderSpec, exported: Path, samples: Samples) -> list[Ids]:
    """Token ids (t,) of each different note, as edgefuse feeds them to the exported file."""
    assert spec.tokenization is not None
    tokenizer = tokenizer_of(spec, exported.parent.joinpath)
    return [tokenize(tokenizer, spec.tokenization, samples.notes[index]).ids for index in distinct(samples.notes)[0]]


def onnx_encoder(graph: Path, spec: EncoderSpec, output: str) -> Callable[[Floats | Ids], Floats]:
    """A function from one picture (3, H, W) or one note's ids (t,) to its vector (d,), by onnxruntime.

    Args:
        graph: takes pictures, or notes as "input_ids", with an "attention_mask" and "token_type_ids" where it wants
            them; its free dimensions may be named as they like.
        spec: says how the vector comes out of the output.
        output: the name of that output.
    """
    runtime = importable("onnxruntime", "export")
    sizes: dict[str, int | None] = {}
    if spec.preprocess is not None:  # a fixed size is a third faster
        sides = (1, 3, spec.preprocess.crop, spec.preprocess.crop)
        sizes = {free: size for free, size in zip(_input_shape(graph), sides, strict=False) if free}
    options = session_options(runtime, resources().threads, resources().memory, sizes)
    session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(sample: Floats | Ids) -> Floats:
        feed = {names[0]: sample[None]} if spec.preprocess is not None else _note_inputs(names, sample)
        (hidden,) = session.run([output], feed)  # (1, t, d) or (1, d)
        return pool(hidden[0], spec.pooling)  # (d,)

    def encode(sample: Floats | Ids) -> Floats:
        seen = (
            [sample] if spec.preprocess is None else views(sample.astype(np.float32, copy=False), spec.preprocess.views)
        )
        vector: Floats = np.mean([run(one) for one in seen], axis=0)  # (d,)
        return l2_normalize(vector) if spec.normalize else vector

    return encode


def _note_inputs(names: list[str], ids: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    """What a graph with these inputs is fed for one note (t,), each (1, t)."""
    row = ids[None].astype(np.int64)  # (1, t)
    known = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
    return {name: known[name] for name in names}


def _input_shape(graph: Path) -> list[str]:
    """The names of the first input's dimensions, "" where one is fixed."""
    onnx = importable("onnx", "export")
    model = onnx.load(graph, load_external_data=False).graph
    weights = {tensor.name for tensor in model.initializer}
    first = next(value for value in model.input if value.name not in weights)
    return [dim.dim_param for dim in first.type.tensor_type.shape.dim]


def _output_name(exported: Path) -> str:
    """Of the exported file's one output, which its source gives too, perhaps beside others."""
    onnx = importable("onnx", "export")
    name: str = onnx.load(exported, load_external_data=False).graph.output[0].name
    return name
