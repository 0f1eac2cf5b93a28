"""Whether a native engine may be trusted with one file on this machine: it is tried in a child process first.

A native library can die of an illegal instruction or answer wrongly on a processor it was not built for. What the
child did with a golden sample decides, and is remembered per machine, library version and file.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.contract import Engine, Memory, ProbeSample
from edgefuse_runtimes.errors import BadInput, EngineInterrupted, EngineUnavailable
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.machine import cpu_model
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.verdicts import Record, Verdict, recall, remember
from edgefuse_runtimes.worker import WorkerEncoder, time_limit
from edgefuse_runtimes.worker_process import EngineDied

MIN_COSINE = {"fp32": 0.9999, "int8": 0.98, "q8_0": 0.95, "q4_k_m": 0.93}
"""Least centred cosine of a trusted engine's golden vector to the stored one, by the file's precision.

Where activations are rounded to 8 bits when the file runs, a difference of 1e-7 in one layer flips a few roundings, and
the layers after it make that as large as the rounding itself: an engine is then as far from another one as from
itself at another optimisation level. The limits were set below what right engines were seen to reach
(docs/explanation/engines.md has the figures), so they find an engine that is broken, not one that is a little wrong.
"""


def probe(
    engine: Engine,
    path: Path,
    spec: EncoderSpec,
    sample: Callable[[], ProbeSample],
    *,
    threads: int,
    memory: Memory,
    anew: bool = False,
) -> Verdict:
    """The remembered verdict on `engine` with this file, or a new one from a child process, also if it is asked `anew`.

    A time-out, or a child that was killed from outside, counts for this call only: the machine may have been busy.

    Raises:
        BadInput: `sample` has no golden sample to try the engine on, or the engine failed over a file that is damaged.
    """
    known = None if anew else known_verdict(engine, path, spec, threads=threads, memory=memory)
    if known is not None:
        return known
    verdict, counts = _judge(engine, path, spec, sample(), threads, memory)
    if counts:
        _remember(engine, path, spec, threads, memory, verdict)
    return verdict


def attempt(
    engine: Engine,
    path: Path,
    spec: EncoderSpec,
    sample: Callable[[], ProbeSample],
    *,
    threads: int,
    memory: Memory,
) -> Verdict:
    """What any engine, numpy too, does with the sample in a child process now; nothing is remembered.

    Raises:
        BadInput: as `probe` does.
    """
    return _judge(engine, path, spec, sample(), threads, memory)[0]


def known_verdict(engine: Engine, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory) -> Verdict | None:
    """What an earlier probe of `engine` with this file and these settings found; None where there was none."""
    return recall(_key(engine, path, spec, threads, memory))


def distrust(
    engine: Engine, path: Path, spec: EncoderSpec, error: EngineUnavailable, *, threads: int, memory: Memory
) -> None:
    """Take back the verdict on an engine that passed its probe and failed later with `error`.

    Only a death counts: an engine that hung or was killed from outside may be right on a calmer day.
    """
    if isinstance(error, EngineDied):
        verdict = Verdict(False, f"it passed its probe and died later: {_clause(error)}")
        _remember(engine, path, spec, threads, memory, verdict)


def centred_cosine(a: NDArray[np.float32], b: NDArray[np.float32], centre: NDArray[np.float32]) -> float:
    """Cosine of two vectors (d,) after `centre` (d,) is subtracted from both; a shared offset hides no error."""
    x, y = (a - centre).astype(np.float64), (b - centre).astype(np.float64)  # (d,), (d,)
    return float(x @ y / max(float(np.linalg.norm(x) * np.linalg.norm(y)), 1e-30))


def _judge(
    engine: Engine, path: Path, spec: EncoderSpec, sample: ProbeSample, threads: int, memory: Memory
) -> tuple[Verdict, bool]:
    """What the engine does with the sample, and whether that counts beyond this call."""
    try:
        verdict = _try(engine, path, spec, sample, threads, memory)
    except EngineInterrupted as error:
        return Verdict(False, _clause(error)), False
    except (EngineUnavailable, BadInput) as error:
        verdict = Verdict(False, _clause(error))
        if isinstance(error, EngineDied) and error.signal == "SIGILL":
            return verdict, True  # the processor's fault, whatever the file holds
    if not verdict.trusted:
        _check_file(path, spec)
    return verdict, True


def _try(engine: Engine, path: Path, spec: EncoderSpec, sample: ProbeSample, threads: int, memory: Memory) -> Verdict:
    """Open the file and encode the sample in a child process; both together have one time limit."""
    limit = time_limit(spec)
    with WorkerEncoder(
        engine.child or engine.encoder,
        path,
        spec,
        threads=threads,
        memory=memory,
        timeout=limit,
        lifetime=limit,
        name=engine.name,
    ) as encoder:
        vector = encoder.encode(sample.batch)[0]  # (d,)
        info = {name: value for name, value in encoder.info().items() if name != "pid"}
    cosine = centred_cosine(vector, sample.expected, sample.centre)
    if not cosine >= MIN_COSINE.get(spec.precision, MIN_COSINE["fp32"]):  # NaN is wrong too
        return Verdict(False, f"its vector of the golden sample is wrong, centred cosine {cosine:.4f}", info)
    return Verdict(True, "", info)


def _check_file(path: Path, spec: EncoderSpec) -> None:
    """Raise BadInput if the encoder's file is not the one that was described: numpy would be as wrong with it.

    Only after an engine failed: hashing gigabytes at each start would cost more than most answers.
    """
    for part in (spec, spec.data):
        file = path if part is None else path.with_name(part.file)
        if part is not None and sha256(file) != part.sha256:
            raise BadInput(f"{file} is damaged (sha256 differs); copy or export it again.")


def _remember(engine: Engine, path: Path, spec: EncoderSpec, threads: int, memory: Memory, verdict: Verdict) -> None:
    record = Record(
        engine=engine.name,
        library=f"{engine.package} {library_version(engine)}",
        file=str(path.resolve()),
        sha256=spec.sha256,
        threads=threads,
        memory=memory,
        processor=cpu_model(),
        python=platform.python_version(),
        trusted=verdict.trusted,
        reason=verdict.reason,
        info=verdict.info,
    )
    remember(_key(engine, path, spec, threads, memory), record)


def _clause(error: Exception) -> str:
    """An error's sentence, to be a part of another one."""
    return str(error).rstrip(".")


def _key(engine: Engine, path: Path, spec: EncoderSpec, threads: int, memory: Memory) -> str:
    stat = path.stat()
    facts = [
        engine.name, library_version(engine), spec.sha256, spec.pooling, spec.normalize, stat.st_size, stat.st_mtime_ns,
        platform.machine(), cpu_model(), platform.python_version(), threads, memory,
    ]  # fmt: skip
    if spec.data is not None:
        data = path.with_name(spec.data.file).stat()
        facts += [spec.data.sha256, data.st_size, data.st_mtime_ns]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def library_version(engine: Engine) -> str:
    """The version of the engine's library, or which file it is where another package brings it (onnxruntime-gpu).

    "" where it is not installed.
    """
    if not engine.module:
        return np.__version__
    try:
        return metadata.version(engine.package)
    except metadata.PackageNotFoundError:
        found = util.find_spec(engine.module)
        origin = Path(found.origin) if found and found.origin else None
        return f"{origin} {origin.stat().st_mtime_ns}" if origin and origin.is_file() else ""
