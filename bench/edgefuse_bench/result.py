"""What `edgefuse bench run` found out about one configuration: the dataclasses, and the JSON file of them.

The layout is published in docs/reference/bench-result.schema.json. Files of schema 1 are read too: they have neither
`start_ns` nor meters, and count decoding to the stage "image" and tokenising to the stage "text".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefuse_bench.result_parts import MOST, check
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_json, write_json

SCHEMA = 2
RUN, RUNS = "bench run", "bench runs"

STAGES = ("decode", "image", "tokenise", "text", "head")
"""Of a query: "image" and "text" are the encoders alone."""

SCENARIOS = {"single": "SingleStream", "offline": "Offline", "sustained": "Sustained", "cold": "Cold"}
"""From the command line's words to LoadGen's; Sustained and Cold are ours."""

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Query:
    """One answer, in nanoseconds."""

    sample: int
    """Which of the samples it was asked."""
    total_ns: int
    """From asking to the answer; Offline: since the answer before; Cold: since the process was started."""
    stages_ns: Mapping[str, int]
    """What the classifier itself counted for each stage; for a first answer and in Cold "load" too, in Cold "start"."""
    start_ns: int | None = None
    """When it was asked, since the run's start; None in schema 1."""
    process: int = 0
    """Which of the run's processes answered."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "sample": self.sample,
            "process": self.process,
            "start_ns": self.start_ns,
            "total_ns": self.total_ns,
            "stages_ns": dict(self.stages_ns),
        }


@dataclass(frozen=True)
class Result:
    """What one configuration cost on one machine; a part that was not measured is empty or None."""

    scenario: str
    """One of the values of `SCENARIOS`."""
    started: str
    """ISO 8601, UTC."""
    kit: Json
    """"name", "version" and "digest"."""
    settings: Json
    """What was asked for: engine, precision, threads, queries, seconds, warmup, repeats."""
    engines: Mapping[str, str | None]
    """What ran "image" and "text"."""
    precisions: Mapping[str, str | None]
    samples: Json
    """"source" ("golden", "evaluation" or "folder"), "drawn", "count"."""
    open_ns: int
    """Opening the kit, before the first query."""
    first: Query
    """With loading; of the first process."""
    warmup: tuple[Query, ...]
    queries: tuple[Query, ...]
    memory: Json
    machine: Json
    """The machine card."""
    schema: int = SCHEMA
    edgefuse: str | None = None
    total_interval_ns: tuple[float, float] | None = None
    """Where the median of another such run lies, 19 times in 20, see `spread.py`."""
    throughput: Json | None = None
    """Offline and Sustained: "samples_per_second" and its "interval"."""
    files: Mapping[str, int] = field(default_factory=dict)
    """Bytes of each of the kit's files."""
    meters: tuple[Json, ...] = ()
    """Each "name" with "unit", "info" and "readings", or with the sentence "not_measurable"."""
    accuracy: Json = field(default_factory=dict)
    """"golden", "samples" and "kit", see `accuracy.py`."""
    notes: tuple[str, ...] = ()
    others_cores: float | None = None
    """How many cores other programs kept busy during the run."""
    emulated: bool = False
    """Whether the processor is emulated, so that times mean nothing."""

    @property
    def threads(self) -> int:
        """Of the encoders: those asked for, or what they take where nobody asks (`machine.usable_cores`)."""
        cores, limit = self.machine.get("physical_cores") or 1, self.machine.get("cgroup_cores")
        return int(self.settings.get("threads") or (cores if limit is None else max(1, min(cores, int(limit)))))

    @property
    def stages(self) -> tuple[str, ...]:
        """Those of `STAGES` that the queries have."""
        return tuple(name for name in STAGES if all(name in query.stages_ns for query in self.queries))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, in the published layout."""
        return {
            "schema": self.schema,
            "kind": RUN,
            "scenario": self.scenario,
            "started": self.started,
            "edgefuse": self.edgefuse,
            "emulated": self.emulated,
            "kit": dict(self.kit),
            "settings": dict(self.settings),
            "engines": dict(self.engines),
            "precisions": dict(self.precisions),
            "samples": dict(self.samples),
            "open_ns": self.open_ns,
            "first": self.first.to_json(),
            "warmup": [query.to_json() for query in self.warmup],
            "queries": [query.to_json() for query in self.queries],
            "total_interval_ns": None if self.total_interval_ns is None else list(self.total_interval_ns),
            "throughput": None if self.throughput is None else dict(self.throughput),
            "memory": dict(self.memory),
            "files": dict(self.files),
            "meters": [dict(meter) for meter in self.meters],
            "accuracy": dict(self.accuracy),
            "machine": dict(self.machine),
            "others_cores": self.others_cores,
            "notes": list(self.notes),
        }


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Write one result as its object, several as a list with a heading."""
    write_json(path, as_json(results))


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """What a file of these results holds."""
    if len(results) == 1:
        return results[0].to_json()
    return {"schema": SCHEMA, "kind": RUNS, "results": [result.to_json() for result in results]}


def read_results(path: Path) -> list[Result]:
    """The results in a file, in order; there is at least one.

    Raises:
        BadInput: there is no such file, it holds something else, or a newer edgefuse wrote it.
    """
    data = read_json(path, "name a file that 'edgefuse bench run --json' wrote")
    found = data.get("results") if data.get("kind") == RUNS else [data]
    if not isinstance(found, list) or not found:
        raise _foreign(path, "its list of results is missing or empty")
    return [_read(one, path) for one in found]


def _read(data: Any, path: Path) -> Result:
    if not isinstance(data, dict) or data.get("kind") != RUN:
        raise _foreign(path, "it does not say that it is one")
    schema = data.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise _foreign(path, "it names no schema")
    if schema > SCHEMA:
        raise BadInput(f"{path} has schema {schema} and this edgefuse reads up to {SCHEMA}; upgrade edgefuse.")
    try:
        return _result(data, schema)
    except KeyError as error:
        raise _foreign(path, f"it lacks {error}") from error
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise _foreign(path, str(error)) from error


def _result(data: dict[str, Any], schema: int) -> Result:
    check(data)
    if data["scenario"] not in SCENARIOS.values():
        raise ValueError(f"its scenario is {data['scenario']!r}")
    cold = data["scenario"] == "Cold"
    queries = tuple(_query(query, loads=cold) for query in data["queries"])
    if not queries:
        raise ValueError("it has no queries")
    if any(query.total_ns == 0 for query in queries):
        raise ValueError("a query took no time")
    interval, throughput = data.get("total_interval_ns"), data.get("throughput")
    return Result(
        scenario=data["scenario"],
        started=str(data["started"]),
        kit=_object(data, "kit"),
        settings=_object(data, "settings"),
        engines=_object(data, "engines"),
        precisions=_object(data, "precisions"),
        samples=_samples(_object(data, "samples")),
        open_ns=_nanoseconds(data["open_ns"]),
        first=_query(data["first"], loads=True),
        warmup=tuple(_query(query, loads=cold) for query in data["warmup"]),
        queries=queries,
        memory=_object(data, "memory"),
        machine=_object(data, "machine"),
        schema=schema,
        edgefuse=data.get("edgefuse") or _object(data, "machine").get("libraries", {}).get("edgefuse"),
        total_interval_ns=None if interval is None else (float(interval[0]), float(interval[1])),
        throughput=None if throughput is None else _object(data, "throughput"),
        files={str(name): int(size) for name, size in data.get("files", {}).items()},
        meters=tuple(dict(meter) for meter in data.get("meters", ())),
        accuracy=dict(data.get("accuracy", {})),
        notes=tuple(map(str, data.get("notes", ()))),
        others_cores=None if data.get("others_cores") is None else float(data["others_cores"]),
        emulated=bool(data.get("emulated", False)),
    )


def _query(data: Json, *, loads: bool) -> Query:
    """A query; in schema 1 every one has the stage "load", which is only long in the first answer."""
    stages = {str(name): _nanoseconds(value) for name, value in data["stages_ns"].items() if loads or name != "load"}
    start = data.get("start_ns")
    return Query(
        sample=int(data["sample"]),
        total_ns=_nanoseconds(data["total_ns"]),
        stages_ns=stages,
        start_ns=None if start is None else int(start),
        process=int(data.get("process", 0)),
    )


def _samples(data: Json) -> Json:
    """In schema 1 the golden pictures were listed."""
    return data if "count" in data else {"source": "golden", "drawn": True, "count": len(data["pictures"])}


def _object(data: Json, name: str) -> Json:
    found = data[name]
    if not isinstance(found, dict):
        raise ValueError(f"{name!r} is no object")
    return found


def _nanoseconds(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < MOST:
        raise ValueError(f"{json.dumps(value)[:40]} is no number of nanoseconds")
    return value


def _foreign(path: Path, why: str) -> BadInput:
    return BadInput(f"{path} holds no result of 'edgefuse bench run' ({why}); name a file that its --json wrote.")
