"""Encoders and a head become one kit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from edgefuse import __version__
from edgefuse.heads import ARRAYS, open_head
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import NOTES, PICTURES, golden_vectors
from edgefuse.kits.kit import Kit, write_manifest
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.folders import new_folder

LEFT_OUT = ("subgroups", "cost", "reliability", "curve")
"""Of the evaluation, at any depth: most of its length, and times, which would make each kit another one."""


def pack(
    encoders: Encoders,
    head_folder: Path,
    evaluation: dict[str, Any],
    output: Path,
    *,
    name: str,
    version: str,
    progress: Progress = silent,
) -> Kit:
    """Write the kit folder `output` and open it.

    Raises:
        BadInput: the head was trained on vectors of other encoders, the evaluation is of another head, or
            `output` exists.
    """
    head = open_head(head_folder)
    for modality, identity in encoders.identity.items():
        known = dict(head.encoders.get(modality, {}))
        imported = known.pop("imported", False)
        if known == identity:
            continue
        if imported:
            raise BadInput(
                f"The head {head_folder} was trained on imported {modality} vectors of "
                f"{known.get('name', 'another encoder')!r}, and nothing says that the encoder in {encoders.folder} "
                "gives the same; run 'edgefuse extract' with it, or import the table again with --encoders if it made "
                "them."
            )
        raise BadInput(
            f"The head {head_folder} was trained on vectors of another {modality} encoder than the one in "
            f"{encoders.folder}; run 'edgefuse extract' and 'edgefuse train' with these encoders."
        )
    if evaluation.get("head_sha256") != sha256(head_folder / ARRAYS):
        raise BadInput(f"The evaluation in {head_folder} is of another head; run 'edgefuse evaluate {head_folder}'.")
    images, texts, *_ = (golden_vectors(encoders.file, spec) for spec in encoders.specs)  # (k, d_i), (k, d_t)
    probabilities = head.probabilities(texts, images)  # (k, C)
    described: dict[str, Any] = {"image": encoders.image.to_json(), "text": encoders.text.to_json()}
    if encoders.alternatives:
        described["alternatives"] = [spec.to_json() for spec in encoders.alternatives]
    with new_folder(output) as folder:
        for name_in_kit in progress("copying into the kit", encoders.files, len(encoders.files)):
            (folder / name_in_kit).parent.mkdir(exist_ok=True)
            shutil.copyfile(encoders.file(name_in_kit), folder / name_in_kit)
        shutil.copyfile(head_folder / ARRAYS, folder / ARRAYS)
        write_manifest(
            folder,
            {
                "name": name,
                "version": version,
                "edgefuse": __version__,
                "classes": list(head.classes),
                "encoders": described,
                "head": head.description(),
                "dataset": head.dataset,
                "evaluation": shortened(evaluation),
                "golden": [
                    {"image": picture, "text": note, "probabilities": [round(float(p), 6) for p in row]}
                    for picture, note, row in zip(PICTURES, NOTES, probabilities, strict=True)
                ],
            },
        )
    return Kit.open(output)


def shortened(evaluation: dict[str, Any]) -> dict[str, Any]:
    """What a kit takes over of an evaluation: no answer needs the rest, and each one reads the whole manifest."""
    return {
        name: shortened(part) if isinstance(part, dict) else part
        for name, part in evaluation.items()
        if name not in LEFT_OUT
    }
