"""The head folder: alignment, fused head and both baselines, with all that says what they were trained on."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgefuse.answering.referral import Referral, from_json
from edgefuse_runtimes import alignment, fusion
from edgefuse_runtimes.alignment import Alignment
from edgefuse_runtimes.arrays import read_arrays
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_versioned, sha256, write_bytes, write_json
from edgefuse_runtimes.folders import new_folder
from edgefuse_runtimes.fusion import TASKS, Task
from edgefuse_runtimes.fusion import Head as FusionHead
from edgefuse_runtimes.spec import Modality

Floats = NDArray[np.float32]
Fusion = Literal["early", "late"]

SCHEMA = 1
DESCRIPTION, ARRAYS, EVALUATION = "head.json", "head.npz", "evaluation.json"
PARTS = ("fused", "image_only", "text_only")
"""The three heads, by the names they have in `head.npz` and in every table of figures."""
ALONE: dict[Modality, str] = {"image": "image_only", "text": "text_only"}
"""The head that answers when only this modality was given."""


@dataclass(frozen=True)
class Head:
    """A trained head; classes are in the order of its outputs."""

    fusion: Fusion
    classes: tuple[str, ...]
    task: Task
    alignment: Alignment
    fused: FusionHead
    image_only: FusionHead
    text_only: FusionHead
    temperature: float
    """Of the fused head, fitted on validation rows."""
    temperatures_alone: dict[str, float]
    """Of the image-only and the text-only head; empty if an older edgefuse trained them, which gave them none."""
    encoders: dict[str, dict[str, Any]]
    """The identity of both encoders, as the table has it."""
    dataset: dict[str, Any]
    """The table's data set: name, licence, whether it is the drawn example."""
    split_seed: int | None
    table_sha256: str
    """`embeddings.table_digest` of the table it was trained on."""
    table_path: Path | None
    """Where that table was; never part of a kit."""
    training: dict[str, Any]
    """Settings: seed, epochs, batch, optimiser, matching, what was kept."""
    validation: dict[str, Any]
    """"rows", and accuracy and macro-F1 of the majority class and the three heads on the validation rows."""
    referral: Referral | None = None
    """When an answer is referred; None: never."""
    seconds_per_epoch: dict[str, float] = field(default_factory=dict)
    """Of training each of PARTS; {} where it is not known. Never part of a kit: times would make it another one."""

    @property
    def multilabel(self) -> bool:
        """Whether any number of classes may hold."""
        return self.task == "multilabel"

    def answer(self, probabilities: Floats) -> tuple[str, ...]:
        """The class of highest probability (K,); of a multilabel head every class with .5 or more."""
        if self.multilabel:
            return tuple(name for name, chance in zip(self.classes, probabilities, strict=True) if chance >= 0.5)
        return (self.classes[int(probabilities.argmax())],)

    def probabilities(self, text: Floats | None, image: Floats | None) -> Floats:
        """Class probabilities (K,) of the encoders' vectors of one sample (d_t,), (d_i,) or (n, K) of n.

        Where one of the two is missing, the head that was trained on the other alone answers.
        """
        part = answering("text" if text is None else "image" if image is None else None)
        temperature = self.temperature if part == "fused" else self.temperatures_alone.get(part, 1.0)
        return fusion.probabilities(self.logits(part, text, image), temperature, multilabel=self.multilabel)

    def logits(self, part: str, text: Floats | None, image: Floats | None) -> Floats:
        """Logits (C,) or (n, C) of one of PARTS, from what it reads of the vectors (..., d_t) and (..., d_i)."""
        head: FusionHead = getattr(self, part)
        aligned: dict[Modality, Floats] = {}
        if text is not None:
            aligned["text"] = alignment.align_text(self.alignment, text)  # (..., w)
        if image is not None:
            aligned["image"] = alignment.align_image(self.alignment, image)  # (..., w)
        return fusion.logits(head, aligned)

    def description(self) -> dict[str, Any]:
        """Everything but arrays and the table's path, as plain JSON types: what a kit takes over."""
        return {
            "schema": SCHEMA,
            "fusion": self.fusion,
            "classes": list(self.classes),
            "task": self.task,
            "temperature": self.temperature,
            **({"temperatures_alone": self.temperatures_alone} if self.temperatures_alone else {}),
            "encoders": self.encoders,
            "dataset": self.dataset,
            "split_seed": self.split_seed,
            "table_sha256": self.table_sha256,
            "training": self.training,
            "validation": self.validation,
            **({} if self.referral is None else {"referral": self.referral.to_json()}),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The content of `head.npz`."""
        parts = {"alignment": alignment.to_arrays(self.alignment)}
        parts |= {part: fusion.to_arrays(getattr(self, part)) for part in PARTS}
        return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def task_of(classes: int, *, multilabel: bool = False) -> Task:
    """What a head for so many classes does."""
    return "multilabel" if multilabel else "binary" if classes == 2 else "multiclass"


def answering(missing: Modality | None) -> str:
    """The one of PARTS that answers without the modality `missing`."""
    return "fused" if missing is None else ALONE["image" if missing == "text" else "text"]


def write_head(folder: Path, head: Head) -> None:
    """Write the head folder.

    Raises:
        BadInput: `folder` exists already.
    """
    data = io.BytesIO()
    np.savez(data, **head.arrays())  # type: ignore[arg-type]  # its stub lets no name but allow_pickle pass
    table = None if head.table_path is None else str(head.table_path.resolve())
    with new_folder(folder) as part:
        write_bytes(part / ARRAYS, data.getvalue())
        write_json(
            part / DESCRIPTION,
            {
                **head.description(),
                "table_path": table,
                "seconds_per_epoch": head.seconds_per_epoch,
                "arrays_sha256": hashlib.sha256(data.getvalue()).hexdigest(),
            },
        )


def open_head(folder: Path) -> Head:
    """Read a head folder.

    Raises:
        BadInput: there is no head, or it is damaged or of another schema.
    """
    description = read_versioned(folder / DESCRIPTION, SCHEMA, what="no head", verb="train")
    arrays = folder / ARRAYS
    if not arrays.is_file() or sha256(arrays) != description.get("arrays_sha256"):
        raise BadInput(f"{arrays} is missing or not the file that was trained (sha256 differs); train the head again.")
    return read_head(description, arrays)


def read_head(description: Mapping[str, Any], path: Path) -> Head:
    """A head out of its description and its arrays in the file `path`: in a head folder or in a kit.

    Raises:
        BadInput: the two do not fit, or one is damaged or of another schema.
    """
    if description.get("schema") != SCHEMA:
        raise BadInput(
            f"The head of {path.parent} has schema {description.get('schema')}, this edgefuse reads {SCHEMA}; "
            "train the head again."
        )
    arrays = read_arrays(path, "train the head again")
    try:
        classes = tuple(map(str, description["classes"]))
        task = description.get("task", task_of(len(classes)))  # an older edgefuse knew no other
        if task not in TASKS:
            raise ValueError(f"task {task}")
        widths: dict[Modality, int] = {
            "text": int(description["encoders"]["text"]["width"]),
            "image": int(description["encoders"]["image"]["width"]),
        }
        fitted = alignment.from_arrays(_part(arrays, "alignment"), widths)
        heads = {
            part: fusion.from_arrays(_part(arrays, part), fitted.widths, len(classes), multilabel=task == "multilabel")
            for part in PARTS
        }
        temperature, kind = float(description["temperature"]), description["fusion"]
        given = description.get("temperatures_alone")
        alone = {} if given is None else {part: float(given[part]) for part in ALONE.values()}
        if not all(value > 0 for value in (temperature, *alone.values())) or kind not in ("early", "late"):
            raise ValueError(f"temperature {temperature}, alone {alone}, fusion {kind}")
        table, referral = description.get("table_path"), description.get("referral")
        return Head(
            fusion=kind,
            classes=classes,
            task=task,
            alignment=fitted,
            temperature=temperature,
            temperatures_alone=alone,
            encoders=description["encoders"],
            dataset=description["dataset"],
            split_seed=description["split_seed"],
            table_sha256=description["table_sha256"],
            table_path=None if table is None else Path(table),
            training=description["training"],
            validation=description["validation"],
            referral=None if referral is None else from_json(referral),
            seconds_per_epoch=dict(description.get("seconds_per_epoch", {})),
            **heads,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"The description of the head {path} is damaged ({error}); train the head again.") from error


def _part(arrays: fusion.Arrays, part: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(f"{part}."): array for name, array in arrays.items() if name.startswith(f"{part}.")}
