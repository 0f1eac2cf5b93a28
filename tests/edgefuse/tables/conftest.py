"""A small embedding table with awkward numbers, and files that a test writes itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgefuse.embeddings import table as embeddings
from edgefuse.embeddings.table import Row, Table, open_table, shard_path, shards, write_description, write_shard
from edgefuse.tables import importing, parquet

COUNT = 11


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (embeddings, importing, parquet):
        monkeypatch.setattr(module, "SHARD_ROWS", 4)


def awkward(count: int, width: int, seed: int) -> np.ndarray:
    """float32 (count, width) of every size: whole, tiny, huge, denormal, negative zero, and any bits."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(0, 1, (count, width)).astype(np.float32) * 10.0 ** rng.integers(-40, 38, (count, width))
    numbers = numbers.astype(np.float32)
    numbers.flat[:6] = [0.0, -0.0, 1.0, 1e-45, np.finfo(np.float32).max, -0.1]
    return numbers


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Eleven rows in shards of four, two subgroups, commas, quotes and lines' ends in their cells."""
    folder = tmp_path / "V"
    rows = [
        Row(
            f"id{k}",
            ("b", "a, with comma")[k % 2],
            f"group\n{k // 2}",
            ("train", "train", "test", "test", "validation", "validation")[k % 6],
            (["old", "young"][k % 2], f'"{k}"\r{k}'),
        )
        for k in range(COUNT)
    ]
    description = {
        "encoders": {"image": {"sha256": "1", "width": 3}, "text": {"sha256": "2", "width": 5}},
        "dataset": {"name": "made up", "licence": "none", "drawn": False},
        "classes": ["b", "a, with comma"],
        "split_seed": 7,
    }
    write_description(folder, description, rows, ["age", "site"])
    image, text = awkward(COUNT, 3, 1), awkward(COUNT, 5, 2)
    for number, span in enumerate(shards(COUNT)):
        write_shard(shard_path(folder, "image", number), image[span.start : span.stop])
        write_shard(shard_path(folder, "text", number), text[span.start : span.stop])
    return open_table(folder)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV file of lines."""

    def write_file(name: str, lines: Sequence[str]) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write_file
