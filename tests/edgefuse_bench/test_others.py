"""Other programs' share of the processor is told apart from our own."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgefuse_bench.others import Moment, moment, others_cores, sentence


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_own_work_and_that_of_ended_children_is_not_others() -> None:
    """Both burn about as much as the clock of /proc/stat and the children's resource usage say."""
    before = moment()
    child = multiprocessing.get_context("spawn").Process(target=burn, args=(0.3,))
    child.start()
    burn(0.3)
    child.join()
    after = moment()

    assert after.own - before.own >= 0.6
    assert after.busy - before.busy >= 0.5  # it counts in hundredths


def test_a_worker_that_still_runs_is_our_own() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; sum(range(10**7)); time.sleep(60)"]) as worker:
        while not (after := moment(workers=[worker.pid])).own - moment().own >= 0.1:
            time.sleep(0.05)
        worker.kill()

    assert after.busy > after.own
    assert moment(workers=[2**22 + 1]).own == pytest.approx(moment().own, abs=0.1)  # of no process


def test_the_share_of_others_is_what_is_left() -> None:
    before, after = Moment(10, 100, 5), Moment(20, 118, 8)

    assert others_cores(before, after) == pytest.approx(1.5)
    assert others_cores(before, Moment(20, 102, 8)) == 0
    assert others_cores(None, after) is None


def test_columns_are_those_of_proc_5(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 20 30 9999 8888 4 5 6 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")

    assert moment(tmp_path).busy == pytest.approx(1.65)
    assert moment(tmp_path / "missing") is None


def test_a_busy_machine_gets_a_sentence_and_an_idle_one_none() -> None:
    assert "kept 1.5 of 2 cores busy" in sentence(1.53, 2)[0]
    assert sentence(0.02, 2) == sentence(None, 2) == []
