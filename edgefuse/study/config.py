"""What a study is: one TOML file, read and checked before anything is computed.

    name = "my study"
    like = "HAM10000"                 # the paper's data set of this kind, whose numbers stand beside

    [data]                            # to be extracted with each pair of encoders
    dataset = "ham10000"
    root = "HAM10000"                 # and, if wanted, what else 'edgefuse extract' is told of a data set

    [encoders]                        # name -> folder made by 'edgefuse export'
    "DINOv2-S + SmolLM2" = "encoders"

    [tables]                          # or: name -> folder made by 'edgefuse extract'
    "DINOv2-S + MiniLM" = "V"

    [training]                        # all of these may be left out
    fusion = ["early", "late"]
    folds = 5
    seeds = 5
    shifts = [0, 0.5, 1]              # of these the best on validation rows
    match = "project"
    refer_accuracy = 0.9
    epochs = 30

    [sweep]                           # left out: no sweep over the shift
    shifts = 21
    seeds = 5

    [raw]                             # name -> file made by 'edgefuse raw'
    "BERT + ViT" = "raw.json"

Paths are taken from where the file lies.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import inf
from pathlib import Path

from edgefuse.datasets.choice import COLUMN_KEYS, Choice
from edgefuse.extraction.running import VIEWS
from edgefuse.heads import Fusion
from edgefuse.study.paper import DATASETS
from edgefuse.study.reader import Allowed, Reader, at_least
from edgefuse.training import align
from edgefuse.training.optimizer import AdamW
from edgefuse.training.recipe import SHIFTS, check_settings
from edgefuse.training.trainer import MOST_MEMBERS, PAPER, Settings
from edgefuse_runtimes.errors import BadInput


@dataclass(frozen=True)
class Training:
    """The heads of a study."""

    fusion: tuple[Fusion, ...] = ("early", "late")
    folds: int = 5
    seeds: int = 5
    shifts: tuple[float, ...] = SHIFTS
    match: align.Method = align.DEFAULT
    text_components: int | None = None
    average_image: bool = False
    refer_accuracy: float | None = None
    """Each head's referral threshold is chosen for this accuracy; None: none is."""
    settings: Settings = PAPER


@dataclass(frozen=True)
class Sweep:
    """A sweep over the shift, on each table's own split."""

    shifts: int = 21
    seeds: int = 5


@dataclass(frozen=True)
class Study:
    """A study, as its file says."""

    path: Path
    name: str
    like: str | None
    """The paper's data set of this kind, one of `paper.DATASETS`."""
    data: Choice | None
    """What tables are extracted from."""
    views: int | None
    """That tables are extracted with, see `extract`."""
    encoders: Mapping[str, Path]
    tables: Mapping[str, Path]
    training: Training
    sweep: Sweep | None
    raw: Mapping[str, Path]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all pairs of encoders, in the order of the report."""
        return (*self.encoders, *self.tables)


NUMBER = (int, float)
NOT_NEGATIVE = Allowed(NUMBER, lambda value: 0 <= value < inf, "0 or more")
SETTINGS = {
    "epochs": at_least(1),
    "batch": at_least(2),
    "hidden": at_least(1),
    "depth": at_least(1),
    "patience": at_least(1),
    "dropout": Allowed(NUMBER, lambda value: 0 <= value < 1, "0 or more and below 1"),
    "noise": NOT_NEGATIVE,
    "alignment_loss": NOT_NEGATIVE,
    "class_weights": Allowed(str, lambda value: value in ("balanced", "none"), "balanced or none"),
    "members": Allowed(int, lambda value: 1 <= value <= MOST_MEMBERS, f"1 to {MOST_MEMBERS}"),
}
"""Of `trainer.Settings`, which `[training]` may have too."""
OPTIMIZER = {
    "learning_rate": Allowed(NUMBER, lambda value: 0 < value < inf, "above 0"),
    "weight_decay": NOT_NEGATIVE,
}
"""The same of its optimizer."""
KEYS = {"name", "like", "data", "encoders", "tables", "training", "sweep", "raw"}


def slug(name: str) -> str:
    """A name as a folder's name: "DINOv2-S + SmolLM2" is dinov2-s-smollm2."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def read_study(path: Path) -> Study:
    """Read a study's file.

    Raises:
        BadInput: it is missing, no TOML, or says something that no study has.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"There is no study at {path}; write one as the documentation of 'edgefuse study' shows.") from (
            error
        )
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"The study {path} cannot be read ({error}); correct it.") from error
    reader = Reader(path, found)
    reader.only(KEYS)
    folders = {
        key: {name: path.parent / folder for name, folder in reader.paths(key)} for key in ("encoders", "tables")
    }
    twice = folders["encoders"].keys() & folders["tables"].keys()
    if twice:
        raise reader.fault(f"names {min(twice)!r} under both [encoders] and [tables]; give each a name of its own")
    _check_names(reader, [*folders["encoders"], *folders["tables"]])
    if not folders["encoders"] and not folders["tables"]:
        raise reader.fault("names no encoders; list folders under [encoders] or tables under [tables]")
    if folders["encoders"] and "data" not in found:
        raise reader.fault("has [encoders] but no [data] to run them over; add dataset and root")
    like = reader.value("like", str, None)
    if like is not None and like not in DATASETS:
        raise reader.fault(f"is like {like!r}, which the paper has not; take one of {', '.join(DATASETS)}")
    return Study(
        path=path,
        name=reader.value("name", str, path.stem),
        like=like,
        data=_data(reader.part("data")) if "data" in found else None,
        views=_views(reader.part("data")),
        encoders=folders["encoders"],
        tables=folders["tables"],
        training=_training(reader.part("training")),
        sweep=_sweep(reader.part("sweep")) if "sweep" in found else None,
        raw=dict(reader.paths("raw")),
    )


def _check_names(reader: Reader, names: Sequence[str]) -> None:
    """Every name must give a folder of its own."""
    first: dict[str, str] = {}
    for name in names:
        if not slug(name):
            raise reader.fault(f"has the name {name!r} without a letter of a to z or a digit; give it some")
        if first.setdefault(slug(name), name) != name:
            raise reader.fault(
                f"has the names {first[slug(name)]!r} and {name!r}, which differ in no letter or digit; change one"
            )


def _data(reader: Reader) -> Choice:
    reader.only({one.name for one in fields(Choice)} | {"views"})
    dataset = reader.value("dataset", str, "")
    if not dataset:
        raise reader.fault("has [data] without a dataset; name an adapter or a CSV file")
    if dataset.lower().endswith(".csv"):
        dataset = str(reader.path.parent / dataset)
    root, template = reader.value("root", str, None), reader.value("template", str, None)
    if template is not None and not set(template) & set("{}"):  # the name of a file
        template = str(reader.path.parent / template)
    return Choice(
        dataset=dataset,
        root=None if root is None else reader.path.parent / root,
        template=template,
        allow_leaks=reader.several("allow_leaks", str, ()),
        subgroups=reader.several("subgroups", str, ()),
        limit=reader.at_least("limit", 1, 0) or None,
        skip_missing=reader.value("skip_missing", bool, False),
        multilabel=reader.value("multilabel", bool, False),
        **{key: reader.value(key, str, None) for key in COLUMN_KEYS},
    )


def _views(reader: Reader) -> int | None:
    views: int | None = reader.value("views", int, None)
    if views not in (None, *VIEWS):
        raise reader.fault(f"has views = {views}; it is one of {', '.join(map(str, VIEWS))}")
    return views


def _training(reader: Reader) -> Training:
    own = {one.name for one in fields(Training)} - {"settings"}
    reader.only(own | SETTINGS.keys() | OPTIMIZER.keys())
    fusion = reader.several("fusion", str, ("early", "late"))
    if not fusion or not set(fusion) <= {"early", "late"}:
        raise reader.fault(f"has fusion = {list(fusion)}; it is a list of early, late or both")
    match = reader.value("match", str, align.DEFAULT)
    if match not in align.METHODS:
        raise reader.fault(f"has match = {match!r}; it is one of {', '.join(align.METHODS)}")
    usual = (0.0,) if match == "none" else SHIFTS  # widths that stay unequal have no gap
    shifts = tuple(float(shift) for shift in reader.several("shifts", NUMBER, usual))
    if not shifts or not all(-1 <= shift <= 1 for shift in shifts):
        raise reader.fault(f"has shifts = {list(shifts)}; they lie between -1 and 1")
    wanted = reader.value("refer_accuracy", float, None)
    if wanted is not None and not 0 < wanted < 1:
        raise reader.fault(f"has refer_accuracy = {wanted}; it lies between 0 and 1")
    settings = replace(PAPER, **reader.given(SETTINGS), optimizer=AdamW(**reader.given(OPTIMIZER)))
    components = reader.at_least("text_components", 1, 0) or None
    for kind in fusion:
        try:
            check_settings(settings, kind, components)
        except BadInput as error:
            raise BadInput(f"The study {reader.path}: {error}") from error
    return Training(
        fusion=fusion,
        folds=reader.at_least("folds", 2, 5),
        seeds=reader.at_least("seeds", 1, 5),
        shifts=shifts,
        match=match,
        text_components=components,
        average_image=reader.value("average_image", bool, False),
        refer_accuracy=wanted,
        settings=settings,
    )


def _sweep(reader: Reader) -> Sweep:
    reader.only({one.name for one in fields(Sweep)})
    return Sweep(reader.at_least("shifts", 2, 21), reader.at_least("seeds", 1, 5))
