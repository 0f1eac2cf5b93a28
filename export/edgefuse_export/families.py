"""Families of image encoders in Hugging Face folders: what loads them, and which output stands for the picture."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse_export.sources import read_config
from edgefuse_export.torch_models import EXTRA, OPSET, load_config, load_model, quiet, reason
from edgefuse_export.weights import check_finite
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Pooling


@dataclass(frozen=True)
class Family:
    """How the models of one type are loaded and read."""

    model: str
    """Class of transformers."""
    output: str = "last_hidden_state"
    pooling: Pooling = "cls"
    normalize: bool = False
    fits_positions: bool = False
    """Whether the model fits its position table to the picture with an operator that ONNX lacks."""
    by_optimum: bool = False
    """Whether optimum traces it; it knows no registers, and drops the pooler of a ViT and the projection of a CLIP."""
    has_pooler: bool = False
    """Whether the model can have a pooler, which is then loaded only where its output is wanted."""


FAMILIES = {
    "dinov2": Family("Dinov2Model", by_optimum=True),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel", fits_positions=True),
    "vit": Family("ViTModel", has_pooler=True),
    "clip": Family("CLIPVisionModelWithProjection", "image_embeds", "none", normalize=True),
    "clip_vision_model": Family("CLIPVisionModelWithProjection", "image_embeds", "none", normalize=True),
}
"""By the model_type that config.json states."""

_POOLED = "pooler_output"


def find_family(folder: Path, *, pooler: bool = False) -> Family:
    """The family of the model in `folder`.

    Args:
        folder: a Hugging Face folder.
        pooler: whether the pooler's output is wanted instead of the first token.

    Raises:
        BadInput: the model is of another type, or it has no pooler and one is wanted.
    """
    name = read_config(folder)["model_type"]
    if name not in FAMILIES:
        raise BadInput(
            f"{folder} holds a model of type {name!r}; the image encoders that can be exported are: "
            f"{', '.join(FAMILIES)}."
        )
    family = FAMILIES[name]
    if not pooler:
        return family
    if not family.has_pooler:
        raise BadInput(f"{folder} holds a model of type {name!r}, which has no pooler; leave --pooler out.")
    return replace(family, output=_POOLED, pooling="none")


def trace(folder: Path, family: Family, side: int, target: Path, progress: Progress = silent) -> None:
    """Write the model in `folder` to `target`: an ONNX graph of one float32 picture (1, 3, side, side).

    Its one output is the family's: hidden states (1, tokens, d) or a vector (1, d).

    Raises:
        BadInput: weights are missing, damaged or not finite, or the model takes pictures of another size.
    """
    check_finite(folder, progress)
    for _ in progress("tracing the image encoder", [None], 1):
        with quiet():
            model = _load(folder, family)
            try:
                if family.by_optimum:
                    _trace_by_optimum(model, target)
                else:
                    _trace_by_torch(model, family, side, target)
            except (RuntimeError, ValueError) as error:
                raise BadInput(
                    f"{folder} does not run on one picture of {side}x{side} pixels ({reason(error)}); "
                    "its preprocessor_config.json must prepare what its config.json states."
                ) from error


def _trace_by_optimum(model: Any, target: Path) -> None:
    optimum = importable("optimum.exporters.onnx", EXTRA)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        optimum.onnx_export_from_model(
            model, Path(folder), task="feature-extraction", do_validation=False, no_post_process=True
        )
        data = Path(folder, "model.onnx_data")
        if data.exists():  # beyond 2 GB; what is traced names it as it is called there
            data.rename(target.with_name(data.name))
        Path(folder, "model.onnx").rename(target)


def _trace_by_torch(model: Any, family: Family, side: int, target: Path) -> None:
    torch = importable("torch", EXTRA)
    if family.fits_positions:
        _fix_positions(model, side)
    torch.onnx.export(
        _with_one_output(model, family.output), (torch.zeros(1, 3, side, side),), str(target),
        input_names=["pixel_values"], output_names=[family.output], opset_version=OPSET, dynamo=False,
    )  # fmt: skip


def _fix_positions(model: Any, side: int) -> None:
    """Replace the antialiased interpolation of the position table by its result for this size."""
    torch, config = importable("torch", EXTRA), model.config
    tokens = 1 + (side // config.patch_size) ** 2
    with torch.no_grad():
        table = model.embeddings.interpolate_pos_encoding(torch.zeros(1, tokens, config.hidden_size), side, side)
    model.embeddings.interpolate_pos_encoding = lambda *_: table  # (1, tokens, d)


def _with_one_output(model: Any, name: str) -> Any:
    """A module that takes pixels and gives that one output of `model`."""

    class OneOutput(importable("torch", EXTRA).nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: Any) -> Any:
            return self.model(pixel_values=pixel_values)[name]

    return OneOutput().eval()


def _load(folder: Path, family: Family) -> Any:
    settings: dict[str, Any] = {"add_pooling_layer": family.output == _POOLED} if family.has_pooler else {}
    return load_model(folder, family.model, load_config(folder, "vision_config"), **settings)
