"""From an embedding table to a head: alignment, shift, fused head, both baselines, temperatures.

Only training and validation rows are read: the training rows fit, the validation rows choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from edgefuse.embeddings.table import Table, table_digest
from edgefuse.heads import ALONE, Fusion, Head, task_of
from edgefuse.metrics import classification as metrics
from edgefuse.progress import Progress, silent
from edgefuse.training import align, temperature
from edgefuse.training.aligned import Kind, aligned_rows, architecture_of, rows_to_learn, training_rows
from edgefuse.training.runs import Runs
from edgefuse.training.trainer import PAPER, Rows, Settings, Trained, joined, logits_of, train_members
from edgefuse_runtimes.alignment import Alignment
from edgefuse_runtimes.errors import BadInput

SHIFTS = (0.0, 0.5, 1.0)
"""Lambdas that are tried where none is given: leave the gap, halve it, close it."""


def train_head(
    table: Table,
    *,
    fusion: Fusion,
    seed: int = 0,
    seeds: int = 1,
    settings: Settings = PAPER,
    shifts: Sequence[float] | None = None,
    match: align.Method = align.DEFAULT,
    text_components: int | None = None,
    average_image: bool = False,
    threads: int = 1,
    progress: Progress = silent,
) -> Head:
    """Train the fused head and both baselines on a table, each from `seeds` seeds: `seed`, `seed` + 1, ...

    Unequal widths are matched by `match`; of aligned notes `text_components` are kept, see `align.match`. Every lambda
    of `shifts` (None: SHIFTS, but only 0 where widths stay unequal) starts from the same parameters and sees the same
    batches; the one whose heads are best on the validation rows, in the mean over the seeds, is kept, of equals the
    one nearest to 0. The baselines use its alignment. With `average_image` the fused head becomes the one whose logits
    are the mean of its own and the image-only head's, of the same seed: a logarithmic opinion pool of equal weights
    (Genest and Zidek, Statistical Science 1986). Of each head the seed best on validation rows is kept. Any number of
    `threads` gives the same heads; numpy's BLAS should use one.

    Raises:
        BadInput: the table has fewer than two classes, a class without training rows, or no validation rows; or the
            settings do not fit the fusion.
    """
    check_rows(table)
    check_settings(settings, fusion, text_components)
    every = tuple(range(seed, seed + seeds))
    judged = np.flatnonzero(table.splits == "validation")
    text, image = training_rows(table)
    matching = align.match(text, image, match, text_components)
    if shifts is None:
        shifts = SHIFTS if align.may_shift(text, image, matching) else (0.0,)
    rows: dict[str, Rows] = {}

    def align_all(alignment: Alignment) -> None:
        memory = {name: one.joined for name, one in rows.items()}
        rows["train"] = rows_to_learn(table, alignment, memory.get("train"))
        rows["validation"] = aligned_rows(table, alignment, judged, memory.get("validation"))

    def run(kind: Kind, stream: int, alignment: Alignment, label: str) -> Runs:
        shape = architecture_of(table, alignment, kind, settings)
        labels = [label if seeds == 1 else f"{label}, seed {each}" for each in every]
        parts = rows["train"], rows["validation"]

        def one(seed: int, label: str) -> Trained:
            rngs = generators(seed, stream, settings.members)
            return train_members(shape, *parts, settings, rngs, progress, label, threads)

        return Runs(every, tuple(map(one, every, labels)))

    fitted: list[tuple[Runs, Alignment]] = []
    for shift in sorted(shifts, key=abs):
        alignment = align.fit(text, image, matching, shift)
        align_all(alignment)
        fitted.append((run(fusion, 0, alignment, f"{fusion} head, shift {shift:g}"), alignment))
    fused, alignment = max(fitted, key=lambda pair: pair[0].score)
    if alignment is not fitted[-1][1]:
        align_all(alignment)
    runs = {
        "fused": fused,
        "image_only": run("image_only", 1, alignment, "image-only head"),
        "text_only": run("text_only", 2, alignment, "text-only head"),
    }
    if average_image:
        pairs = zip(fused.trained, runs["image_only"].trained, strict=True)
        pooled = (joined(pair, rows["train"], rows["validation"], settings) for pair in pairs)
        runs["fused"] = Runs(every, tuple(pooled))
    kinds: tuple[Kind, ...] = (fusion, "image_only") if average_image else (fusion,)
    kept = {name: found.kept for name, found in runs.items()}
    validation = rows["validation"]
    temperatures = {
        name: temperature.fit(logits_of(one.head, validation), validation.labels) for name, one in kept.items()
    }
    return Head(
        fusion=fusion,
        classes=table.classes,
        task=task_of(len(table.classes), multilabel=table.multilabel),
        alignment=alignment,
        fused=kept["fused"].head,
        image_only=kept["image_only"].head,
        text_only=kept["text_only"].head,
        temperature=temperatures["fused"],
        temperatures_alone={name: temperatures[name] for name in ALONE.values()},
        encoders=table.encoders,
        dataset=table.dataset,
        split_seed=table.split_seed,
        table_sha256=table_digest(table),
        table_path=table.folder,
        training={
            "seed": seed,
            "seeds": seeds,
            "seeds_kept": {name: found.seed for name, found in runs.items()},
            "rows": len(text),
            **({"views": table.view_count} if table.view_count else {}),
            **asdict(settings),
            "hidden": architecture_of(table, alignment, fusion, settings).branches[0].hidden[0],
            "parameters": sum(
                architecture_of(table, alignment, kind, settings).parameter_count * settings.members for kind in kinds
            ),
            "matching": matching.method,
            **({} if text_components is None else {"text_components": alignment.text.width}),
            **({"average_image": True} if average_image else {}),
            "widths": alignment.widths,
            "gap": None if alignment.gap is None else float(np.linalg.norm(alignment.gap)),
            "shift": alignment.shift,
            "shifts_tried": list(shifts),
            "epochs_kept": {name: one.epoch for name, one in kept.items()},
            "epochs_done": {name: one.epochs for name, one in kept.items()},
        },
        validation={
            "rows": len(validation.labels),
            "majority": asdict(metrics.majority(rows["train"].labels, validation.labels)),
            **{name: asdict(kept[name].figures) for name in ("text_only", "image_only", "fused")},
            **({"spread": {name: found.spread() for name, found in runs.items()}} if seeds > 1 else {}),
        },
        seconds_per_epoch={name: one.seconds for name, one in kept.items()},
    )


def check_settings(settings: Settings, fusion: Fusion, text_components: int | None = None) -> None:
    """Accept settings that can be trained with.

    Raises:
        BadInput: an alignment loss for early fusion, which has no branches to pull together, or noise, which is added
            to coordinates, beside components.
    """
    if settings.noise and text_components is not None:
        raise BadInput("Noise is added to the coordinates of vectors, not to components; leave out one of the two.")
    if settings.alignment_loss and fusion != "late":
        raise BadInput(
            "An alignment loss pulls the branches of text and image together, which only late fusion has; "
            "take late fusion alone, or no alignment loss."
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


def generators(seed: int, stream: int, members: int = 1) -> list[np.random.Generator]:
    """What draws start values and batches of each member: stream 0 of the fused head, 1 of the image-only, 2 of the
    text-only one. The first member is the head that a head of one member is."""
    own = [[seed, stream], *([seed, stream, number] for number in range(1, members))]
    return [np.random.default_rng(each) for each in own]
