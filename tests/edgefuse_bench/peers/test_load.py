"""How much other programs worked: all that the machine did, less what was ours."""

from __future__ import annotations

import pytest

from edgefuse_bench.peers import load


def test_others_work_is_what_was_busy_and_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    now, busy, own = [100.0], [50.0], [7.0]
    monkeypatch.setattr(load.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(load, "_busy", lambda: busy[0])
    monkeypatch.setattr(load.OthersWork, "_our_seconds", lambda self: own[0])
    monkeypatch.setattr(load.psutil, "cpu_count", lambda: 4)
    work = load.OthersWork([])

    now[0] += 10  # 40 seconds of four cores
    busy[0] += 16
    own[0] += 6

    assert work.share() == pytest.approx(10 / 40)


def test_a_process_that_has_ended_counts_for_nothing() -> None:
    assert 0 <= load.OthersWork([2**22 + 1]).share() <= 1
