"""The search on a machine whose times are written down, so that what it should find is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

import pytest

from edgefuse.kits.tuned import StageChoice
from edgefuse_bench.tuning.search import (
    LEAST_ROUNDS,
    MOST_ROUNDS,
    Configuration,
    Ran,
    Search,
    Times,
    TooSlowError,
    chance_of_wins,
)
from edgefuse_runtimes.spec import Modality

USUAL = Configuration("auto", 2, None)
OTHERS = (Configuration("auto", 1, None), Configuration("numpy", 2, None), Configuration("auto", 2, "fp32"))
NATIVE = {"image": "onnxruntime", "text": "llama.cpp"}


class Machine:
    """A device with a clock of its own: `times` in milliseconds for image and text, and noise of some share."""

    def __init__(self, times: Mapping[Configuration, tuple[float, float]], noise: float = 0.02, seed: int = 0) -> None:
        self.now = 0.0
        self.ran: list[Configuration] = []
        self._times, self._noise, self._random = times, noise, Random(seed)

    def measure(self, one: Configuration, queries: int, limit_s: float) -> dict[Modality, Ran]:
        self.ran.append(one)
        seconds = 1 + queries * sum(self._times[one]) / 1e3
        if seconds > limit_s:
            self.now += limit_s
            raise TooSlowError
        found: dict[Modality, Ran] = {}
        modalities: tuple[Modality, Modality] = ("image", "text")
        for modality, milliseconds in zip(modalities, self._times[one], strict=True):
            engine = NATIVE[modality] if one.engine == "auto" else one.engine
            precision = {"image": one.precision or "int8", "text": "q8_0"}[modality]
            spread = 1 + self._noise * self._random.uniform(-1, 1)
            found[modality] = Ran(StageChoice(engine, one.threads, precision), milliseconds * spread * 1e6)
        self.now += seconds
        return found


def search(machine: Machine, budget_s: float = 3600) -> Search:
    found = Search((USUAL, *OTHERS), machine.measure, budget_s, clock=lambda: machine.now)
    found.run()
    return found


def best(found: Search) -> dict[Modality, StageChoice]:
    return {modality: times.best for modality, times in found.times().items()}


def test_each_encoder_gets_the_way_that_is_fastest_for_it() -> None:
    machine = Machine({USUAL: (100, 200), OTHERS[0]: (150, 120), OTHERS[1]: (300, 400), OTHERS[2]: (60, 200)})

    assert best(search(machine)) == {
        "image": StageChoice("onnxruntime", 2, "fp32"),
        "text": StageChoice("llama.cpp", 1, "q8_0"),
    }


def test_what_is_usual_is_kept_where_nothing_is_faster() -> None:
    machine = Machine({USUAL: (100, 200), **dict.fromkeys(OTHERS, (101, 201))}, noise=0.3)

    assert best(search(machine)) == {
        "image": StageChoice("onnxruntime", 2, "int8"),
        "text": StageChoice("llama.cpp", 2, "q8_0"),
    }


@pytest.mark.parametrize("seed", range(20))
def test_equal_ways_are_hardly_ever_exchanged(seed: int) -> None:
    machine = Machine({USUAL: (100, 200), **dict.fromkeys(OTHERS, (100, 200))}, noise=0.04, seed=seed)

    assert best(search(machine))["image"] == StageChoice("onnxruntime", 2, "int8")


def test_what_is_far_slower_runs_once() -> None:
    machine = Machine({USUAL: (100, 200), OTHERS[0]: (90, 190), OTHERS[1]: (900, 2000), OTHERS[2]: (400, 200)})
    search(machine)

    assert [machine.ran.count(one) for one in (OTHERS[1], OTHERS[2])] == [1, 1]
    assert machine.ran.count(USUAL) >= LEAST_ROUNDS


def test_a_run_of_many_times_the_usual_time_is_stopped() -> None:
    machine = Machine({USUAL: (100, 200), OTHERS[0]: (90, 190), OTHERS[1]: (90_000, 200), OTHERS[2]: (400, 200)})
    found = search(machine)

    assert found.too_slow == [OTHERS[1]]
    assert machine.ran.count(OTHERS[1]) == 1
    assert machine.now < 500


def test_the_search_ends_as_soon_as_only_what_is_usual_is_left() -> None:
    machine = Machine({USUAL: (100, 200), **dict.fromkeys(OTHERS, (400, 700))})
    found = search(machine)

    assert (found.rounds, found.runs) == (1, 4)


def test_noise_that_hides_a_gain_costs_more_rounds_but_never_endless_ones() -> None:
    machine = Machine({USUAL: (100, 200), **dict.fromkeys(OTHERS, (93, 190))}, noise=0.5)

    assert LEAST_ROUNDS <= search(machine).rounds <= MOST_ROUNDS


@pytest.mark.parametrize("budget_s", [0.5, 5, 30, 120])
def test_no_run_begins_that_would_end_beyond_the_time(budget_s: float) -> None:
    machine = Machine({USUAL: (100, 200), OTHERS[0]: (80, 150), OTHERS[1]: (100, 200), OTHERS[2]: (100, 200)})
    found = search(machine, budget_s)

    assert found.runs == len(machine.ran)
    assert found.runs == 1 or machine.now <= budget_s


def test_rounds_turn_so_that_none_is_always_first() -> None:
    machine = Machine({USUAL: (100, 200), **dict.fromkeys(OTHERS, (101, 201))})
    search(machine)

    assert machine.ran[:8] == [USUAL, *OTHERS, OTHERS[0], OTHERS[1], OTHERS[2], USUAL]


def times_of(rounds: dict[int, float], usual: dict[int, float]) -> tuple[Times, StageChoice]:
    kept, other = StageChoice("numpy", 2, "int8"), StageChoice("numpy", 1, "int8")
    return Times(kept, {kept: usual, other: rounds}), other


def number_all(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


@pytest.mark.parametrize(
    ("values", "better"),
    [
        ([80, 80, 80, 80, 80], True),
        ([80, 80, 80, 80], False),  # four of four are a matter of chance
        ([80, 80, 80, 80, 101], False),
        ([97, 97, 97, 97, 97], False),  # faster, and not worth a change
        ([80, 80, 80, 80, 80, 80, 80, 101], True),
    ],
)
def test_better_means_beyond_chance_and_clearly(values: list[float], better: bool) -> None:
    times, other = times_of(number_all(values), number_all([100] * len(values)))

    assert times.is_better(other) == better


def test_only_times_of_one_round_are_compared() -> None:
    times, other = times_of({0: 50, 2: 20}, {0: 100, 1: 1})

    assert times.ratios(other) == [0.5]


@pytest.mark.parametrize(("wins", "rounds", "chance"), [(5, 5, 1 / 32), (0, 5, 1), (7, 8, 9 / 256), (4, 4, 1 / 16)])
def test_the_chance_of_wins_is_the_binomial_tail(wins: int, rounds: int, chance: float) -> None:
    assert chance_of_wins(wins, rounds) == pytest.approx(chance)


def test_the_sign_test_agrees_with_scipy() -> None:
    binomtest: Callable[..., object] = pytest.importorskip("scipy.stats").binomtest
    for rounds in range(1, MOST_ROUNDS + 1):
        for wins in range(rounds + 1):
            expected = binomtest(wins, rounds, 0.5, alternative="greater").pvalue  # type: ignore[attr-defined]
            assert chance_of_wins(wins, rounds) == pytest.approx(expected)
