"""A run that takes too long is stopped."""

from __future__ import annotations

import math
import signal
import time

import pytest

from edgefuse_bench.tuning.measuring import at_most
from edgefuse_bench.tuning.search import TooSlowError


def test_a_block_that_takes_too_long_is_interrupted_and_the_signal_is_given_back() -> None:
    before = signal.getsignal(signal.SIGALRM)

    with pytest.raises(TooSlowError), at_most(0.05):
        time.sleep(60)

    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("seconds", [60, math.inf])
def test_a_block_that_is_quick_enough_is_left_alone(seconds: float) -> None:
    with at_most(seconds):
        pass

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
