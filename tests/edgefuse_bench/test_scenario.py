"""SingleStream times what it asks, one query after another."""

from __future__ import annotations

from edgefuse_bench.scenario import Query, single_stream


def test_each_query_is_timed_from_asking_to_its_answer() -> None:
    now = [0]
    asked = []

    def answer(sample: str) -> dict[str, float]:
        asked.append(sample)
        now[0] += 7_000_000 if sample == "slow" else 2_000_000
        return {"load": 0.0, "text": 1.25, "image": 0.5, "head": 0.000001, "total": 9.0}

    def clock() -> int:
        now[0] += 10
        return now[0]

    queries = single_stream(answer, ["fast", "slow"], [0, 1, 0], clock)

    assert asked == ["fast", "slow", "fast"]
    stages = {"load": 0, "text": 1_250_000, "image": 500_000, "head": 1}
    assert queries == [Query(0, 2_000_010, stages), Query(1, 7_000_010, stages), Query(0, 2_000_010, stages)]
