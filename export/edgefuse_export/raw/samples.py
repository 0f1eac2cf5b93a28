"""The pictures and notes behind the rows of an embedding table."""

from __future__ import annotations

from typing import Any

from edgefuse.datasets import Dataset, Sample
from edgefuse.embeddings.table import Row, Table, read_description
from edgefuse.extraction.running import inputs_digest
from edgefuse.labels import to_text
from edgefuse_runtimes.errors import BadInput


def samples_of(table: Table, dataset: Dataset) -> list[Sample]:
    """The samples of the table's rows, in their order.

    Raises:
        BadInput: the data set lacks a row, or is not read as it was when the table was extracted.
    """
    known = {sample.id: sample for sample in dataset.samples}
    missing = [name for name in table.ids.tolist() if name not in known]
    if missing:
        raise BadInput(
            f"{dataset.name} lacks {len(missing)} of the rows of {table.folder}, such as {missing[0]!r}; "
            "name the data set that the table was extracted from."
        )
    samples = [known[name] for name in table.ids.tolist()]
    recorded: Any = read_description(table.folder).get("inputs_sha256")
    if recorded is not None and recorded != inputs_digest(samples, _rows(table)):
        raise BadInput(
            f"The notes or pictures of {dataset.name} are not those that {table.folder} was extracted from; give "
            "--dataset, --template and the column options as they were then."
        )
    return samples


def _rows(table: Table) -> list[Row]:
    subgroups = zip(*(values.tolist() for values in table.subgroups.values()), strict=True)
    each = subgroups if table.subgroups else [()] * len(table.ids)
    labels = to_text(table.labels, table.classes)
    columns = (table.ids.tolist(), labels, table.groups.tolist(), table.splits.tolist(), each)
    return [Row(*cells) for cells in zip(*columns, strict=True)]
