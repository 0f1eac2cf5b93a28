from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from edgefuse.datasets import open_dataset
from edgefuse.datasets.parts import divide
from edgefuse.datasets.satellitebench import epidemiological_week
from edgefuse.datasets.template import template_of
from edgefuse_runtimes.errors import BadInput

tifffile = pytest.importorskip("tifffile")

FIRST = date(2016, 1, 3)
PEOPLE = "Age0-4(%),Age5-14(%),AfrocolombianPopulation(%),IndianPopulation(%)"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the folder of cities with these weekly cases: metadata.csv and a picture of twelve bands a week."""

    def write(cases: dict[str, list[int]], images: str = "10_municipalities/images") -> Path:
        weeks = max(map(len, cases.values()))
        numbers = [epidemiological_week(FIRST + timedelta(weeks=week)) for week in range(weeks)]
        columns = ",".join(f"{year}/w{week:02d}" for year, week in numbers)
        lines = [f"Municipality code,Municipality,Cases2016,{PEOPLE},{columns}"]
        for code, (city, counts) in enumerate(cases.items(), start=5001):
            folder = tmp_path / images / str(code)
            folder.mkdir(parents=True)
            for week in range(len(counts)):
                bands = np.full((6, 5, 12), 100 * week + np.arange(12), np.uint16)
                day = FIRST + timedelta(weeks=week)
                tifffile.imwrite(folder / f"image_{day}.tiff", bands, photometric="minisblack", planarconfig="contig")
            lines.append(f"{code},{city},{sum(counts)},6.82,26.75,0.93,,{','.join(map(str, counts))}")
        (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("day", "week"),
    [
        ("2016-01-03", (2016, 1)),
        ("2016-01-02", (2015, 52)),
        ("2016-12-31", (2016, 52)),
        ("2017-01-01", (2017, 1)),
        ("2018-12-30", (2019, 1)),
        ("2015-01-03", (2014, 53)),
    ],
)
def test_weeks_are_counted_as_the_cdc_does(day: str, week: tuple[int, int]) -> None:
    assert epidemiological_week(date.fromisoformat(day)) == week


@pytest.mark.parametrize("images", ["10_municipalities/images", "images"])
def test_a_city_and_its_week_become_words(write: Callable[..., Path], images: str) -> None:
    root = write({"Medellín": [4, 9]}, images)
    first, second = open_dataset("satellitebench", root).samples
    assert first.text == (
        "City: Medellín. Week from: 2016-01-03. Aged 0 to 4: 6.82 %. Aged 5 to 14: 26.75 %. "
        "Afro-Colombian: 0.93 %. Indigenous: not recorded."
    )
    assert (second.id, second.date, second.group) == ("5001_2016-01-10", "2016-01-10", "Medellín")
    assert second.subgroups == {"city": "Medellín", "year": "2016"}
    assert second.image == root / images / "5001" / "image_2016-01-10.tiff"


def test_many_cases_are_more_than_that_citys_own_median(write: Callable[..., Path]) -> None:
    samples = open_dataset("satellitebench", write({"Cali": [10, 20, 30], "Neiva": [3, 3, 4]})).samples
    assert [sample.label for sample in samples] == ["few cases", "few cases", "many cases"] * 2


@pytest.mark.parametrize(
    ("field", "texts"),
    [
        ("cases", ["10", "20", "30"]),
        ("Cases2016", ["60", "60", "60"]),
        ("label", ["few cases", "few cases", "many cases"]),
    ],
)
def test_the_number_of_cases_is_refused_unless_it_is_allowed(
    write: Callable[..., Path], field: str, texts: list[str]
) -> None:
    root = write({"Cali": [10, 20, 30]})
    template = template_of(f"{{{field}}}")
    with pytest.raises(BadInput, match=f"--allow-leak {field}"):
        open_dataset("satellitebench", root, template=template)
    samples = open_dataset("satellitebench", root, template=template, allow_leaks=[field]).samples
    assert [sample.text for sample in samples] == texts


def test_by_city_in_time_or_as_the_paper_does(write: Callable[..., Path]) -> None:
    weeks = list(range(40))
    dataset = open_dataset("satellitebench", write({f"City {number}": weeks for number in range(5)}))
    by_city = divide(dataset, None, 0)
    assert by_city.name == "city"
    assert len(set(zip(by_city.groups, by_city.parts, strict=True))) == 5
    in_time = divide(dataset, "time", 0)
    newest = max(s.date for s, part in zip(dataset.samples, in_time.parts, strict=True) if part == "train")
    assert all(
        sample.date > newest for sample, part in zip(dataset.samples, in_time.parts, strict=True) if part != "train"
    )
    paper = divide(dataset, "paper", 0)
    assert [paper.parts.count(part) for part in ("train", "validation", "test")] == [120, 40, 40]
    with pytest.raises(BadInput, match="no split called 'grouped'; it has city, time, paper"):
        divide(dataset, "grouped", 0)


def test_a_week_without_its_number_or_a_picture_of_another_name(write: Callable[..., Path]) -> None:
    root = write({"Cali": [10, 20]})
    folder = root / "10_municipalities" / "images" / "5001"
    (folder / "image_2016-01-10.tiff").rename(folder / "image_2018-01-07.tiff")
    with pytest.raises(
        BadInput, match=r"no number of cases of Cali in the week 2018/w02, which image_2018-01-07\.tiff"
    ):
        open_dataset("satellitebench", root)
    picture = folder / "image_2018-01-07.tiff"
    for name in ("second.tiff", "image_2018-13-41.tiff"):
        picture = picture.rename(folder / name)
        with pytest.raises(BadInput, match=rf"{name} is not called image_YYYY-MM-DD\.tiff"):
            open_dataset("satellitebench", root)


def test_a_number_of_cases_that_is_none_gets_a_sentence(write: Callable[..., Path]) -> None:
    root = write({"Cali": [10, 20, 30]})
    table = root / "metadata.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",20,", ",nan,"), encoding="utf-8")
    with pytest.raises(BadInput, match="no number of cases of Cali in the week 2016/w02"):
        open_dataset("satellitebench", root)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(f"Municipality code,Municipality,{PEOPLE}\n5001,Cali,1,2,3,4\n")
    with pytest.raises(BadInput, match=r"has no folder <Municipality code> with image_YYYY-MM-DD\.tiff"):
        open_dataset("satellitebench", tmp_path)
