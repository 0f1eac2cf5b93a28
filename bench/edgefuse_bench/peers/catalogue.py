"""All peers, as data: which of them can run an encoder, with what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from edgefuse.kits.encoders import Encoders
from edgefuse_bench.peers.peer import Order, Peer, Step
from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.encoder import ENGINES
from edgefuse_runtimes.spec import EncoderSpec, Modality

REFERENCES = ("torch, fp32", "onnxruntime, fp32")
"""Whose vectors are taken for exact: the first of these that ran."""

_HERE = "edgefuse_bench.peers"
_ONNXRUNTIME = f"{_HERE}.with_onnxruntime"
_OPTIMUM = f"{_HERE}.with_optimum"
_TORCH = f"{_HERE}.with_torch"
_OPENVINO = f"{_HERE}.with_openvino"
_TRACING = ("torch", "transformers", "onnx")


def peers_of(encoders: Encoders, modality: Modality, source: Path, work: Path) -> tuple[list[Peer], Order]:
    """The peers of one encoder, edgefuse's own first, and what their steps are given.

    Args:
        encoders: made by `edgefuse export`.
        modality: which of the two.
        source: the Hugging Face folder, .onnx or .gguf file that it was exported from.
        work: a folder for the files that are made.
    """
    specs = [spec for spec in encoders.specs if spec.modality == modality]
    graph = source if source.suffix == ".onnx" else work / "fp32" / "model.onnx"
    order = Order(
        spec=specs[0], source=source, graph=graph, target=graph, calibration=work / "calibration" / "samples.npz"
    )
    peers = edgefuse_peers(specs, encoders.folder)
    if specs[0].format == "gguf":
        peers.append(llama_peer(specs[0], encoders.folder))
    elif source.suffix != ".gguf":
        peers += graph_peers(order, work)
    if source.is_dir():
        peers += torch_peers(order)
    return peers, order


def edgefuse_peers(specs: Sequence[EncoderSpec], folder: Path) -> list[Peer]:
    """Every engine on every file with both memory settings, in the worker that `edgefuse classify` has them in, too."""
    return [
        Peer(
            name=f"edgefuse, {spec.precision}, {engine.name}{'' if memory == 'normal' else ', memory low'}",
            encoder=engine.child or engine.encoder,
            path=folder / spec.file,
            spec=spec,
            precision=spec.precision,
            needs=(engine.module,) if engine.module else (),
            memory=memory,
        )
        for spec in specs
        for engine in ENGINES[spec.format]
        for memory in get_args(Memory)
    ]


def graph_peers(order: Order, work: Path) -> list[Peer]:
    """Those that run an ONNX graph, which is traced unless it is the source."""
    tracing = _TRACING if order.source != order.graph else ()
    traced = (Step(f"{_HERE}.graph:write_graph", order.graph),) if tracing else ()

    def peer(name: str, precision: str, encoder: str, libraries: tuple[str, ...], made: Step | None = None) -> Peer:
        return Peer(
            name=name,
            encoder=encoder,
            path=order.graph if made is None else made.target,
            spec=order.spec,
            precision=precision,
            needs=(*libraries, *tracing),
            steps=(*traced, *(() if made is None else (made,))),
        )

    session = f"{_ONNXRUNTIME}:OnnxRuntimePeer"
    openvino = f"{_OPENVINO}:OpenVinoPeer"
    dynamic = Step(f"{_ONNXRUNTIME}:write_int8", work / "dynamic" / "model.onnx")
    optimum = Step(f"{_OPTIMUM}:write_int8", work / "optimum" / "model.onnx")
    plain = Step(f"{_OPENVINO}:write_model", work / "openvino" / "model.xml")
    nncf = Step(f"{_OPENVINO}:write_int8", work / "nncf" / "model.xml")
    return [
        peer("onnxruntime, fp32", "fp32", session, ("onnxruntime",)),
        peer("onnxruntime, dynamic int8", "int8", session, ("onnxruntime", "onnx"), dynamic),
        peer("optimum, dynamic int8", "int8", session, ("onnxruntime", "optimum"), optimum),
        peer("OpenVINO, fp32", "fp32", openvino, ("openvino",), plain),
        peer("OpenVINO, NNCF int8", "int8", openvino, ("openvino", "nncf"), nncf),
    ]


def torch_peers(order: Order) -> list[Peer]:
    """torch on the source itself."""
    return [
        Peer(
            name=f"torch, {name}",
            encoder=f"{_TORCH}:{encoder}",
            path=order.source,
            spec=order.spec,
            precision=precision,
            needs=("torch", "transformers"),
        )
        for name, precision, encoder in (
            ("fp32", "fp32", "TorchEncoder"),
            ("dynamic int8", "int8", "TorchInt8Encoder"),
        )
    ]


def llama_peer(spec: EncoderSpec, folder: Path) -> Peer:
    """llama-cpp-python on edgefuse's GGUF file."""
    return Peer(
        name="llama-cpp-python, Llama.embed",
        encoder=f"{_HERE}.with_llama_cpp:LlamaEmbed",
        path=folder / spec.file,
        spec=spec,
        precision=spec.precision,
        needs=("llama_cpp",),
        reads_text=True,
    )
