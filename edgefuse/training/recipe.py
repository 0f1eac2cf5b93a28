"""From an embedding table to a head: alignment, shift, fused head, both baselines, temperatures.

Only training and validation rows are read: the training rows fit, the validation rows choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from edgefuse.embeddings import Table, table_digest
from edgefuse.heads import ALONE, Fusion, Head, task_of
from edgefuse.metrics import classification as metrics
from edgefuse.progress import Progress, silent
from edgefuse.training import align, network, temperature
from edgefuse.training.trainer import PAPER, Rows, Settings, Trained, logits_of, train
from edgefuse_runtimes.alignment import Alignment, apply
from edgefuse_runtimes.errors import BadInput

SHIFTS = (0.0, 0.5, 1.0)
"""Lambdas that are tried where none is given: leave the gap, halve it, close it."""


def train_head(
    table: Table,
    *,
    fusion: Fusion,
    seed: int = 0,
    settings: Settings = PAPER,
    shifts: Sequence[float] | None = None,
    match: align.Method = align.DEFAULT,
    threads: int = 1,
    progress: Progress = silent,
) -> Head:
    """Train the fused head and both baselines on a table.

    Unequal widths are matched by `match`. Every lambda of `shifts` (None: SHIFTS, but only 0 where widths stay
    unequal) starts from the same parameters and sees the same batches; the one whose head is best on the validation
    rows is kept, of equals the one nearest to 0. The baselines use its alignment. Any number of `threads` gives the
    same head; numpy's BLAS should use one.

    Raises:
        BadInput: the table has fewer than two classes, a class without training rows, or no validation rows.
    """
    check_rows(table)
    part = {name: np.flatnonzero(table.splits == name) for name in ("train", "validation")}
    text, image = table.text[part["train"]], table.image[part["train"]]  # (n, d_t), (n, d_i)
    matching = align.match(text, image, match)
    if shifts is None:
        shifts = SHIFTS if align.may_shift(text, image, matching) else (0.0,)
    fitted: list[tuple[Trained, Alignment]] = []
    for shift in sorted(shifts, key=abs):
        alignment = align.fit(text, image, matching, shift)
        rows = {name: aligned_rows(table, alignment, chosen) for name, chosen in part.items()}
        label = f"{fusion} head, shift {shift:g}"
        shape = architecture_of(table, alignment, fusion)
        done = train(shape, rows["train"], rows["validation"], settings, generator(seed, 0), progress, label, threads)
        fitted.append((done, alignment))
    fused, alignment = max(fitted, key=lambda pair: (pair[0].figures.macro_f1, -pair[0].loss))
    rows = {name: aligned_rows(table, alignment, chosen) for name, chosen in part.items()}
    validation = rows["validation"]
    outputs = _outputs(table)
    image_shape = network.image_only(alignment.widths["text"], alignment.widths["image"], outputs)
    image_only = train(
        image_shape, rows["train"], validation, settings, generator(seed, 1), progress, "image-only head", threads
    )
    text_shape = network.text_only(alignment.widths["text"], outputs)
    text_only = train(
        text_shape, rows["train"], validation, settings, generator(seed, 2), progress, "text-only head", threads
    )
    temperatures = {
        part: temperature.fit(logits_of(done.head, validation), validation.labels)
        for part, done in (("fused", fused), ("image_only", image_only), ("text_only", text_only))
    }
    return Head(
        fusion=fusion,
        classes=table.classes,
        task=task_of(len(table.classes), multilabel=table.multilabel),
        alignment=alignment,
        fused=fused.head,
        image_only=image_only.head,
        text_only=text_only.head,
        temperature=temperatures["fused"],
        temperatures_alone={part: temperatures[part] for part in ALONE.values()},
        encoders=table.encoders,
        dataset=table.dataset,
        split_seed=table.split_seed,
        table_sha256=table_digest(table),
        table_path=table.folder,
        training={
            "seed": seed,
            "rows": len(part["train"]),
            **asdict(settings),
            "parameters": architecture_of(table, alignment, fusion).parameter_count,
            "matching": matching.method,
            "widths": alignment.widths,
            "gap": None if alignment.gap is None else float(np.linalg.norm(alignment.gap)),
            "shift": alignment.shift,
            "shifts_tried": list(shifts),
            "epochs_kept": {
                "fused": fused.epoch,
                "image_only": image_only.epoch,
                "text_only": text_only.epoch,
            },
        },
        validation={
            "rows": len(validation.labels),
            "majority": asdict(metrics.majority(rows["train"].labels, validation.labels)),
            "text_only": asdict(text_only.figures),
            "image_only": asdict(image_only.figures),
            "fused": asdict(fused.figures),
        },
        seconds_per_epoch={
            "fused": fused.seconds,
            "image_only": image_only.seconds,
            "text_only": text_only.seconds,
        },
    )


def check_rows(table: Table) -> None:
    """Accept a table that a head can be trained on.

    Raises:
        BadInput: fewer than two classes, a class without training rows, a multilabel class that all training rows
            have, or no validation rows.
    """
    if len(table.classes) < 2 and not table.multilabel:
        raise BadInput(f"{table.folder} has one class only ({', '.join(table.classes)}); a head needs two or more.")
    shares = metrics.frequencies(table.labels[table.splits == "train"], len(table.classes))  # (K,)
    everywhere = [name for name, share in zip(table.classes, shares, strict=True) if share == 1]
    if table.multilabel and everywhere:
        raise BadInput(
            f"{table.folder} has no training rows without the class {', '.join(everywhere)}; "
            "add samples without it or leave the class out."
        )
    missing = [name for name, share in zip(table.classes, shares, strict=True) if share == 0]
    if missing:
        raise BadInput(
            f"{table.folder} has no training rows of the class {', '.join(missing)}; "
            "add samples of it or leave the class out."
        )
    if not np.any(table.splits == "validation"):
        raise BadInput(f"{table.folder} has no validation rows, which choose the epoch; extract it with more samples.")


def aligned_rows(table: Table, alignment: Alignment, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Rows:
    """What a head reads of the chosen rows, (n, w_t + w_i)."""
    text, image = apply(alignment, table.text[chosen], table.image[chosen])  # each (n, w)
    return Rows(np.concatenate([text, image], axis=1), alignment.widths["text"], table.labels[chosen])


def _outputs(table: Table) -> int:
    """Logits: one for two classes of which one holds, else one per class."""
    return 1 if len(table.classes) == 2 and not table.multilabel else len(table.classes)


def architecture_of(table: Table, alignment: Alignment, fusion: Fusion) -> network.Architecture:
    """The fused head for a table's aligned rows and classes."""
    build = network.early if fusion == "early" else network.late
    return build(alignment.widths["text"], alignment.widths["image"], _outputs(table))


def generator(seed: int, stream: int) -> np.random.Generator:
    """What draws start values and batches: stream 0 of the fused head, 1 of the image-only, 2 of the text-only."""
    return np.random.default_rng([seed, stream])
