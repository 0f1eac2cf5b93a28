"""Rounds: who is asked what, in which order, and what becomes of one that fails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgefuse_bench.peers.rounds import play
from edgefuse_runtimes.errors import EngineUnavailable

Log = list[tuple[str, int]]


def peer(name: str, log: Log, clock: list[int], cost: int, dies_at: int | None = None) -> Callable[[int], np.ndarray]:
    """A peer that takes `cost` nanoseconds of a clock that stands still otherwise."""

    def encode(sample: int) -> np.ndarray:
        if sample == dies_at:
            raise EngineUnavailable(f"{name} was ended by signal SIGILL.")
        log.append((name, sample))
        clock[0] += cost
        return np.array([sample], np.float32)

    return encode


def test_each_round_gives_the_same_samples_to_all_in_an_order_that_changes() -> None:
    log: Log = []
    clock = [0]
    peers = {name: peer(name, log, clock, cost) for name, cost in (("a", 10), ("b", 30))}

    played = play(peers, [[1, 2], [3, 4]], pause=0, clock=lambda: clock[0])

    first = [("a", 1), ("a", 1), ("a", 2), ("b", 1), ("b", 1), ("b", 2)]  # its first sample warms a peer up
    second = [("b", 3), ("b", 3), ("b", 4), ("a", 3), ("a", 3), ("a", 4)]
    assert log == first + second
    assert played.times == {"a": [[10, 10], [10, 10]], "b": [[30, 30], [30, 30]]}
    assert {name: np.concatenate(own).tolist() for name, own in played.vectors.items()} == {
        "a": [1, 2, 3, 4],
        "b": [1, 2, 3, 4],
    }


def test_one_that_fails_is_left_out_from_then_on_and_costs_the_others_nothing() -> None:
    log: Log = []
    clock = [0]
    peers = {"a": peer("a", log, clock, 10), "b": peer("b", log, clock, 30, dies_at=3)}

    played = play(peers, [[1], [3], [5]], pause=0, clock=lambda: clock[0])

    assert played.failures == {"b": "b was ended by signal SIGILL."}
    assert list(played.times) == list(played.vectors) == ["a"]
    assert len(played.times["a"]) == 3
    assert ("b", 5) not in log
