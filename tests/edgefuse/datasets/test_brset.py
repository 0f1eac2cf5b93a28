from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgefuse.datasets import ADAPTERS, open_dataset
from edgefuse.datasets.parts import divide
from edgefuse.datasets.template import template_of
from edgefuse_runtimes.errors import BadInput

NORMAL = {
    "image_id": "img00001", "patient_id": "1", "camera": "Canon CR", "patient_age": "48.0",
    "comorbidities": "diabetes1", "diabetes_time_y": "12", "insuline": "yes", "patient_sex": "1", "exam_eye": "1",
    "diabetes": "yes", "nationality": "Brazil", "optic_disc": "1", "vessels": "1", "macula": "1",
    "DR_SDRG": "0", "DR_ICDR": "0", "focus": "1", "Illuminaton": "1", "image_field": "1", "artifacts": "1",
    "diabetic_retinopathy": "0", "macular_edema": "0", "scar": "0", "nevus": "0", "amd": "0", "vascular_occlusion": "0",
    "hypertensive_retinopathy": "0", "drusens": "0", "hemorrhage": "0", "retinal_detachment": "0",
    "myopic_fundus": "0", "increased_cup_disc": "0", "other": "0", "quality": "Adequate",
}  # fmt: skip
"""A row of labels_brset.csv, version 1.0.1."""
NEWER = {
    "diabetes_time_y": "diabetes_time",
    "insuline": "insulin_use",
    "Illuminaton": "illumination",
    "drusens": "drusen",
}
"""What version 1.0.2 calls them."""


def write(
    root: Path, rows: list[dict[str, str]], table: str = "labels_brset.csv", pictures: str = "fundus_photos"
) -> Path:
    (root / pictures).mkdir(exist_ok=True)
    for row in rows:
        Image.new("RGB", (4, 4)).save(root / pictures / f"{row['image_id']}.jpg")
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    (root / table).write_text("\n".join(lines) + "\n")
    return root


def patient(number: int, **known: str) -> list[dict[str, str]]:
    """Both eyes of a patient."""
    eyes = [{"image_id": f"img{2 * number + eye:05d}", "exam_eye": str(eye + 1)} for eye in (0, 1)]
    return [NORMAL | {"patient_id": str(number)} | eye | known for eye in eyes]


def test_what_is_known_of_the_patient_becomes_words(tmp_path: Path) -> None:
    unknown = dict.fromkeys(("patient_age", "comorbidities", "diabetes_time_y", "insuline"), "")
    rows = [NORMAL, NORMAL | unknown | {"image_id": "img00002", "patient_sex": "2.0", "exam_eye": "2", "DR_ICDR": "3"}]
    first, second = open_dataset("brset", write(tmp_path, rows)).samples
    assert first.text == (
        "Eye: right. Age: 48 years. Sex: male. Comorbidities: diabetes1. Diabetes for: 12 years. Insulin: yes."
    )
    assert second.text == (
        "Eye: left. Age: not recorded. Sex: female. Comorbidities: not recorded. Diabetes for: not recorded. "
        "Insulin: not recorded."
    )
    assert first.subgroups == {"age band": "40-59", "sex": "male", "camera": "Canon CR"}
    assert second.subgroups["age band"] == "not recorded"


@pytest.mark.parametrize(("grade", "label"), [("0", "no retinopathy"), ("1", "retinopathy"), ("4.0", "retinopathy")])
def test_any_grade_over_0_is_retinopathy(tmp_path: Path, grade: str, label: str) -> None:
    (sample,) = open_dataset("brset", write(tmp_path, [NORMAL | {"DR_ICDR": grade}])).samples
    assert sample.label == label


def test_numbers_that_were_mistyped_are_read_or_not_recorded(tmp_path: Path) -> None:
    rows = [NORMAL | {"image_id": f"i{k}", "diabetes_time_y": years} for k, years in enumerate(('"7,5"', "1O", "Não"))]
    texts = [sample.text for sample in open_dataset("brset", write(tmp_path, rows)).samples]
    assert ["for: 7.5 years." in texts[0], "for: 10 years." in texts[1], "for: not recorded." in texts[2]] == [True] * 3


def test_an_age_that_is_no_number_is_of_no_band(tmp_path: Path) -> None:
    (sample,) = open_dataset("brset", write(tmp_path, [NORMAL | {"patient_age": "nan"}])).samples
    assert "Age: not recorded." in sample.text
    assert sample.subgroups["age band"] == "not recorded"


def test_every_version_on_physionet_is_read_alike(tmp_path: Path) -> None:
    newer = {NEWER.get(name, name): value for name, value in NORMAL.items()}
    found = []
    for number, (row, table, pictures) in enumerate(
        [(NORMAL, "labels_brset.csv", "fundus_photos"), (newer, "labels.csv", "images")]
    ):
        root = tmp_path / str(number)
        root.mkdir()
        template = template_of("{insulin} {illumination} {diabetes_time_y} {drusen}")
        dataset = open_dataset("brset", write(root, [row], table, pictures), template=template, allow_leaks=["drusen"])
        found.append(dataset.samples[0].text)
    assert found == ["yes adequate 12 years absent"] * 2


def test_one_means_normal_in_anatomy_adequate_in_quality_and_present_in_findings(tmp_path: Path) -> None:
    template = template_of("{vessels} {macula} {focus} {hemorrhage}")
    row = NORMAL | {"vessels": "1", "macula": "2", "focus": "1", "hemorrhage": "1"}
    leaks = ["vessels", "macula", "hemorrhage"]
    (sample,) = open_dataset("brset", write(tmp_path, [row]), template=template, allow_leaks=leaks).samples
    assert sample.text == "normal abnormal adequate present"


@pytest.mark.parametrize("field", [*ADAPTERS["brset"].leaks])
def test_what_was_seen_on_the_photograph_is_refused(tmp_path: Path, field: str) -> None:
    with pytest.raises(BadInput, match=f"which tells the label .*--allow-leak {field}"):
        open_dataset("brset", write(tmp_path, [NORMAL]), template=template_of(f"{{{field}}}"))


def test_no_finding_reaches_the_usual_note(tmp_path: Path) -> None:
    findings = {name: "1" for name in ADAPTERS["brset"].leaks if name in NORMAL and name not in ("DR_ICDR", "DR_SDRG")}
    texts = []
    for number, row in enumerate((NORMAL, NORMAL | findings | {"DR_ICDR": "4"})):
        root = tmp_path / str(number)
        root.mkdir()
        texts.append(open_dataset("brset", write(root, [row])).samples[0].text)
    assert texts[0] == texts[1]


def test_both_eyes_of_a_patient_stay_in_one_part(tmp_path: Path) -> None:
    rows = [row for number in range(30) for row in patient(number, DR_ICDR=str(number % 3))]
    division = divide(open_dataset("brset", write(tmp_path, rows)), None, 0)
    assert division.name == "grouped"
    assert len(set(zip(division.groups, division.parts, strict=True))) == 30


def test_the_papers_split_keeps_the_shares_of_the_grades_not_of_the_label(tmp_path: Path) -> None:
    rows = [row for number in range(100) for row in patient(number, DR_ICDR="03214"[number % 5])]
    division = divide(open_dataset("brset", write(tmp_path, rows)), "paper", 0)
    test = [row["DR_ICDR"] for row, part in zip(rows, division.parts, strict=True) if part == "test"]
    assert Counter(test) == dict.fromkeys("01234", 8)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"DR_ICDR": "5"}, "Sample img00001 has the grade DR_ICDR '5', not 0 to 4"),
        ({"camera": None}, "lacks the column camera; download it again"),
    ],
)
def test_a_malformed_table_gets_a_sentence(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    row = {name: value for name, value in (NORMAL | change).items() if value is not None}
    with pytest.raises(BadInput, match=complaint):
        open_dataset("brset", write(tmp_path, [row]))
