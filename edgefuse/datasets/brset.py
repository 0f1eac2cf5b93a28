"""BRSET: Brazilian photographs of the retina with what was known of the patient and what a specialist saw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgefuse.datasets.adapter import Adapter
from edgefuse.datasets.csv_file import Row, read_rows
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template
from edgefuse.datasets.values import age_band, first_file, number, picture_in
from edgefuse_runtimes.errors import BadInput

MISSING = "not recorded"
TABLES = ("labels_brset.csv", "labels.csv")
FOLDERS = ("fundus_photos", "images")
OLDER_NAMES = {
    "diabetes_time_y": ("diabetes_time",),
    "insulin": ("insuline", "insulin_use"),
    "illumination": ("Illuminaton", "ilumination", "iluminacao"),
    "drusen": ("drusens",),
}
"""Columns that the versions 1.0.0 to 1.0.2 on PhysioNet spell in several ways."""

_NORMAL = {"1": "normal", "2": "abnormal"}
_ADEQUATE = {"1": "adequate", "2": "inadequate"}
_PRESENT = {"1": "present", "0": "absent"}
_YES = {"yes": "yes", "1": "yes", "no": "no", "0": "no"}
_FINDINGS = {
    "macular_edema": "macular oedema",
    "scar": "a scar",
    "nevus": "a nevus",
    "amd": "age-related macular degeneration",
    "vascular_occlusion": "a vascular occlusion",
    "hypertensive_retinopathy": "hypertensive retinopathy",
    "drusen": "drusen",
    "hemorrhage": "a haemorrhage",
    "retinal_detachment": "a retinal detachment",
    "myopic_fundus": "a myopic fundus",
    "increased_cup_disc": "an increased cup-to-disc ratio",
    "other": "another finding",
}
_ANATOMY = {"optic_disc": "the optic disc", "vessels": "the vessels", "macula": "the macula"}

CODES: Mapping[str, Mapping[str, str]] = {
    "exam_eye": {"1": "right", "2": "left", "od": "right", "os": "left", "right": "right", "left": "left"},
    "patient_sex": {"1": "male", "2": "female"},
    "diabetes": _YES,
    "insulin": _YES,
    "quality": {"adequate": "adequate", "inadequate": "inadequate"},
    **dict.fromkeys(("focus", "illumination", "image_field", "artifacts"), _ADEQUATE),
    **dict.fromkeys(_ANATOMY, _NORMAL),
    **dict.fromkeys(("diabetic_retinopathy", *_FINDINGS), _PRESENT),
}
"""What the codes of a column mean; in anatomy and quality 1 is the good value, in findings 1 is the bad one."""


def read(root: Path, template: Template) -> list[Sample]:
    """The samples of a folder with a table of `TABLES` and the pictures in `FOLDERS`, grouped by patient.

    Raises:
        BadInput: the labels are missing, no UTF-8 CSV, lack a column, or a grade is none.
    """
    rows = [_today(row) for row in read_rows(first_file(root, TABLES), required=("image_id", "patient_id", "DR_ICDR"))]
    needed = (*template.fields, "patient_age", "patient_sex", "camera")
    absent = [name for name in needed if rows and name not in rows[0]]
    if absent:
        raise BadInput(f"{first_file(root, TABLES)} lacks the column {absent[0]}; download it again from PhysioNet.")
    folders = [root / name for name in FOLDERS]
    return [
        Sample(
            id=row["image_id"],
            image=picture_in(folders, f"{row['image_id'].removesuffix('.jpg')}.jpg"),
            text=template.fill({name: _words(name, row) for name in template.fields}),
            label=_label(row),
            group=row["patient_id"],
            subgroups=_subgroups(row),
            stratum=_code(row["DR_ICDR"]),
        )
        for row in rows
    ]


def _today(row: Row) -> Row:
    """The row with the names of today's columns."""
    names = {older: name for name, all_older in OLDER_NAMES.items() for older in all_older}
    return {names.get(name, name): value for name, value in row.items()}


def _words(name: str, row: Row) -> str:
    value = row[name]
    if name in CODES:
        return CODES[name].get(_code(value), MISSING)
    if name in ("patient_age", "diabetes_time_y"):
        years = _years(value)
        return MISSING if years is None else f"{years:g} years"
    return value or MISSING


def _code(value: str) -> str:
    """A code as the tables of `CODES` have it: "1.0", which a spreadsheet makes of 1, is "1"."""
    return value.lower().removesuffix(".0")


def _years(value: str) -> float | None:
    """Years; None where there is none, also for the words and the letter O that were typed into some cells."""
    try:
        return number(value.replace("O", "0").replace(",", "."))
    except ValueError:
        return None


def _label(row: Row) -> str:
    grade = _code(row["DR_ICDR"])
    if grade not in ("0", "1", "2", "3", "4"):
        raise BadInput(f"Sample {row['image_id']} has the grade DR_ICDR {row['DR_ICDR']!r}, not 0 to 4; correct it.")
    return "no retinopathy" if grade == "0" else "retinopathy"


def _subgroups(row: Row) -> dict[str, str]:
    years = _years(row["patient_age"])
    return {
        "age band": MISSING if years is None else age_band(years),
        "sex": _words("patient_sex", row),
        "camera": _words("camera", row),
    }


_SEEN = "a specialist saw it on the same photograph"

ADAPTER = Adapter(
    title="photographs of the retina from Brazil: diabetic retinopathy or not",
    layout=(
        "labels_brset.csv        or labels.csv, as the versions 1.0.0 to 1.0.2 on PhysioNet have it",
        "fundus_photos/*.jpg     one <image_id>.jpg a row; or images/",
    ),
    fields={
        "exam_eye": "right or left",
        "patient_age": "the age: 61 years",
        "patient_sex": "male or female",
        "comorbidities": "as they were written down",
        "diabetes": "whether diabetes is known: yes or no",
        "diabetes_time_y": "for how long: 12 years",
        "insulin": "whether the patient takes it: yes or no",
        "nationality": "the patient's",
        "camera": "what took the photograph",
        "quality": "of the photograph: adequate or inadequate",
        "focus": "adequate or inadequate",
        "illumination": "adequate or inadequate",
        "image_field": "adequate or inadequate",
        "artifacts": "adequate or inadequate",
    },
    leaks={
        "DR_ICDR": "the label is made of it",
        "DR_SDRG": "it grades the same retinopathy by another scale",
        "diabetic_retinopathy": "it is the label",
        **{name: f"{seen}: {_SEEN}" for name, seen in _FINDINGS.items()},
        **{name: f"the state of {seen}: {_SEEN}" for name, seen in _ANATOMY.items()},
    },
    template="Eye: {exam_eye}. Age: {patient_age}. Sex: {patient_sex}. Comorbidities: {comorbidities}. "
    "Diabetes for: {diabetes_time_y}. Insulin: {insulin}.",
    missing=MISSING,
    label="retinopathy where DR_ICDR is over 0, else no retinopathy",
    group="patient_id: both eyes of a patient stay together",
    subgroups=("age band", "sex", "camera"),
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    citation="L. F. Nakayama, D. Restrepo, J. Matos, L. Z. Ribeiro, F. K. Malerbi, L. A. Celi, C. S. Regatieri: BRSET: "
    "A Brazilian Multilabel Ophthalmological Dataset of Retina Fundus Photos. PLOS Digital Health 3(7), e0000454 "
    "(2024), doi:10.1371/journal.pdig.0000454",
    read=read,
)
