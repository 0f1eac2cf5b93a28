"""Whether a native engine may be trusted with one file on this machine: it is tried in a child process first.

A native library can die of an illegal instruction or answer wrongly on a processor it was not built for. What the
child did with a golden sample decides, and is remembered per machine, library version and file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.contract import Engine, Memory, ProbeSample
from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.files import write_json
from edgefuse_runtimes.machine import cpu_model
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.worker import WorkerEncoder, time_limit
from edgefuse_runtimes.worker_process import EngineInterrupted

MIN_COSINE = {"fp32": 0.9999, "int8": 0.98, "q8_0": 0.95, "q4_k_m": 0.93}
"""Least centred cosine of a trusted engine's golden vector to the stored one, by the file's precision.

Where activations are rounded to 8 bits when the file runs, a difference of 1e-7 in one layer flips a few roundings, and
the layers after it make that as large as the rounding itself: an engine is then as far from another one as from
itself at another optimisation level. The limits were set below what right engines were seen to reach
(docs/explanation/engines.md has the figures), so they find an engine that is broken, not one that is a little wrong.
"""


@dataclass(frozen=True)
class Verdict:
    """What a probe found."""

    trusted: bool
    reason: str
    """Why not; "" when trusted."""


def probe(
    engine: Engine,
    path: Path,
    spec: EncoderSpec,
    sample: Callable[[], ProbeSample],
    *,
    threads: int,
    memory: Memory,
) -> Verdict:
    """The remembered verdict on `engine` with this file, or a new one from a child process.

    A time-out, or a child that was killed from outside, counts for this call only: the machine may have been busy.

    Raises:
        BadInput: `sample` has no golden sample to try the engine on.
    """
    key = _key(engine, path, spec, threads, memory)
    known = _read_verdicts().get(key)
    if known is not None:
        return known
    golden, seconds = sample(), time_limit(spec)
    try:
        verdict = _try(engine, path, spec, golden, threads, memory, seconds)
    except EngineInterrupted as error:
        return Verdict(False, str(error).rstrip("."))
    except (EngineUnavailable, BadInput) as error:
        verdict = Verdict(False, str(error).rstrip("."))
    _remember(key, verdict)
    return verdict


def centred_cosine(a: NDArray[np.float32], b: NDArray[np.float32], centre: NDArray[np.float32]) -> float:
    """Cosine of two vectors (d,) after `centre` (d,) is subtracted from both; a shared offset hides no error."""
    x, y = (a - centre).astype(np.float64), (b - centre).astype(np.float64)  # (d,), (d,)
    return float(x @ y / max(float(np.linalg.norm(x) * np.linalg.norm(y)), 1e-30))


def _try(
    engine: Engine,
    path: Path,
    spec: EncoderSpec,
    sample: ProbeSample,
    threads: int,
    memory: Memory,
    seconds: float,
) -> Verdict:
    with WorkerEncoder(engine.child, path, spec, threads=threads, memory=memory, timeout=seconds) as encoder:
        vector = encoder.encode(sample.batch)[0]  # (d,)
    cosine = centred_cosine(vector, sample.expected, sample.centre)
    if not cosine >= MIN_COSINE.get(spec.precision, MIN_COSINE["fp32"]):  # NaN is wrong too
        return Verdict(False, f"its vector of the golden sample is wrong, centred cosine {cosine:.4f}")
    return Verdict(True, "")


def _key(engine: Engine, path: Path, spec: EncoderSpec, threads: int, memory: Memory) -> str:
    stat = path.stat()
    facts = [
        engine.name, _library(engine), spec.sha256, stat.st_size, stat.st_mtime_ns,
        platform.machine(), cpu_model(), platform.python_version(), threads, memory,
    ]  # fmt: skip
    if spec.data is not None:
        data = path.with_name(spec.data.file).stat()
        facts += [spec.data.sha256, data.st_size, data.st_mtime_ns]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _library(engine: Engine) -> str:
    """The version of the engine's library, or which file it is where another package brings it (onnxruntime-gpu)."""
    try:
        return metadata.version(engine.package)
    except metadata.PackageNotFoundError:
        found = util.find_spec(engine.module)
        origin = Path(found.origin) if found and found.origin else None
        return f"{origin} {origin.stat().st_mtime_ns if origin and origin.is_file() else 0}"


def verdicts_path() -> Path:
    """Where the verdicts of this user on this machine are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "edgefuse" / "probes.json"


def _read_verdicts() -> dict[str, Verdict]:
    try:
        return {key: Verdict(**value) for key, value in json.loads(verdicts_path().read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # nothing known, or not readable: probing again is always right


def _remember(key: str, verdict: Verdict) -> None:
    known = {name: asdict(value) for name, value in _read_verdicts().items()}
    with contextlib.suppress(OSError):  # a read-only home costs a probe each time, never an answer
        write_json(verdicts_path(), known | {key: asdict(verdict)})
