"""What scripts use to watch the memory of work in a fresh process."""

from __future__ import annotations

import importlib
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from edgefuse_runtimes.machine import process_memory


def test_memory_of_a_process_and_its_children_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "bench"))
    script = importlib.import_module("fresh_process")
    done: Future[None] = Future()
    with script.fresh_process() as child:
        work = child.submit(np.ones, 1 << 23)  # 64 MiB
        work.add_done_callback(lambda _: done.set_result(None))
        pid = next(iter(child._processes))
        assert script.most_anonymous(pid, done) >= 64 << 20
    assert process_memory(pid).anon_bytes == 0
