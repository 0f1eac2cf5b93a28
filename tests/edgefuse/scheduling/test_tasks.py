"""Portions as tasks, what goes over for them, and which are late."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse.scheduling import tasks
from edgefuse.scheduling.tasks import Task, late, packed, tasks_of
from edgefuse.scheduling.work import SharedPicture
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Five pictures of some kilobytes."""
    paths = [tmp_path / "root" / f"{k}.png" for k in range(5)]
    paths[0].parent.mkdir()
    for k, path in enumerate(paths):
        Image.effect_noise((40, 30), 10 * k + 5).convert("RGB").save(path)
    return paths


def test_notes_of_a_portion_stay_together() -> None:
    portions = [[np.arange(3, dtype=np.int32)] * 16, [np.arange(2, dtype=np.int32)] * 4]
    found = list(tasks_of(portions, send_pictures=True))
    assert [(task.portion, task.offset, len(task.samples)) for task in found] == [(0, 0, 16), (1, 0, 4)]
    assert packed(found[1].samples, None) is portions[1]


def test_pictures_that_are_sent_are_parted_by_their_size(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [path.stat().st_size for path in pictures]
    for limit, parts in ((sum(sizes), [5]), (sizes[0] + sizes[1], [2, 1, 1, 1]), (1, [1] * 5)):
        monkeypatch.setattr(tasks, "SENT_BYTES", limit)
        found = list(tasks_of([pictures], send_pictures=True))
        assert [len(task.samples) for task in found] == parts
        assert [path for task in found for path in task.samples] == pictures
        assert [task.offset for task in found] == [sum(parts[:k]) for k in range(len(parts))]
    assert [len(task.samples) for task in tasks_of([pictures], send_pictures=False)] == [5]


def test_a_picture_goes_over_as_its_file_or_its_place(pictures: list[Path]) -> None:
    root = pictures[0].parent
    assert packed(pictures, None) == [path.read_bytes() for path in pictures]
    assert packed(pictures[:1], (root, "/there")) == [SharedPicture("/there/0.png", pictures[0].stat().st_size)]
    with pytest.raises(BadInput, match="is not below"):
        packed(pictures, (root / "deeper", "/there"))


def test_late_tasks_are_those_far_beyond_the_usual_that_one_worker_has() -> None:
    now = time.monotonic()
    old, older, young, twice = (Task(k, 0, [], sent=now - age) for k, age in enumerate((50, 90, 3, 99)))
    running = {"a": old, "b": young, "c": older, "d": twice, "e": twice}
    assert late(running, [1.0, 10.0, 12.0]) == [older, old]
    assert late(running, [100.0]) == []
    assert late(running, []) == []
