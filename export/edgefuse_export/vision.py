"""An image encoder as one small ONNX file: one picture of one size, MatMuls in int8 or float32, all else float32."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from edgefuse.progress import Progress, silent
from edgefuse_export import graph, parity, preprocessing
from edgefuse_export.sources import Origin, importable, kind_of, origin_of, read_config, tool_versions
from edgefuse_export.weights import check_finite
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.spec import EncoderSpec, Pooling, Preprocess

FILE = "image.onnx"
Precision = Literal["int8", "fp32"]
FAMILIES: dict[str, Pooling] = {"dinov2": "cls"}
"""Model types that can be exported from a Hugging Face folder, and what stands for the picture."""

_UNUSED_WEIGHTS = {"embeddings.mask_token"}
"""Weights of training alone: a checkpoint may lack them."""


def export_image_encoder(
    source: Path,
    folder: Path,
    progress: Progress = silent,
    *,
    origin: Origin | None = None,
    preprocess: Preprocess | None = None,
    squash: bool = False,
    precision: Precision = "int8",
) -> EncoderSpec:
    """Write `image.onnx` into `folder` and return its spec.

    Args:
        source: a Hugging Face folder (needs the extra "export-torch") or a float32 .onnx file ("export").
        folder: an existing folder.
        progress: shows the steps.
        origin: what to record as the source; found out where it is not given.
        preprocess: how pictures are prepared; where it is not given, preprocessor_config.json says it.
        squash: whether both sides are brought to the crop size instead, which keeps the whole picture.
        precision: of the weights of MatMul; with "fp32" the folded graph is the file.

    Raises:
        BadInput: the source cannot be used, or an extra is not installed.
    """
    kind = kind_of(source)
    if kind == "gguf":
        raise BadInput(f"{source} is a GGUF file, which holds a text encoder; give an image encoder.")
    notes: list[str] = []
    preprocess = preprocess or _find_preprocess(source, notes)
    preprocess = preprocessing.squashed(preprocess) if squash else preprocess
    steps = []
    target = folder / FILE
    with tempfile.TemporaryDirectory(dir=folder, prefix=".work.") as work:
        traced, fp32, pooling = source, Path(work, "fp32.onnx"), None
        if kind == "folder":
            traced = _trace(source, Path(work), progress)
            pooling = FAMILIES[read_config(source)["model_type"]]
            steps.append("PyTorch model traced to ONNX by optimum")
        for _ in progress("folding the image encoder", [None], 1):
            opset = graph.fold(traced, fp32, preprocess.crop)
        steps.append(
            f"fixed to one picture of {preprocess.crop}x{preprocess.crop}, constants folded (onnxruntime, basic)"
        )
        pooling = pooling or _pooling_of(fp32, source)
        if precision == "int8":
            for _ in progress("quantising to int8", [None], 1):
                graph.quantise(fp32, target)
            steps.append(
                "weights of MatMul to int8, symmetric per channel; activations to uint8 when run; all else float32"
            )
            reference, measured_from = fp32, "its fp32 form"
        else:
            fp32.rename(target)
            reference, measured_from = traced, "the graph before folding"
        measured = parity.on_drawn_pictures(reference, target, preprocess, pooling, normalize=False, progress=progress)
    recipe: dict[str, Any] = {
        "steps": steps,
        "preprocess": "squash" if squash else "source",
        "opset": opset,
        "tools": tool_versions(_tools(kind)),
        "parity": {"measure": f"1 - cosine between the {precision} file and {measured_from}, onnxruntime"} | measured,
    }
    origin = origin or origin_of(source)
    return EncoderSpec(
        modality="image",
        format="onnx",
        file=FILE,
        sha256=sha256(target),
        bytes=target.stat().st_size,
        precision=precision,
        width=graph.output_shape(target)[-1],
        pooling=pooling,
        normalize=False,
        preprocess=preprocess,
        source=origin.source,
        licence=origin.licence,
        recipe=recipe | ({"notes": notes} if notes else {}),
    )


def _find_preprocess(source: Path, notes: list[str]) -> Preprocess:
    if source.is_dir():
        return preprocessing.read_preprocess(source / preprocessing.FILE)
    beside = source.with_name(preprocessing.FILE)
    if beside.is_file():
        return preprocessing.read_preprocess(beside)
    notes.append(f"no {preprocessing.FILE} lies beside {source.name}, so DINOv2's own preprocessing was assumed")
    return preprocessing.DINOV2


def _pooling_of(file: Path, source: Path) -> Pooling:
    match graph.output_shape(file):
        case (1, _, _):
            return "cls"
        case (1, _):
            return "none"
        case shape:
            raise BadInput(
                f"{source} gives an output of shape {' x '.join(map(str, shape))}, and hidden states "
                "(1, tokens, width) or one vector (1, width) were expected; give an image encoder."
            )


def _trace(folder: Path, work: Path, progress: Progress) -> Path:
    """The fp32 ONNX file that optimum makes of a Hugging Face folder."""
    family = read_config(folder)["model_type"]
    if family not in FAMILIES:
        raise BadInput(
            f"{folder} holds a model of type {family!r}; the image encoders that can be exported are: "
            f"{', '.join(FAMILIES)}."
        )
    check_finite(folder, progress)
    for _ in progress("tracing the image encoder", [None], 1):
        optimum = importable("optimum.exporters.onnx", "export-torch")
        with _quiet():
            optimum.onnx_export_from_model(
                _load(folder), work, task="feature-extraction", do_validation=False, no_post_process=True
            )
    return work / "model.onnx"


def _load(folder: Path) -> Any:
    """The PyTorch model in `folder`; every weight that a picture needs comes from the folder."""
    torch, transformers = importable("torch", "export-torch"), importable("transformers", "export-torch")
    try:
        model, info = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise BadInput(
            f"{folder} cannot be loaded by transformers ({reason}); its config and weights must agree."
        ) from error
    missing = sorted(set(info["missing_keys"]) - _UNUSED_WEIGHTS)
    if missing:
        raise BadInput(
            f"{folder} lacks {len(missing)} weights of its model, such as {missing[0]!r}; "
            "its config and weights must agree."
        )
    return model.eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Tracing prints many lines that say nothing to a user; errors still come out as exceptions."""
    verbosity = importable("transformers.utils.logging", "export-torch")
    before = verbosity.get_verbosity()
    verbosity.set_verbosity_error()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        verbosity.set_verbosity(before)


def _tools(kind: str) -> list[str]:
    return ["onnx", "onnxruntime"] + (["torch", "transformers", "optimum-onnx"] if kind == "folder" else [])
