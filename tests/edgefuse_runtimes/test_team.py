from __future__ import annotations

import threading

import numpy as np
import pytest

from edgefuse_runtimes.team import Team


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("rows", [0, 1, 3, 64])
def test_every_row_is_done_once(threads, rows):
    done = np.zeros(rows, int)

    def work(first, last):
        done[first:last] += 1

    team = Team(threads)
    team.share(rows, work)
    team.close()
    assert (done == 1).all()


def test_parts_are_worked_on_at_the_same_time():
    all_here = threading.Barrier(3, timeout=30)
    team = Team(3)
    team.share(3, lambda first, last: all_here.wait())  # breaks if one part waits for another to end
    team.close()


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 64])
def test_every_number_is_taken_once(threads, count):
    team, taken = Team(threads), []
    team.each(count, taken.append)
    team.close()
    assert sorted(taken) == list(range(count))


def test_a_free_thread_takes_the_next_number():
    done = [threading.Event() for _ in range(5)]

    def work(number):
        if number == 0:  # ends only after all others were done, by the other thread
            assert all(event.wait(timeout=30) for event in done[1:])
        done[number].set()

    team = Team(2)
    team.each(5, work)
    team.close()


def test_an_error_in_any_thread_reaches_the_caller():
    def work(first, last):
        if last == 4:
            raise ValueError("in the last part")

    with pytest.raises(ValueError, match="in the last part"):
        Team(2).share(4, work)


def test_scratch_memory_is_a_thread_s_own_and_grows():
    team, found = Team(2), {}

    def work(first, last):
        team.scratch(4)[:] = first
        found[first] = team.scratch(4)

    team.share(2, work)
    assert {first: values.tolist() for first, values in found.items()} == {0: [0.0] * 4, 1: [1.0] * 4}
    small, large = team.scratch(2), team.scratch(9)
    assert (len(small), len(large)) == (2, 9)
    assert np.shares_memory(large, team.scratch(3))
