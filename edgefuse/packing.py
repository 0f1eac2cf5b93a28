"""Encoders and a head become one kit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from edgefuse import __version__
from edgefuse.encoders import SPECS, Encoders
from edgefuse.golden import NOTES, PICTURES, golden_vectors
from edgefuse.heads import ARRAYS, open_head
from edgefuse.kit import Kit, write_manifest
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import new_folder


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
        if head.encoders.get(modality) != identity:
            raise BadInput(
                f"The head {head_folder} was trained on vectors of another {modality} encoder than the one in "
                f"{encoders.folder}; run 'edgefuse extract' and 'edgefuse train' with these encoders."
            )
    if evaluation.get("table_sha256") != head.table_sha256:
        raise BadInput(f"The evaluation in {head_folder} is of another head; run 'edgefuse evaluate {head_folder}'.")
    images, texts = golden_vectors(encoders.file)  # (k, d_i), (k, d_t)
    probabilities = head.probabilities(texts, images)  # (k, C)
    with new_folder(output) as folder:
        names = [file.relative_to(encoders.folder) for file in sorted(encoders.folder.rglob("*")) if file.is_file()]
        names = [file for file in names if file.as_posix() != SPECS]
        for file in progress("copying into the kit", names, len(names)):
            (folder / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(encoders.folder / file, folder / file)
        shutil.copyfile(head_folder / ARRAYS, folder / ARRAYS)
        write_manifest(
            folder,
            {
                "name": name,
                "version": version,
                "edgefuse": __version__,
                "classes": list(head.classes),
                "encoders": {"image": encoders.image.to_json(), "text": encoders.text.to_json()},
                "head": head.description(),
                "dataset": head.dataset,
                "evaluation": evaluation,
                "golden": [
                    {"image": picture, "text": note, "probabilities": [round(float(p), 6) for p in row]}
                    for picture, note, row in zip(PICTURES, NOTES, probabilities, strict=True)
                ],
            },
        )
    return Kit.open(output)
