"""When the answers of a batch were there, of which several are found together."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from edgefuse_bench.asking import Asker
from edgefuse_bench.offline import TimedAnswers
from edgefuse_bench.query_log import QueryLog

NO_TIMES = dict.fromkeys(("load", "image", "decode", "text", "tokenise", "head"), 0.0)


class Told:
    """What the log and the asker of a batch were told."""

    def __init__(self) -> None:
        self.times: list[tuple[int, int, int]] = []
        self.kept: list[int] = []

    def write(self, kind: int, sample: int, start_ns: int, total_ns: int, stages: dict[str, int]) -> None:
        self.times.append((sample, start_ns, total_ns))

    def keep(self, sample: int, answer: dict[str, Any]) -> None:
        self.kept.append(sample)


def test_answers_that_are_found_together_share_their_time_and_follow_each_other(tmp_path: Path) -> None:
    told = Told()
    log, asker = cast(QueryLog, told), cast(Asker, told)
    with TimedAnswers(tmp_path / "a.jsonl", "digest", asked=[7, 8, 7, 8, 7], group=2, log=log, asker=asker) as answers:
        for number in range(5):
            assert len(told.times) == number // 2 * 2
            answers.append(str(number), {"kit": {"digest": "digest"}, "timings_ms": NO_TIMES})

    samples, starts, totals = zip(*told.times, strict=True)
    assert samples == tuple(told.kept) == (7, 8, 7, 8, 7)
    assert (totals[0], totals[2]) == (totals[1], totals[3])
    assert [starts[1] - starts[0], starts[3] - starts[2]] == [totals[0], totals[2]]
    assert all(0 <= later - start - total < 2 for start, later, total in zip(starts, starts[1:], totals, strict=False))
