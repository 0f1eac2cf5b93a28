"""A text encoder of the LLaMA architecture as one GGUF file, Q8_0, from a Hugging Face folder or a GGUF.

The output head (`output.weight`), which an encoder does not need, is carried along where the source has one
of its own: it is 2 % of LLaMA-2-7B, and the file stays the language model that every GGUF tool knows.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.progress import Progress, silent
from edgefuse_export import llama_folder
from edgefuse_export.gguf_file import Tensor, write_q8_0
from edgefuse_export.parity.source import Reference, ignore
from edgefuse_export.sources import Origin, importable, kind_of, origin_of, tool_versions
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.gguf.reader import GgufFile, read_gguf
from edgefuse_runtimes.gguf.weights import read_sizes
from edgefuse_runtimes.spec import EncoderSpec, Tokenization
from edgefuse_runtimes.tokenizers import tokenizer_from_metadata

FILE = "text.gguf"
MAX_TOKENS = 512
"""The context that the method's authors gave to LLaMA-2."""


def export_text_encoder(
    source: Path,
    folder: Path,
    progress: Progress = silent,
    *,
    origin: Origin | None = None,
    reference: Reference = ignore,
) -> EncoderSpec:
    """Write `text.gguf` into `folder` and return its spec.

    A note's vector is the hidden state of its last token after the final norm.

    Args:
        source: a `LlamaForCausalLM` folder with safetensors, or a GGUF file of architecture "llama".
        folder: an existing folder.
        progress: shows the steps.
        origin: what to record as the source; found out where it is not given.
        reference: given the source, to compare the file with.

    Raises:
        BadInput: the source cannot be used, or the extra "export" is not installed.
    """
    kind = kind_of(source)
    if kind == "onnx":
        raise BadInput(f"{source} is an ONNX file, which holds an image encoder; give a text encoder.")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".work.") as work:
        part = Path(work, FILE)
        steps = (_from_gguf if kind == "gguf" else _from_folder)(source, part, progress)
        written = read_gguf(part)
        width = read_sizes(written).width
        tokenization = _tokenization(written, source)
        part.replace(folder / FILE)
    origin = origin or origin_of(source, str(written.metadata.get("general.license", "unknown")))
    spec = EncoderSpec(
        modality="text",
        format="gguf",
        file=FILE,
        sha256=sha256(folder / FILE),
        bytes=(folder / FILE).stat().st_size,
        precision="q8_0",
        width=width,
        pooling="last",
        normalize=False,
        tokenization=tokenization,
        source=origin.source,
        licence=origin.licence,
        recipe={"steps": steps, "tools": tool_versions(["gguf"])},
    )
    reference(source, spec)
    return spec


def _tokenization(file: GgufFile, source: Path) -> Tokenization:
    tokenizer = tokenizer_from_metadata(file.metadata, str(source))
    if tokenizer.add_bos and tokenizer.bos_id is None:
        raise BadInput(
            f"{source} wants texts to begin with BOS and names no BOS token; correct its tokenizer's config."
        )
    context = file.metadata.get("llama.context_length", MAX_TOKENS)
    return Tokenization(max_tokens=min(MAX_TOKENS, context), add_bos=tokenizer.add_bos, newline_to_space=True)


def _from_folder(source: Path, target: Path, progress: Progress) -> list[str]:
    sizes = llama_folder.read_sizes(source)
    tensors = llama_folder.tensors_of(source, sizes)
    write_q8_0(target, lambda writer: llama_folder.add_metadata(writer, source, sizes), tensors, progress)
    return ["safetensors to GGUF: rows of queries and keys reordered", "matrices to Q8_0, norms to F32"]


def _from_gguf(source: Path, target: Path, progress: Progress) -> list[str]:
    gguf = importable("gguf", "export")
    checked = read_gguf(source)
    # Only shapes count here: whatever the type, it will be dequantised.
    as_floats = {name: dataclasses.replace(tensor, type="F32") for name, tensor in checked.tensors.items()}
    read_sizes(dataclasses.replace(checked, tensors=as_floats))
    tokenizer_from_metadata(checked.metadata, str(source))
    tensors = [Tensor(name, tensor.shape, _reader(gguf, checked, name)) for name, tensor in checked.tensors.items()]
    write_q8_0(target, lambda writer: _copy_metadata(gguf, source, writer), tensors, progress)
    types = sorted({tensor.type for tensor in checked.tensors.values() if len(tensor.shape) == 2} - {"Q8_0"})
    return [f"matrices of {', '.join(types)} dequantised and stored as Q8_0"] if types else ["Q8_0 matrices copied"]


def _reader(gguf: Any, file: GgufFile, name: str) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        tensor, raw = file.tensors[name], file.raw(name)  # raw: uint8 (rows, bytes of a row)
        try:
            values = gguf.quants.dequantize(_typed(raw, tensor.type), gguf.GGMLQuantizationType[tensor.type])
        except (NotImplementedError, KeyError) as error:
            raise BadInput(
                f"{file.path} stores {name!r} as {tensor.type}, which cannot be dequantised; "
                "give a file in another type."
            ) from error
        if not np.isfinite(values).all():
            raise BadInput(
                f"{file.path} has values that are not finite in {name!r}; the encoder is damaged, fetch it again."
            )
        return raw if tensor.type == "Q8_0" else values.reshape(tensor.shape)

    return read


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
