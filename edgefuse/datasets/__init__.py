"""Data sets: one module each, that turns a folder as published into samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgefuse.datasets import brset, coco, cocoqa, drawn, fakeddit, ham10000, recipes5k, satellitebench, table
from edgefuse.datasets.adapter import Adapter
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template, check, template_of
from edgefuse.labels import names_of
from edgefuse.splits.grouped import lot
from edgefuse_runtimes.errors import BadInput

__all__ = ["ADAPTERS", "Adapter", "Dataset", "Sample", "open_dataset"]


@dataclass(frozen=True)
class Dataset:
    """Checked samples: at least one, ids unique, labels not empty (unless multilabel), every picture's file there."""

    name: str
    licence: str
    samples: tuple[Sample, ...]
    drawn: bool = False
    """Whether it is the drawn example."""
    left_out: tuple[str, ...] = ()
    """Ids of samples without a usable picture, left out because the user said so."""
    multilabel: bool = False
    """Whether a label joins any number of classes, see `edgefuse.labels`."""
    leaks: tuple[str, ...] = ()
    """Fields in the notes that tell the label, since the user insisted."""
    splits: tuple[str, ...] = ("grouped", "paper")
    """As `Adapter.splits`."""
    paper_validation: float = 0.2
    """As `Adapter.paper_validation`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({name for s in self.samples for name in names_of(s.label, multilabel=self.multilabel)}))


ADAPTERS = {
    "ham10000": ham10000.ADAPTER,
    "brset": brset.ADAPTER,
    "satellitebench": satellitebench.ADAPTER,
    "cocoqa": cocoqa.ADAPTER,
    "fakeddit": fakeddit.ADAPTER,
    "recipes5k": recipes5k.ADAPTER,
    "coco": coco.ADAPTER,
    "table": table.ADAPTER,
    "drawn": drawn.ADAPTER,
}


def open_dataset(
    name: str,
    root: Path | None = None,
    *,
    limit: int | None = None,
    skip_missing: bool = False,
    labelled: bool = True,
    multilabel: bool = False,
    template: Template | None = None,
    allow_leaks: Sequence[str] = (),
    columns: table.Columns | None = None,
) -> Dataset:
    """The data set `name` of `ADAPTERS` in the folder `root`, or the CSV file `name` with its pictures there.

    Without `root`, a CSV file's pictures are looked for beside it. With `labelled` false, a CSV file's labels may be
    missing. With `limit`, whole groups are drawn by lot until there are so many samples; the same ones on every
    machine. With `multilabel` a label joins the classes that hold by "|", and may be empty. Notes follow `template`,
    or else the data set's own; one with a field that tells the label is refused unless `allow_leaks` names it.

    Raises:
        BadInput: no such data set or file, a malformed table, a refused template, duplicate ids, empty labels, or
            samples without their picture's file (with `skip_missing` they are left out instead).
    """
    adapter, root = _adapter(name, root, columns, labelled)
    template = template or template_of(adapter.template)
    leaks = check(template, adapter.fields, adapter.leaks, allow_leaks, name)
    samples = adapter.read(root, template)
    if limit is not None:
        samples = _some(samples, limit)
    _check(name, samples, labelled and not multilabel)
    missing = [sample for sample in samples if not sample.image.is_file()]
    if missing and not skip_missing:
        raise BadInput(missing_sentence("have no picture file", [f"{s.id} ({s.image})" for s in missing]))
    dataset = Dataset(
        name=Path(name).stem,
        licence=adapter.licence,
        samples=tuple(samples),
        drawn=adapter.drawn,
        multilabel=multilabel,
        leaks=leaks,
        splits=adapter.splits,
        paper_validation=adapter.paper_validation,
    )
    return leave_out(dataset, [sample.id for sample in missing])


def leave_out(dataset: Dataset, ids: Sequence[str]) -> Dataset:
    """The data set without the samples `ids`.

    Raises:
        BadInput: no sample would remain.
    """
    dropped = set(ids)
    kept = tuple(sample for sample in dataset.samples if sample.id not in dropped)
    if not kept:
        raise BadInput(f"Not one sample of {dataset.name} has a usable picture; check --root.")
    return replace(dataset, samples=kept, left_out=(*dataset.left_out, *ids))


def missing_sentence(what: str, names: Sequence[str]) -> str:
    """One sentence for samples that have no usable picture; it names the first few."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"{len(names)} of the samples {what}: {', '.join(names[:3])}{more}; "
        "repair them, or leave them out with --skip-missing."
    )


def _adapter(name: str, root: Path | None, columns: table.Columns | None, labelled: bool) -> tuple[Adapter, Path]:
    """How the data set is read, and its folder."""
    is_file = name.lower().endswith(".csv")
    if not is_file and name not in ADAPTERS:
        known = ", ".join(sorted(ADAPTERS))
        raise BadInput(f"There is no data set called {name!r}; name one of {known}, or a table ending in .csv.")
    if not is_file and root is None:
        raise BadInput(f"The data set {name} needs its folder; name it with --root.")
    if is_file or root is None or name == "table":
        path = Path(name) if is_file or root is None else root / "table.csv"
        return table.adapter_of(path, columns or table.Columns(), labelled=labelled), root or path.parent
    if columns:
        raise BadInput(f"The columns of {name} are known; only those of a CSV file can be named.")
    return ADAPTERS[name], root


def _some(samples: list[Sample], limit: int) -> list[Sample]:
    """At least `limit` samples, if there are so many, in their order: groups drawn by lot, each with all it has."""
    sizes = Counter(sample.group for sample in samples)
    drawn, count = set(), 0
    for group in sorted(sizes, key=lambda name: lot(0, name)):
        if count >= limit:
            break
        drawn.add(group)
        count += sizes[group]
    return [sample for sample in samples if sample.group in drawn]


def _check(name: str, samples: Sequence[Sample], labelled: bool) -> None:
    if not samples:
        raise BadInput(f"{name} holds no samples; give a table with at least one row.")
    twice = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
    if twice:
        raise BadInput(f"{name} has the id {twice[0]!r} more than once; give every row an id of its own.")
    unlabelled = [sample.id for sample in samples if not sample.label]
    if unlabelled and labelled:
        raise BadInput(
            f"{len(unlabelled)} rows of {name} have an empty label, the first is {unlabelled[0]!r}; "
            "fill or remove them."
        )
