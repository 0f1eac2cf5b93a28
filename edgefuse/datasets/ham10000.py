"""HAM10000: dermoscopy photographs of pigmented skin lesions in seven diagnostic classes.

P. Tschandl, C. Rosendahl, H. Kittler: The HAM10000 dataset, a large collection of multi-source dermatoscopic
images of common pigmented skin lesions. Scientific Data 5, 180161 (2018), doi:10.1038/sdata.2018.161.
"""

from __future__ import annotations

from pathlib import Path

from edgefuse.datasets.csv_file import Row, read_rows
from edgefuse.datasets.sample import Sample
from edgefuse_runtimes.errors import BadInput

LICENCE = "CC BY-NC 4.0"
MISSING = "No data reported"


def read(root: Path) -> list[Sample]:
    """The samples of a folder with `metadata.csv` and `images/<image_id>.jpg`, grouped by lesion.

    `dx_type` says how the diagnosis was made, which nearly gives the label away: it is never read.

    Raises:
        BadInput: the metadata is missing, no UTF-8 CSV, or lacks a column.
    """
    rows = read_rows(root / "metadata.csv", required=("lesion_id", "image_id", "dx", "age", "sex", "localization"))
    return [
        Sample(
            id=row["image_id"],
            image=root / "images" / f"{row['image_id']}.jpg",
            text=note(row),
            label=row["dx"],
            group=row["lesion_id"],
        )
        for row in rows
    ]


def note(row: Row) -> str:
    """What is known of the patient, in words: "Age: 45 years. Sex: male. Localization: trunk."."""
    return f"Age: {_age(row)}. Sex: {_known(row['sex'])}. Localization: {_known(row['localization'])}."


def _age(row: Row) -> str:
    try:
        return f"{float(row['age']):g} years" if row["age"] else MISSING
    except ValueError as error:
        raise BadInput(
            f"Sample {row['image_id']} has the age {row['age']!r}, which is no number; correct the metadata."
        ) from error


def _known(value: str) -> str:
    return MISSING if value in ("", "unknown") else value
