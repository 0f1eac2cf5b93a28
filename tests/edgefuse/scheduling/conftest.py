"""Samples with many notes and few pictures, and the table that one machine makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest
from PIL import Image

from edgefuse.datasets import Dataset, open_dataset
from edgefuse.extraction.running import Settings, extract
from edgefuse.kits.encoders import Encoders
from edgefuse.scheduling import work

ROWS, PICTURES = 300, 8
ONE_THREAD = Settings(engine="numpy", threads=1)


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """300 rows in two shards; every eighth note is one that was there before."""
    folder = tmp_path_factory.mktemp("many")
    for k in range(PICTURES):
        Image.effect_noise((60, 50), 20 * k + 9).convert("RGB").save(folder / f"{k}.png")
    numbers = [k - 7 if k % 8 == 7 else k for k in range(ROWS)]
    notes = [f"note {number} of a patient, {'very ' * (number % 5)}long" for number in numbers]
    lines = [f'{k},{k % PICTURES}.png,"{note}",{"ab"[k % 2]}' for k, note in enumerate(notes)]
    (folder / "table.csv").write_text("\n".join(["id,image,text,label", *lines]) + "\n")
    return open_dataset(str(folder / "table.csv"))


@pytest.fixture(scope="session")
def alone(many: Dataset, tiny_encoders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their table, made by this process alone."""
    folder = tmp_path_factory.mktemp("alone") / "V"
    extract(many, Encoders.open(tiny_encoders), folder, settings=ONE_THREAD)
    return folder


def _three_workers() -> distributed.LocalCluster:
    """A scheduler with three worker processes; each is started again when it dies."""
    return distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, dashboard_address=":0", memory_limit=0, silence_logs=50
    )


@pytest.fixture(scope="session")
def workers() -> Iterator[Any]:
    """Three workers that all tests share: they are not harmed, and no files are sent to them."""
    with _three_workers() as cluster:
        yield cluster


@pytest.fixture
def workers_of_its_own() -> Iterator[Any]:
    """Three workers for a test that harms them, or that counts what is sent to new ones."""
    with _three_workers() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _no_encoder_stays_open() -> Iterator[None]:
    yield
    if work._opened is not None:
        work._opened.encoder.close()
        work._opened = None
