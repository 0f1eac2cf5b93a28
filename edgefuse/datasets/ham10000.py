"""HAM10000: dermoscopy photographs of pigmented skin lesions in seven diagnostic classes."""

from __future__ import annotations

from pathlib import Path

from edgefuse.datasets.adapter import Adapter
from edgefuse.datasets.csv_file import Row, read_rows
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template
from edgefuse.datasets.values import age_band, first_file, number, picture_in
from edgefuse_runtimes.errors import BadInput

MISSING = "No data reported"
TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab", "metadata.csv")
"""Names of the metadata: Kaggle's, the two of Harvard Dataverse, and a plain one."""
FOLDERS = ("HAM10000_images_part_1", "HAM10000_images_part_2", "images")
"""Where the pictures are, as they are unpacked from either place or put together."""


def read(root: Path, template: Template) -> list[Sample]:
    """The samples of a folder with a table of `TABLES` and the pictures in `FOLDERS`, grouped by lesion.

    Raises:
        BadInput: the metadata is missing, no UTF-8 CSV, or lacks a column.
    """
    table = first_file(root, TABLES)
    rows = read_rows(table, required=("lesion_id", "image_id", "dx", "age", "sex", "localization"))
    folders = [root / name for name in FOLDERS]
    return [
        Sample(
            id=row["image_id"],
            image=picture_in(folders, f"{row['image_id']}.jpg"),
            text=template.fill(_words(row)),
            label=row["dx"],
            group=row["lesion_id"],
            subgroups=_subgroups(row),
        )
        for row in rows
    ]


def _words(row: Row) -> dict[str, str]:
    words = {name: _known(row.get(name, "")) for name in (*ADAPTER.fields, *ADAPTER.leaks)}
    age = _age(row)
    return words | {"age": MISSING if age is None else f"{age:g} years"}


def _subgroups(row: Row) -> dict[str, str]:
    age = _age(row)
    return {
        "age band": MISSING if age is None else age_band(age),
        "sex": _known(row["sex"]),
        "site": _known(row["localization"]),
    }


def _age(row: Row) -> float | None:
    try:
        return number(row["age"])
    except ValueError as error:
        raise BadInput(
            f"Sample {row['image_id']} has the age {row['age']!r}, which is no number of years; correct the metadata."
        ) from error


def _known(value: str) -> str:
    return MISSING if value in ("", "unknown") else value


ADAPTER = Adapter(
    title="dermoscopy photographs of pigmented skin lesions, seven diagnoses",
    layout=(
        "HAM10000_metadata.csv            or HAM10000_metadata, HAM10000_metadata.tab, metadata.csv",
        "HAM10000_images_part_1/*.jpg     one <image_id>.jpg a row",
        "HAM10000_images_part_2/*.jpg     or all pictures in images/",
    ),
    fields={
        "age": "the patient's age: 45 years",
        "sex": "male or female",
        "localization": "where on the body the lesion is",
    },
    leaks={
        "dx": "it is the label",
        "dx_type": "it says how the diagnosis was made: follow_up occurs for nevi alone, and every cancer is histo",
        "dataset": "it says which collection a picture is from, and collections differ in their diagnoses",
    },
    template="Age: {age}. Sex: {sex}. Localization: {localization}.",
    missing=MISSING,
    label="dx: akiec, bcc, bkl, df, mel, nv or vasc",
    group="lesion_id: a lesion may have several photographs",
    subgroups=("age band", "sex", "site"),
    licence="CC BY-NC 4.0",
    citation="P. Tschandl, C. Rosendahl, H. Kittler: The HAM10000 dataset, a large collection of multi-source "
    "dermatoscopic images of common pigmented skin lesions. Scientific Data 5, 180161 (2018), "
    "doi:10.1038/sdata.2018.161",
    read=read,
)
