"""HAM10000: dermoscopy photographs of pigmented skin lesions in seven diagnostic classes.

P. Tschandl, C. Rosendahl, H. Kittler: The HAM10000 dataset, a large collection of multi-source dermatoscopic
images of common pigmented skin lesions. Scientific Data 5, 180161 (2018), doi:10.1038/sdata.2018.161.
"""

from __future__ import annotations

from pathlib import Path

from edgefuse.datasets.csv_file import Row, read_rows
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.values import age_band, first_file, number
from edgefuse_runtimes.errors import BadInput

LICENCE = "CC BY-NC 4.0"
MISSING = "No data reported"
TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab", "metadata.csv")
"""Names of the metadata: Kaggle's, the two of Harvard Dataverse, and a plain one."""
FOLDERS = ("HAM10000_images_part_1", "HAM10000_images_part_2", "images")
"""Where the pictures are, as they are unpacked from either place or put together."""


def read(root: Path) -> list[Sample]:
    """The samples of a folder with a table of `TABLES` and the pictures in `FOLDERS`, grouped by lesion.

    `dx_type` says how the diagnosis was made, which nearly gives the label away: it is never read.

    Raises:
        BadInput: the metadata is missing, no UTF-8 CSV, or lacks a column.
    """
    table = first_file(root, TABLES)
    rows = read_rows(table, required=("lesion_id", "image_id", "dx", "age", "sex", "localization"))
    folders = [root / name for name in FOLDERS if (root / name).is_dir()] or [root / FOLDERS[-1]]
    return [
        Sample(
            id=row["image_id"],
            image=_picture(folders, f"{row['image_id']}.jpg"),
            text=note(row),
            label=row["dx"],
            group=row["lesion_id"],
            subgroups=_subgroups(row),
        )
        for row in rows
    ]


def note(row: Row) -> str:
    """What is known of the patient, in words: "Age: 45 years. Sex: male. Localization: trunk."."""
    return f"Age: {_age(row)}. Sex: {_known(row['sex'])}. Localization: {_known(row['localization'])}."


def _subgroups(row: Row) -> dict[str, str]:
    age = number(row["age"])
    return {
        "age band": MISSING if age is None else age_band(age),
        "sex": _known(row["sex"]),
        "site": _known(row["localization"]),
    }


def _picture(folders: list[Path], name: str) -> Path:
    """Where the picture is; in the first folder where it is in none."""
    return next((folder / name for folder in folders if (folder / name).is_file()), folders[0] / name)


def _age(row: Row) -> str:
    try:
        age = number(row["age"])
    except ValueError as error:
        raise BadInput(
            f"Sample {row['image_id']} has the age {row['age']!r}, which is no number; correct the metadata."
        ) from error
    return MISSING if age is None else f"{age:g} years"


def _known(value: str) -> str:
    return MISSING if value in ("", "unknown") else value
