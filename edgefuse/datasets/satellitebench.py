"""SatelliteBench: weekly satellite pictures of Colombian cities, with their population and their dengue cases."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from edgefuse.datasets.adapter import Adapter
from edgefuse.datasets.csv_file import Row, read_rows
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template
from edgefuse_runtimes.errors import BadInput

MISSING = "not recorded"
TABLE = "metadata.csv"
FOLDERS = ("10_municipalities/images", "images")
"""Where the cities' folders are, as PhysioNet has them or moved up."""
MADE = ("date", "cases", "label")
"""Fields that are no column: of a picture's week."""

_WEEK_COLUMN = re.compile(r"(\d{4})/w(\d{1,2})")
_FILE_NAME = re.compile(r"image_(\d{4}-\d{2}-\d{2})\.tiff?")


@dataclass(frozen=True)
class _CityWeek:
    """One picture with what its city's row says of its week."""

    city: Row
    day: date
    image: Path
    cases: float


def read(root: Path, template: Template) -> list[Sample]:
    """The samples of a folder with `metadata.csv`, a row a city, and `FOLDERS` with a folder of pictures a city.

    A week's cases stand in the column "2016/w01" and so on. Cities come in the order of the table, weeks by date.

    Raises:
        BadInput: the metadata is missing, no UTF-8 CSV or lacks a column, a picture is not called
            image_YYYY-MM-DD.tiff, or its week has no number of cases.
    """
    needed = [name for name in template.fields if name not in MADE]
    rows = read_rows(root / TABLE, required=("Municipality code", "Municipality", *needed))
    folder = next((root / name for name in FOLDERS if (root / name).is_dir()), root / FOLDERS[0])
    samples = []
    for city in rows:
        weeks = list(_weeks(city, folder / city["Municipality code"]))
        if weeks:
            median = float(np.median([week.cases for week in weeks]))
            samples += [_sample(week, median, template) for week in weeks]
    if not samples:
        raise BadInput(f"{folder} has no folder <Municipality code> with image_YYYY-MM-DD.tiff files; check --root.")
    return samples


def epidemiological_week(day: date) -> tuple[int, int]:
    """Year and number of the week, from Sunday to Saturday, that the day is in.

    A week belongs to the year that has four of its days or more (the rule of the US CDC, which the data set follows).
    """
    sunday = day - timedelta(days=(day.weekday() + 1) % 7)
    wednesday = sunday + timedelta(days=3)
    return wednesday.year, (wednesday.timetuple().tm_yday - 1) // 7 + 1


def _weeks(city: Row, folder: Path) -> Iterator[_CityWeek]:
    columns = {
        (int(found[1]), int(found[2])): value for name, value in city.items() if (found := _WEEK_COLUMN.fullmatch(name))
    }
    for image in sorted(folder.glob("*.tif*")):
        found = _FILE_NAME.fullmatch(image.name)
        try:
            day = date.fromisoformat(found[1] if found else "")
        except ValueError as error:
            raise BadInput(f"{image} is not called image_YYYY-MM-DD.tiff; rename or remove it.") from error
        week = epidemiological_week(day)
        try:
            cases = float(columns[week])
            if not math.isfinite(cases):  # it would make the median none, and every week of the city one of few
                raise ValueError
        except (KeyError, ValueError) as error:
            raise BadInput(
                f"{TABLE} has no number of cases of {city['Municipality']} in the week {week[0]}/w{week[1]:02d}, which "
                f"{image.name} shows; add it or remove the picture."
            ) from error
        yield _CityWeek(city, day, image, cases)


def _sample(week: _CityWeek, median: float, template: Template) -> Sample:
    city = week.city
    label = "many cases" if week.cases > median else "few cases"
    known = dict(zip(MADE, (str(week.day), f"{week.cases:g}", label), strict=True))
    return Sample(
        id=f"{city['Municipality code']}_{week.day}",
        image=week.image,
        text=template.fill({name: known.get(name) or _words(name, city) for name in template.fields}),
        label=label,
        group=city["Municipality"],
        subgroups={"city": city["Municipality"], "year": str(week.day.year)},
        date=str(week.day),
    )


def _words(name: str, city: Row) -> str:
    value = city[name]
    return (f"{value} %" if name.endswith("(%)") else value) if value else MISSING


ADAPTER = Adapter(
    title="weekly satellite pictures of ten Colombian cities: a week of many dengue cases or of few",
    layout=(
        "metadata.csv                          a row a city; the cases of its weeks in the columns 2016/w01 and so on",
        "10_municipalities/images/<code>/      or images/<code>/: a folder a city, called by its Municipality code",
        "    image_2016-01-03.tiff             a picture of twelve bands a week",
    ),
    fields={
        "Municipality": "the city's name",
        "date": "the first day of the week: 2016-01-03",
        "Age0-4(%)": "share of the population aged 0 to 4",
        "Age5-14(%)": "share aged 5 to 14",
        "Age15-29(%)": "share aged 15 to 29",
        "Age>30(%)": "share over 30",
        "AfrocolombianPopulation(%)": "share that is Afro-Colombian",
        "IndianPopulation(%)": "share that is indigenous",
        "PeoplewithDisabilities(%)": "share with a disability",
        "Peoplewhocannotreadorwrite(%)": "share that cannot read or write",
        "Secondary/HigherEducation(%)": "share with secondary or higher education",
        "Employedpopulation(%)": "share in work",
        "Unemployedpopulation(%)": "share without work",
        "Householdswithoutwateraccess(%)": "share of households without water",
        "Householdswithoutinternetaccess(%)": "share of households without internet",
    },
    leaks={
        "label": "it is the label",
        "cases": "the week's own number of cases, of which the label is made",
        **{f"Cases{year}": "the year's sum has the week's own cases in it" for year in (2016, 2017, 2018)},
    },
    template="City: {Municipality}. Week from: {date}. Aged 0 to 4: {Age0-4(%)}. Aged 5 to 14: {Age5-14(%)}. "
    "Afro-Colombian: {AfrocolombianPopulation(%)}. Indigenous: {IndianPopulation(%)}.",
    missing=MISSING,
    label="many cases where the week has more than that city's own median, else few cases",
    group="the city; with --split time, blocks of four weeks",
    subgroups=("city", "year"),
    splits=("city", "time", "paper"),
    paper_validation=0.25,
    licence="open access; see LICENSE.txt in its folder on PhysioNet",
    citation="S. A. Cajas, D. Restrepo, D. Moukheiber and others: A Multi-Modal Satellite Imagery Dataset for Public "
    "Health Analysis in Colombia (version 1.0.0). PhysioNet (2024), doi:10.13026/xr5s-xe24",
    read=read,
)
