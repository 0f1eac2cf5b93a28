"""Fakeddit: pictures and titles of Reddit posts, true or fake. For comparing gaps."""

from __future__ import annotations

from pathlib import Path

from edgefuse.datasets.adapter import Adapter
from edgefuse.datasets.csv_file import Row, read_rows
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template
from edgefuse.datasets.values import picture_in
from edgefuse_runtimes.errors import BadInput

MISSING = "not recorded"
TABLES = (
    ("multimodal_train.tsv", "multimodal_validate.tsv", "multimodal_test_public.tsv"),
    ("train.tsv", "val.tsv", "test.tsv"),
)
"""The three tables as they are published, and as some call them."""
FOLDERS = ("public_image_set", "images")
LABELS = {"1": "true", "0": "fake"}


def read(root: Path, template: Template) -> list[Sample]:
    """The samples of a folder with those of the three `TABLES` that are there, and the pictures in `FOLDERS`.

    Raises:
        BadInput: there is no table, one is no UTF-8 table, lacks a column, or a label is none.
    """
    tables = [root / name for names in TABLES for name in names if (root / name).is_file()]
    if not tables:
        raise BadInput(f"{root} has none of the tables {', '.join(TABLES[0])}; check --root.")
    folders = [root / name for name in FOLDERS]
    needed = ("id", "2_way_label", *template.fields)
    return [
        _sample(table, row, folders, template)
        for table in tables
        for row in read_rows(table, required=needed)
        if row.get("hasImage", "True") == "True"
    ]


def _sample(table: Path, row: Row, folders: list[Path], template: Template) -> Sample:
    if row["2_way_label"] not in LABELS:
        raise BadInput(f"The post {row['id']} of {table} has the label {row['2_way_label']!r}, not 0 or 1; correct it.")
    return Sample(
        id=row["id"],
        image=picture_in(folders, f"{row['id']}.jpg"),
        text=template.fill({name: row[name] or MISSING for name in template.fields}),
        label=LABELS[row["2_way_label"]],
        group=row.get("linked_submission_id", "") or row["id"],
    )


_SOURCE = "posts were labelled by where they came from"

ADAPTER = Adapter(
    title="pictures and titles of Reddit posts, true or fake, for comparing gaps",
    layout=(
        "multimodal_train.tsv, multimodal_validate.tsv, multimodal_test_public.tsv     or some of them",
        "public_image_set/*.jpg     one <id>.jpg a post; or images/",
    ),
    fields={
        "clean_title": "the post's title, in small letters without punctuation",
        "title": "the title as it was written",
    },
    leaks={
        "2_way_label": "it is the label",
        "3_way_label": "it is the label in more classes",
        "6_way_label": "it is the label in more classes",
        "subreddit": _SOURCE,
        "domain": _SOURCE,
    },
    template="{clean_title}",
    missing=MISSING,
    label="2_way_label: true (1) or fake (0). No task of the method",
    group="linked_submission_id where there is one, else the post alone",
    licence="not stated; titles and pictures are their posters'",
    citation="K. Nakamura, S. Levy, W. Y. Wang: r/Fakeddit: A New Multimodal Benchmark Dataset for Fine-grained Fake "
    "News Detection. LREC 2020, arXiv:1911.03854",
    comparison=True,
    read=read,
)
