"""A text encoder of the LLaMA architecture as one GGUF file, Q8_0, from a Hugging Face folder or a GGUF.

The output head (`output.weight`), which an encoder does not need, is carried along where the source has one
of its own: it is 2 % of LLaMA-2-7B, and the file stays the language model that every GGUF tool knows.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse_export import llama_folder
from edgefuse_export.gguf_file import Tensor, stored_bytes, write_gguf
from edgefuse_export.parity.source import Reference, ignore
from edgefuse_export.quantize_gguf import quantize_gguf, require_llama_cpp
from edgefuse_export.room import require_room, work_folder
from edgefuse_export.sources import GGUF_TOOLS, Origin, kind_of, origin_of, tool_versions
from edgefuse_export.weights import read_blocks
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.gguf.reader import GgufFile, TensorInfo, read_gguf
from edgefuse_runtimes.gguf.weights import read_sizes
from edgefuse_runtimes.spec import EncoderSpec, Pooling, Tokenization
from edgefuse_runtimes.tokenizers import tokenizer_from_metadata

FILE = "text.gguf"
Precision = Literal["q8_0", "q4_k_m"]
LOSSLESS = {"F32", "F16", "BF16", "Q8_0"}
"""Types of matrices that a GGUF source may have without more ado."""

MAX_TOKENS = 512
"""The context that the method's authors gave to LLaMA-2."""


def export_text_encoder(
    source: Path,
    folder: Path,
    progress: Progress = silent,
    *,
    origin: Origin | None = None,
    requantize: bool = False,
    quantize: Precision = "q8_0",
    pooling: Pooling = "last",
    reference: Reference = ignore,
) -> EncoderSpec:
    """Write `text.gguf` into `folder` and return its spec.

    A note's vector is the hidden state of its last token after the final norm.

    Args:
        source: a `LlamaForCausalLM` folder with safetensors, or a GGUF file of architecture "llama".
        folder: an existing folder.
        progress: shows the steps.
        origin: what to record as the source; found out where it is not given.
        requantize: whether a GGUF file may be used whose weights have lost more than Q8_0 loses.
        quantize: how the matrices are stored; "q4_k_m" is llama.cpp's mixture of 4 to 6 bits.
        pooling: which hidden state after the final norm is a note's vector.
        reference: given the source, to compare the file with.

    Raises:
        BadInput: the source cannot be used, or an extra ("export"; "llama" for q4_k_m) is not installed.
        DoesNotFit: the disk of `folder` has no room for what is to be written.
    """
    if quantize != "q8_0":
        require_llama_cpp()
    plan = _plan_gguf(source, requantize) if kind_of(source) == "gguf" else _plan_folder(source)
    with work_folder(folder) as work:
        part = work / FILE
        steps = _write(plan, part, quantize, progress)
        written = read_gguf(part)
        width = read_sizes(written).width
        tokenization = _tokenization(written, source)
        part.replace(folder / FILE)
    origin = origin or origin_of(source, str(written.metadata.get("general.license", "unknown")))
    recipe: dict[str, Any] = {"steps": steps, "tools": tool_versions(GGUF_TOOLS)}
    if quantize != "q8_0":
        recipe["tools"] = tool_versions([*GGUF_TOOLS, "llama-cpp-python"])
    if plan.notes:
        recipe["notes"] = plan.notes
    spec = EncoderSpec(
        modality="text",
        format="gguf",
        file=FILE,
        sha256=sha256(folder / FILE),
        bytes=(folder / FILE).stat().st_size,
        precision=quantize,
        width=width,
        pooling=pooling,
        normalize=False,
        tokenization=tokenization,
        source=origin.source,
        licence=origin.licence,
        recipe=recipe,
    )
    reference(source, spec)
    return spec


@dataclass(frozen=True)
class _Plan:
    """What is to be written, before a weight is read."""

    add_metadata: Callable[[Any], None]
    tensors: list[Tensor]
    types: set[str]
    """How the source stores its matrices."""
    steps: list[str]
    notes: list[str]


def _write(plan: _Plan, target: Path, quantize: Precision, progress: Progress) -> list[str]:
    """Write the file and return the steps of its recipe."""
    if quantize == "q8_0":
        require_room(target.parent, _file_bytes(plan, "Q8_0"), "The text encoder")
        write_gguf(target, plan.add_metadata, plan.tensors, progress)
        return plan.steps if plan.types == {"Q8_0"} else [*plan.steps, "matrices to Q8_0, norms to F32"]
    # The quantiser gets the weights as they are, so that they are rounded once.
    whole = next(iter(plan.types)) if len(plan.types) == 1 and plan.types <= LOSSLESS else "F32"
    room = _file_bytes(plan, whole) + _file_bytes(plan, "Q8_0") * 3 // 4
    require_room(target.parent, room, "The text encoder")
    between = target.with_name("whole.gguf")
    write_gguf(between, plan.add_metadata, plan.tensors, progress, matrices=whole)
    for _ in progress(f"quantising to {quantize}", [None], 1):
        quantize_gguf(between, target, quantize)
    between.unlink()
    return [*plan.steps, f"matrices to {quantize.upper()} by llama.cpp's quantiser, norms to F32"]


def _file_bytes(plan: _Plan, matrices: str) -> int:
    return sum(stored_bytes(tensor, matrices) for tensor in plan.tensors)


def _tokenization(file: GgufFile, source: Path) -> Tokenization:
    tokenizer = tokenizer_from_metadata(file.metadata, str(source))
    if tokenizer.add_bos and tokenizer.bos_id is None:
        raise BadInput(
            f"{source} wants texts to begin with BOS and names no BOS token; correct its tokenizer's config."
        )
    context = file.metadata.get("llama.context_length", MAX_TOKENS)
    return Tokenization(max_tokens=min(MAX_TOKENS, context), add_bos=tokenizer.add_bos, newline_to_space=True)


def _plan_folder(source: Path) -> _Plan:
    sizes = llama_folder.read_sizes(source)
    tensors, types = llama_folder.tensors_of(source, sizes)
    steps = ["safetensors to GGUF: rows of queries and keys reordered"]
    return _Plan(lambda writer: llama_folder.add_metadata(writer, source, sizes), tensors, types, steps, [])


def _plan_gguf(source: Path, requantize: bool) -> _Plan:
    gguf = importable("gguf", "export")
    checked = read_gguf(source)
    # Only shapes count here: whatever the type, it will be dequantised.
    as_floats = {name: dataclasses.replace(tensor, type="F32") for name, tensor in checked.tensors.items()}
    read_sizes(dataclasses.replace(checked, tensors=as_floats))
    tokenizer_from_metadata(checked.metadata, str(source))
    types = {tensor.type for tensor in checked.tensors.values() if len(tensor.shape) == 2}
    lossy = ", ".join(sorted(types - LOSSLESS))
    if lossy and not requantize:
        raise BadInput(
            f"{source} stores matrices as {lossy}, and quantising them again adds its error to theirs; give a file "
            f"in {', '.join(sorted(LOSSLESS))}, or add --requantize."
        )
    tensors = [
        Tensor(name, tensor.shape, functools.partial(_blocks, gguf, checked, tensor))
        for name, tensor in checked.tensors.items()
    ]
    other = ", ".join(sorted(types - {"Q8_0"}))
    steps = [f"matrices of {other} dequantised"] if other else ["Q8_0 matrices copied"]
    notes = [f"{source.name} stores matrices as {lossy}: what was lost there cannot come back"] if lossy else []
    return _Plan(lambda writer: _copy_metadata(gguf, source, writer), tensors, types, steps, notes)


def _blocks(gguf: Any, file: GgufFile, tensor: TensorInfo, written: str) -> Iterator[NDArray[Any]]:
    """The rows of a tensor, some at a time: as float32, or Q8_0 that will be `written` as Q8_0 as it is stored."""
    rows = math.prod(tensor.shape[:-1])
    for raw in read_blocks(file.path, tensor.offset, rows, tensor.bytes // rows):  # uint8 (some rows, bytes of a row)
        try:
            values = gguf.quants.dequantize(_typed(raw, tensor.type), gguf.GGMLQuantizationType[tensor.type])
        except (NotImplementedError, KeyError) as error:
            raise BadInput(
                f"{file.path} stores {tensor.name!r} as {tensor.type}, which cannot be dequantised; "
                "give a file in another type."
            ) from error
        if not np.isfinite(values).all():
            raise BadInput(
                f"{file.path} has values that are not finite in {tensor.name!r}; "
                "the encoder is damaged, fetch it again."
            )
        yield raw if tensor.type == written == "Q8_0" else values


def _typed(raw: NDArray[np.uint8], type_name: str) -> NDArray[Any]:
    """What gguf.quants expects: plain floats as such, blocks as bytes."""
    return raw.view({"F32": np.float32, "F16": np.float16}.get(type_name, np.uint8))


def _copy_metadata(gguf: Any, source: Path, writer: Any) -> None:
    """All metadata with their types, but for what the writer decides itself."""
    own = {"general.architecture", "general.alignment", "general.file_type", "general.quantization_version"}
    try:
        for key, field in gguf.GGUFReader(source).fields.items():
            if not key.startswith("GGUF.") and key not in own:
                kinds = [*field.types, None]
                writer.add_key_value(key, field.contents(), kinds[0], kinds[1])
    except ValueError as error:
        raise BadInput(f"{source} holds metadata that cannot be copied ({error}); fetch the file again.") from error
