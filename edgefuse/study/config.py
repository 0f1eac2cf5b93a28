"""What a study is: one TOML file, read and checked before anything is computed.

    name = "my study"
    like = "HAM10000"                 # the paper's data set of this kind, whose numbers stand beside

    [data]                            # to be extracted with each pair of encoders
    dataset = "ham10000"
    root = "HAM10000"

    [encoders]                        # name -> folder made by 'edgefuse export'
    "DINOv2-S + SmolLM2" = "encoders"

    [tables]                          # or: name -> folder made by 'edgefuse extract'
    "DINOv2-S + MiniLM" = "V"

    [training]                        # all of these may be left out
    fusion = ["early", "late"]
    folds = 5
    seeds = 5
    shifts = [0, 0.5, 1]              # of these the best on validation rows
    match = "pca"
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

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from edgefuse.heads import Fusion
from edgefuse.study.paper import DATASETS
from edgefuse.training import align
from edgefuse.training.optimizer import AdamW
from edgefuse.training.recipe import SHIFTS
from edgefuse.training.trainer import PAPER, Settings
from edgefuse_runtimes.errors import BadInput


@dataclass(frozen=True)
class Data:
    """The data set that tables are extracted from."""

    dataset: str
    """An adapter's name or a CSV file."""
    root: Path | None = None
    template: str | None = None
    allow_leaks: tuple[str, ...] = ()
    skip_missing: bool = False


@dataclass(frozen=True)
class Training:
    """The heads of a study."""

    fusion: tuple[Fusion, ...] = ("early", "late")
    folds: int = 5
    seeds: int = 5
    shifts: tuple[float, ...] = SHIFTS
    match: align.Method = align.DEFAULT
    text_components: int | None = None
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
    data: Data | None
    encoders: Mapping[str, Path]
    tables: Mapping[str, Path]
    training: Training
    sweep: Sweep | None
    raw: Mapping[str, Path]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all pairs of encoders, in the order of the report."""
        return (*self.encoders, *self.tables)


SETTINGS: dict[str, type | tuple[type, ...]] = {
    "epochs": int,
    "batch": int,
    "hidden": int,
    "depth": int,
    "patience": int,
    "dropout": (int, float),
    "noise": (int, float),
    "alignment_loss": (int, float),
    "class_weights": str,
    "members": int,
}
"""Of `trainer.Settings`, which `[training]` may have too."""
OPTIMIZER: dict[str, type | tuple[type, ...]] = {"learning_rate": (int, float), "weight_decay": (int, float)}
"""The same of its optimizer."""
KEYS = {"name", "like", "data", "encoders", "tables", "training", "sweep", "raw"}


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
    reader = _Reader(path, found)
    reader.only(KEYS)
    folders = {
        key: {name: path.parent / folder for name, folder in reader.paths(key)} for key in ("encoders", "tables")
    }
    twice = folders["encoders"].keys() & folders["tables"].keys()
    if twice:
        raise reader.fault(f"names {min(twice)!r} under both [encoders] and [tables]; give each a name of its own")
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
        encoders=folders["encoders"],
        tables=folders["tables"],
        training=_training(reader.part("training")),
        sweep=_sweep(reader.part("sweep")) if "sweep" in found else None,
        raw=dict(reader.paths("raw")),
    )


class _Reader:
    """One table of the TOML file, whose faults name the file and the key."""

    def __init__(self, path: Path, values: Mapping[str, Any], where: str = "") -> None:
        self.path, self._values, self._where = path, values, where

    def fault(self, what: str) -> BadInput:
        return BadInput(f"The study {self.path} {what}.")

    def only(self, keys: set[str]) -> None:
        strange = sorted(self._values.keys() - keys)
        if strange:
            place = f" under [{self._where}]" if self._where else ""
            raise self.fault(f"has the key {strange[0]!r}{place}; known there are {', '.join(sorted(keys))}")

    def part(self, key: str) -> _Reader:
        found = self._values.get(key, {})
        if not isinstance(found, dict):
            raise self.fault(f"has {key!r} as a value; write it as a table, [{key}]")
        return _Reader(self.path, found, key)

    def value(self, key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        found = self._values.get(key, default)
        if key in self._values and (not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool)):
            raise self.fault(f"has {key} = {found!r}, which is of the wrong kind; see the documentation")
        return found

    def at_least(self, key: str, least: int, default: int) -> int:
        found: int = self.value(key, int, default)
        if key in self._values and found < least:
            raise self.fault(f"has {key} = {found}; it must be {least} or more")
        return found

    def several(self, key: str, kind: type | tuple[type, ...], default: tuple[Any, ...]) -> tuple[Any, ...]:
        found = self.value(key, list, list(default))
        if not all(isinstance(one, kind) and not isinstance(one, bool) for one in found):
            raise self.fault(f"has {key} = {found!r}, which is of the wrong kind; see the documentation")
        return tuple(dict.fromkeys(found))

    def paths(self, key: str) -> list[tuple[str, Path]]:
        part = self.part(key)
        for name, folder in part._values.items():
            if not isinstance(folder, str):
                raise self.fault(f"has {folder!r} for {name!r} under [{key}]; write a path in quotes")
        return [(name, self.path.parent / folder) for name, folder in part._values.items()]

    def given(self, kinds: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
        return {name: self.value(name, kind, None) for name, kind in kinds.items() if name in self._values}


def _data(reader: _Reader) -> Data:
    reader.only({one.name for one in fields(Data)})
    dataset = reader.value("dataset", str, "")
    if not dataset:
        raise reader.fault("has [data] without a dataset; name an adapter or a CSV file")
    if dataset.lower().endswith(".csv"):
        dataset = str(reader.path.parent / dataset)
    root = reader.value("root", str, None)
    return Data(
        dataset=dataset,
        root=None if root is None else reader.path.parent / root,
        template=reader.value("template", str, None),
        allow_leaks=reader.several("allow_leaks", str, ()),
        skip_missing=reader.value("skip_missing", bool, False),
    )


def _training(reader: _Reader) -> Training:
    own = {one.name for one in fields(Training)} - {"settings"}
    reader.only(own | SETTINGS.keys() | OPTIMIZER.keys())
    fusion = reader.several("fusion", str, ("early", "late"))
    if not fusion or not set(fusion) <= {"early", "late"}:
        raise reader.fault(f"has fusion = {list(fusion)}; it is a list of early, late or both")
    shifts = tuple(map(float, reader.several("shifts", (int, float), SHIFTS)))
    if not shifts or not all(-1 <= shift <= 1 for shift in shifts):
        raise reader.fault(f"has shifts = {list(shifts)}; they lie between -1 and 1")
    match = reader.value("match", str, align.DEFAULT)
    if match not in align.METHODS:
        raise reader.fault(f"has match = {match!r}; it is one of {', '.join(align.METHODS)}")
    wanted = reader.value("refer_accuracy", float, None)
    if wanted is not None and not 0 < wanted < 1:
        raise reader.fault(f"has refer_accuracy = {wanted}; it lies between 0 and 1")
    return Training(
        fusion=fusion,
        folds=reader.at_least("folds", 2, 5),
        seeds=reader.at_least("seeds", 1, 5),
        shifts=shifts,
        match=match,
        text_components=reader.at_least("text_components", 1, 0) or None,
        refer_accuracy=wanted,
        settings=replace(PAPER, **reader.given(SETTINGS), optimizer=AdamW(**reader.given(OPTIMIZER))),
    )


def _sweep(reader: _Reader) -> Sweep:
    reader.only({one.name for one in fields(Sweep)})
    return Sweep(reader.at_least("shifts", 2, 21), reader.at_least("seeds", 1, 5))
