"""An image encoder as a small ONNX file: one picture of one size, MatMuls in int8 or float32, all else float32."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from edgefuse.progress import Progress, silent
from edgefuse_export import families, graph, model_file, preprocessing
from edgefuse_export.calibration import COUNT, calibration_pictures
from edgefuse_export.int8.convert import make_int8, make_lean
from edgefuse_export.int8.recipe import DEFAULT
from edgefuse_export.parity.source import Reference, ignore
from edgefuse_export.precision import Choice, file_name, precisions
from edgefuse_export.room import work_folder
from edgefuse_export.search import Search, best, table, try_candidates
from edgefuse_export.sources import ONNX_TOOLS, TORCH_TOOLS, Origin, kind_of, origin_of, tool_versions
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import TRUE_COLOUR, Bands, EncoderSpec, Pooling, Preprocess, Views


def export_image_encoder(source: Path, folder: Path, progress: Progress = silent, **options: Any) -> EncoderSpec:
    """`export_image_encoders` for one precision: its only spec."""
    (spec,) = export_image_encoders(source, folder, progress, **options)
    return spec


def export_image_encoders(
    source: Path,
    folder: Path,
    progress: Progress = silent,
    *,
    origin: Origin | None = None,
    preprocess: Preprocess | None = None,
    squash: bool = False,
    views: Views = 1,
    bands: Bands = TRUE_COLOUR,
    pooler: bool = False,
    precision: Choice = "int8",
    calibration: Path | None = None,
    search: Search | None = None,
    reference: Reference = ignore,
) -> list[EncoderSpec]:
    """Write `image.onnx` into `folder`, with "both" `image-fp32.onnx` too, and return their specs, the main one first.

    Args:
        source: a Hugging Face folder (needs the extra "export-torch") or a float32 .onnx file ("export").
        folder: an existing folder.
        progress: shows the steps.
        origin: what to record as the source; found out where it is not given.
        preprocess: how pictures are prepared; where it is not given, preprocessor_config.json says it.
        squash: whether both sides are brought to the crop size instead, which keeps the whole picture.
        views: of how many views of a picture its vector is the mean, see `Preprocess.views`.
        bands: of a picture of many bands, see `Preprocess.bands`.
        pooler: whether a ViT's pooler output is the vector, instead of the first token.
        precision: "int8", "fp32" for the float32 graph, or "both", of which int8 is the main one.
        calibration: a folder of pictures like those that the encoder will meet, which make its rounding closer; drawn
            pictures where none is given.
        search: where it is given, the way of rounding is chosen by measurement on the calibration pictures; else it is
            the one that such a search found for each family.
        reference: given the graph before folding and the main spec, to compare the files with.

    Raises:
        BadInput: the source cannot be used, or an extra is not installed.
    """
    kind = kind_of(source)
    if kind == "gguf":
        raise BadInput(f"{source} is a GGUF file, which holds a text encoder; give an image encoder.")
    if pooler and kind != "folder":
        raise BadInput(f"{source} is a ready graph, whose output is taken as it is; leave --pooler out.")
    family = families.find_family(source, pooler=pooler) if kind == "folder" else None
    notes: list[str] = []
    preprocess = preprocess or _find_preprocess(source, notes)
    preprocess = preprocessing.squashed(preprocess) if squash else preprocess
    preprocess = dataclasses.replace(preprocess, views=views, bands=bands)
    steps: list[str] = []
    specs: list[EncoderSpec] = []
    with work_folder(folder) as work:
        traced, fp32 = source, work / "fp32.onnx"
        if family is not None:
            traced = work / "traced.onnx"
            families.trace(source, family, preprocess.crop, traced, progress)
            steps.append(f"PyTorch model traced to ONNX: {family.model}, {family.output}")
        for _ in progress("folding the image encoder", [None], 1):
            opset = graph.fold(traced, fp32, preprocess.crop)
        steps.append(
            f"fixed to one picture of {preprocess.crop}x{preprocess.crop}, constants folded (onnxruntime, basic)"
        )
        pooling = family.pooling if family else _pooling_of(fp32, source)
        pictures = calibration_pictures(calibration, preprocess, 2 if precision == "fp32" else COUNT)
        lean = work / "lean.onnx"
        steps += make_lean(fp32, lean, pictures[:2], first_token=True)
        origin = origin or origin_of(source)
        common = EncoderSpec(
            modality="image",
            format="onnx",
            file="",
            sha256="",
            bytes=0,
            precision="",
            width=graph.output_shape(lean)[-1],
            pooling=pooling,
            normalize=family is not None and family.normalize,
            preprocess=preprocess,
            source=origin.source,
            licence=origin.licence,
        )
        for each in precisions(precision):
            target = folder / file_name("image", each, precision)
            done = list(steps)
            if each == "int8":
                how = DEFAULT
                if search is not None:
                    tried = try_candidates(lean, work, pictures, preprocess, progress)
                    search.show(table(tried))
                    how = best(tried, search.max_error).recipe
                    done.append(f"rounding chosen: the fastest of {len(tried)} within an error of {search.max_error:g}")
                make_int8(lean, target, pictures, how, progress, preprocess=preprocess)
                kind_of_pictures = "drawn pictures" if calibration is None else "pictures given by the user"
                done += [*how.steps, f"calibrated on {len(pictures)} {kind_of_pictures}"]
            else:
                model_file.move(lean, target)
            recipe: dict[str, Any] = {
                "steps": done,
                "preprocess": "squash" if squash else "source",
                "opset": opset,
                "tools": tool_versions(_tools(family)),
            } | ({"notes": notes} if notes else {})
            specs.append(dataclasses.replace(model_file.described(common, target, each), recipe=recipe))
        reference(traced, specs[0])
    return specs


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


def _tools(family: families.Family | None) -> list[str]:
    if family is None:
        return ONNX_TOOLS
    return [*TORCH_TOOLS, *(["optimum-onnx"] if family.by_optimum else [])]
