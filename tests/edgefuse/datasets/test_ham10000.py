from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from edgefuse.datasets import open_dataset
from edgefuse.datasets.template import template_of
from edgefuse_runtimes.errors import BadInput

HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("ISIC_1", "ISIC_2"):
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / f"{name}.jpg")
    return tmp_path


def test_age_sex_and_place_become_words_and_lesions_become_groups(folder: Path) -> None:
    (folder / "metadata.csv").write_text(
        HEADER + "HAM_1,ISIC_1,nv,follow_up,45.0,male,trunk\nHAM_1,ISIC_2,mel,histo,,unknown,unknown\n"
    )
    first, second = open_dataset("ham10000", folder).samples
    assert first.text == "Age: 45 years. Sex: male. Localization: trunk."
    assert second.text == "Age: No data reported. Sex: No data reported. Localization: No data reported."
    assert (first.label, second.label) == ("nv", "mel")
    assert first.group == second.group == "HAM_1"
    assert first.image == folder / "images" / "ISIC_1.jpg"


def test_figures_are_also_wanted_by_age_sex_and_site(folder: Path) -> None:
    (folder / "metadata.csv").write_text(
        HEADER + "HAM_1,ISIC_1,nv,histo,45.0,male,trunk\nHAM_2,ISIC_2,mel,histo,,unknown,unknown\n"
    )
    first, second = open_dataset("ham10000", folder).samples
    assert first.subgroups == {"age band": "40-59", "sex": "male", "site": "trunk"}
    assert set(second.subgroups.values()) == {"No data reported"}


@pytest.mark.parametrize("table", ["HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab"])
def test_the_two_folders_and_the_table_as_they_are_downloaded(tmp_path: Path, table: str) -> None:
    for part, name in (("HAM10000_images_part_1", "ISIC_1"), ("HAM10000_images_part_2", "ISIC_2")):
        (tmp_path / part).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / part / f"{name}.jpg")
    rows = HEADER + "HAM_1,ISIC_1,nv,histo,45.0,male,trunk\nHAM_2,ISIC_2,mel,histo,80.0,female,back\n"
    (tmp_path / table).write_text(rows.replace(",", "\t") if table.endswith(".tab") else rows)
    first, second = open_dataset("ham10000", tmp_path).samples
    assert first.image == tmp_path / "HAM10000_images_part_1" / "ISIC_1.jpg"
    assert second.image == tmp_path / "HAM10000_images_part_2" / "ISIC_2.jpg"
    assert second.subgroups["age band"] == "80+"


def test_how_the_diagnosis_was_made_reaches_no_sample(folder: Path) -> None:
    line = "HAM_1,ISIC_1,nv,{},45.0,male,trunk\n"
    samples = []
    for dx_type in ("follow_up", "histo"):
        (folder / "metadata.csv").write_text(HEADER + line.format(dx_type))
        samples.append(open_dataset("ham10000", folder).samples)
    assert samples[0] == samples[1]


@pytest.mark.parametrize("field", ["dx", "dx_type", "dataset"])
def test_what_tells_the_diagnosis_is_refused_unless_it_is_allowed(folder: Path, field: str) -> None:
    (folder / "metadata.csv").write_text(HEADER + "HAM_1,ISIC_1,nv,histo,45.0,male,trunk\n")
    template = template_of(f"{{{field}}} {{age}}")
    with pytest.raises(BadInput, match=rf"--allow-leak {field}"):
        open_dataset("ham10000", folder, template=template)
    dataset = open_dataset("ham10000", folder, template=template, allow_leaks=[field])
    assert dataset.leaks == (field,)
    assert dataset.samples[0].text.endswith("45 years")


def test_an_age_that_is_no_number_is_named(folder: Path) -> None:
    (folder / "metadata.csv").write_text(HEADER + "HAM_1,ISIC_1,nv,histo,old,male,trunk\n")
    with pytest.raises(BadInput, match="ISIC_1 has the age 'old'"):
        open_dataset("ham10000", folder)


def test_a_folder_without_metadata(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no table at .*metadata\.csv"):
        open_dataset("ham10000", tmp_path)


@pytest.mark.shared
def test_the_real_subset_is_read_whole(shared_folder: Path) -> None:
    dataset = open_dataset("ham10000", shared_folder / "data" / "ham10000-mini")
    assert len(dataset.samples) == 1732
    assert Counter(sample.label for sample in dataset.samples) == {
        "nv": 472, "mel": 348, "bkl": 451, "bcc": 213, "akiec": 146, "vasc": 52, "df": 50,
    }  # fmt: skip
    assert len({sample.group for sample in dataset.samples}) == 1474
    assert dataset.licence == "CC BY-NC 4.0"


@pytest.mark.parametrize("age", ["old", "nan", "inf", "-3"])
def test_an_age_that_is_none_gets_a_sentence(folder: Path, age: str) -> None:
    (folder / "metadata.csv").write_text(HEADER + f"HAM_1,ISIC_1,nv,histo,{age},male,trunk\n")
    with pytest.raises(BadInput, match=f"Sample ISIC_1 has the age '{age}', which is no number of years"):
        open_dataset("ham10000", folder)
