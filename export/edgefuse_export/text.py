"""A text encoder as the file that fits its family: GGUF for LLaMA, ONNX for BERT and CLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefuse.progress import Progress, silent
from edgefuse_export import llama, text_onnx
from edgefuse_export.parity.source import Reference, ignore
from edgefuse_export.precision import Choice
from edgefuse_export.sources import kind_of, read_config
from edgefuse_export.text_families import TEXT_FAMILIES
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import EncoderSpec, Pooling

LLAMA_POOLINGS: tuple[Pooling, ...] = ("last", "mean")


def becomes_gguf(source: Path) -> bool:
    """Whether a text encoder becomes a GGUF file; else an ONNX file.

    Raises:
        BadInput: the source is none.
    """
    return kind_of(source) != "folder" or read_config(source)["model_type"] not in TEXT_FAMILIES


def require_text_source(source: Path, *, pooling: Pooling | None, quantize: llama.Precision, requantize: bool) -> None:
    """Refuse what `export_text_encoders` cannot use, by all that can be told before weights are read.

    Raises:
        BadInput: the source is no text encoder of a known family, or an option is none of that family.
    """
    kind = kind_of(source)
    if kind == "onnx":
        raise BadInput(f"{source} is an ONNX file, which holds an image encoder; give a text encoder.")
    model_type = read_config(source)["model_type"] if kind == "folder" else "llama"
    if model_type in TEXT_FAMILIES:
        if quantize != "q8_0" or requantize:
            raise BadInput(
                f"{source} holds a model of type {model_type!r}, which becomes an ONNX file; "
                "leave --quantize and --requantize out, they are for LLaMA."
            )
    elif model_type != "llama":
        raise BadInput(
            f"{source} holds a model of type {model_type!r}; the text encoders that can be exported are: "
            f"llama, {', '.join(TEXT_FAMILIES)}."
        )
    elif pooling not in (None, *LLAMA_POOLINGS):
        raise BadInput(f"{source} is of the LLaMA family, which is pooled by last or mean; choose --pooling.")


def export_text_encoder(source: Path, folder: Path, progress: Progress = silent, **options: Any) -> EncoderSpec:
    """`export_text_encoders` for one precision: its only spec."""
    (spec,) = export_text_encoders(source, folder, progress, **options)
    return spec


def export_text_encoders(
    source: Path,
    folder: Path,
    progress: Progress = silent,
    *,
    precision: Choice = "int8",
    pooling: Pooling | None = None,
    quantize: llama.Precision = "q8_0",
    requantize: bool = False,
    reference: Reference = ignore,
) -> list[EncoderSpec]:
    """Write the text encoder into `folder`, and return the specs of its files, the main one first.

    Args:
        source: a Hugging Face folder of LLaMA, BERT or CLIP, or a GGUF file.
        folder: an existing folder.
        progress: shows the steps.
        precision: of an ONNX file's weights; with "both" there are two files, of which int8 is the main one.
        pooling: which hidden state stands for the note; where it is not given, as is usual for the family.
        quantize: how a GGUF file stores its matrices.
        requantize: whether a GGUF file may be used whose weights have lost more than Q8_0 loses.
        reference: given the source and the main spec, to compare the files with.

    Raises:
        BadInput: the source or the pooling cannot be used, or an extra is not installed.
    """
    require_text_source(source, pooling=pooling, quantize=quantize, requantize=requantize)
    if not becomes_gguf(source):
        return text_onnx.export_onnx_text_encoders(
            source, folder, progress, precision=precision, pooling=pooling, reference=reference
        )
    spec = llama.export_text_encoder(
        source,
        folder,
        progress,
        requantize=requantize,
        quantize=quantize,
        pooling=pooling or "last",
        reference=reference,
    )
    return [spec]
