"""Reads meters beside a run, in a thread of the process that waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from edgefuse_bench.meters.meter import Meter, Value, joules


class Sampler:
    """Reads all meters at the start, at every interval and at the end of the block `with Sampler(meters) as sampler`.

    A reading that fails is left out: no meter ever ends a run.
    """

    def __init__(self, meters: Sequence[Meter], interval_s: float = 1.0, *, start_ns: int | None = None) -> None:
        """Args:
        meters: of `all_meters`.
        interval_s: seconds from one round of readings to the next.
        start_ns: the run's start on `time.monotonic_ns`, from which readings count; None: when the block begins.
        """
        self._meters = list(meters)
        self._interval_s = interval_s
        self._start_ns = start_ns
        self._readings: list[list[dict[str, Any]]] = [[] for _ in self._meters]
        self._spent_ns = [0] * len(self._meters)
        self._rounds = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meters", daemon=True)

    def __enter__(self) -> Sampler:
        if self._start_ns is None:
            self._start_ns = time.monotonic_ns()
        self._round()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._round()

    def results(self) -> list[dict[str, Any]]:
        """What each meter said, as a bench result holds it, in plain JSON types.

        {"name", "unit", "info", "readings": [{"t_ns", "value"}], "joules", "reading_ns"}: "joules" only where the unit
        is W or J and there are two readings; "reading_ns" is what one reading took, on average. Or {"name",
        "not_measurable"}.
        """
        return [self._result(index, meter) for index, meter in enumerate(self._meters)]

    def _result(self, index: int, meter: Meter) -> dict[str, Any]:
        info = meter.info()
        if "not_measurable" in info:
            return {"name": meter.name, "not_measurable": info["not_measurable"]}
        readings = self._readings[index]
        result = {"name": meter.name, "unit": meter.unit, "info": info, "readings": list(readings)}
        energy = joules(meter.unit, readings)
        return (
            result
            | ({} if energy is None else {"joules": energy})
            | {"reading_ns": self._spent_ns[index] // max(1, self._rounds)}
        )

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._round()

    def _round(self) -> None:
        self._rounds += 1
        for index, meter in enumerate(self._meters):
            asked = time.monotonic_ns()
            value = _read(meter)
            answered = time.monotonic_ns()
            self._spent_ns[index] += answered - asked
            if value is not None:
                moment = (asked + answered) // 2 - (self._start_ns or 0)
                self._readings[index].append({"t_ns": moment, "value": value})


def _read(meter: Meter) -> Value | None:
    try:
        return meter.read()
    except Exception:  # noqa: BLE001 - whatever a sensor's driver does, the run goes on
        return None
