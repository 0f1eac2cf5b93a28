"""One comparison: samples read, files made, peers opened, rounds played, figures taken."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np

import edgefuse
from edgefuse.card import machine_card
from edgefuse.kits.encoders import Encoders
from edgefuse.progress import Progress, silent
from edgefuse_bench.peers.catalogue import REFERENCES, peers_of
from edgefuse_bench.peers.figures import closeness, round_ratios, spread
from edgefuse_bench.peers.load import OthersWork
from edgefuse_bench.peers.peer import Floats, Order, Peer, Sample, batch_of
from edgefuse_bench.peers.preparing import prepare
from edgefuse_bench.peers.rounds import Played, play
from edgefuse_bench.peers.samples import choose, ready, write_calibration
from edgefuse_bench.peers.sources import check_source, find_source
from edgefuse_runtimes.errors import BadInput, EdgefuseError, EngineUnavailable
from edgefuse_runtimes.machine import physical_cores, process_memory
from edgefuse_runtimes.spec import Modality
from edgefuse_runtimes.worker import WorkerEncoder

SCHEMA = 1

LIBRARIES = ("torch", "transformers", "optimum-onnx", "openvino", "nncf")
"""Those of peers that the machine card does not name."""

SECONDS = 300.0
"""That a peer may take to open, or for one sample."""


@dataclass(frozen=True)
class Settings:
    """How long and on what."""

    rounds: int = 16
    count: int = 8
    """Samples of each round."""
    threads: int | None = None
    """The physical cores where it is not given."""
    dataset: str | None = None
    root: Path | None = None


@dataclass(frozen=True)
class Opened:
    """A peer in its process."""

    peer: Peer
    encoder: WorkerEncoder
    open_ns: int
    """From the start of its process until the weights were there."""


def compare(
    encoders: Encoders, sources: dict[Modality, str], settings: Settings, progress: Progress = silent
) -> dict[str, Any]:
    """Everything that the run found, as plain JSON types.

    Args:
        encoders: made by `edgefuse export`.
        sources: what the encoders that shall be compared were exported from.
        settings: of the run.
        progress: shows the steps.

    Raises:
        BadInput: a source is missing or another one, or the samples cannot be read.
    """
    found = {modality: find_source(source) for modality, source in sources.items()}
    specs = {"image": encoders.image, "text": encoders.text}
    for modality, source in found.items():
        check_source(source, specs[modality])
    started = datetime.now(UTC).isoformat(timespec="seconds")
    threads = settings.threads or physical_cores()
    measured, others = choose(settings.rounds * settings.count, settings.dataset, settings.root)
    comparisons = []
    for modality, source in found.items():
        spec = specs[modality]
        with tempfile.TemporaryDirectory(prefix="edgefuse-peers-") as work:
            peers, order = peers_of(encoders, modality, source, Path(work))
            write_calibration(order.calibration, ready(encoders, modality, others, progress))
            samples = ready(encoders, modality, measured, progress)
            compared = compare_peers(peers, order, _in_rounds(samples, settings), threads, progress)
        named = {"source": source.name, "file": spec.file, "width": spec.width, "pooling": spec.pooling}
        if modality == "text":
            lengths = [len(sample.values) for sample in samples]
            named["tokens"] = {"least": min(lengths), "median": statistics.median(lengths), "most": max(lengths)}
        comparisons.append({"modality": modality, "encoder": named} | compared)
    return {
        "schema": SCHEMA,
        "kind": "bench peers",
        "started": started,
        "edgefuse": edgefuse.__version__,
        "settings": {"threads": threads, "rounds": settings.rounds, "count": settings.count},
        "samples": {
            "source": settings.dataset or "drawn",
            "drawn": settings.dataset in (None, "drawn"),
            "count": len(measured),
            "calibration": len(others),
        },
        "machine": machine_card(),
        "libraries": _versions(),
        "comparisons": comparisons,
    }


def compare_peers(
    peers: Sequence[Peer], order: Order, rounds: Sequence[Sequence[Sample]], threads: int, progress: Progress = silent
) -> dict[str, Any]:
    """A row for each peer, in their order: figures, or why there are none.

    Raises:
        BadInput: not one of them can run the encoder.
    """
    failures: dict[str, str] = {}
    opened: dict[str, Opened] = {}
    with ExitStack() as stack:
        for peer in progress(f"opening {order.spec.modality} peers", peers, len(peers)):
            try:
                opened[peer.name] = _open(peer, order, threads)
            except EdgefuseError as error:
                failures[peer.name] = str(error)
            else:
                stack.callback(opened[peer.name].encoder.close)
        work = OthersWork([one.encoder.pid for one in opened.values()])
        played = play({name: _asker(one) for name, one in opened.items()}, rounds, progress)
        share = work.share()
        peaks = {name: process_memory(one.encoder.pid).peak_rss_bytes for name, one in opened.items()}
    failures |= played.failures
    ran = [peer.name for peer in peers if peer.name not in failures]
    if not ran:
        raise BadInput(f"No peer can run {order.spec.file}; the first one says: {failures[peers[0].name]}")
    reference = next((name for name in REFERENCES if name in ran), None)
    rows = []
    for peer in peers:
        row: dict[str, Any] = {"name": peer.name, "precision": peer.precision}
        if peer.name in failures:
            row["failed"] = failures[peer.name]
        else:
            row |= {
                "file_bytes": peer.file_bytes,
                "open_ns": opened[peer.name].open_ns,
                "peak_rss_bytes": peaks[peer.name],
                **_figures(peer.name, played, ran[0], reference),
            }
        rows.append(row)
    return {"baseline": ran[0], "reference": reference, "others_work": round(share, 4), "peers": rows}


def _open(peer: Peer, order: Order, threads: int) -> Opened:
    """Start the peer's process, after what it needs has been made.

    Raises:
        EdgefuseError: a library is missing, or a step or the peer failed.
    """
    missing = [name for name in peer.needs if util.find_spec(name) is None]
    if missing:
        raise EngineUnavailable(f"{' and '.join(missing)} is not installed.")
    for step in peer.steps:
        prepare(step, dataclasses.replace(order, target=step.target))
    started = time.perf_counter_ns()
    encoder = WorkerEncoder(
        peer.encoder, peer.path, peer.spec, threads=threads, memory="normal", timeout=SECONDS, name=peer.name
    )
    return Opened(peer, encoder, time.perf_counter_ns() - started)


def _asker(one: Opened) -> Callable[[Sample], Floats]:
    def ask(sample: Sample) -> Floats:
        vector: Floats = one.encoder.encode(batch_of(sample.given_to(one.peer)))[0]  # (d,)
        return vector

    return ask


def _figures(name: str, played: Played, baseline: str, reference: str | None) -> dict[str, Any]:
    """What a peer's times and vectors say."""
    times = played.times[name]
    near = None if reference is None else closeness(np.stack(played.vectors[name]), np.stack(played.vectors[reference]))
    return {
        "rounds_ns": times,
        "median_ns": statistics.median(nanoseconds for round_ in times for nanoseconds in round_),
        "ratio": spread(round_ratios(times, played.times[baseline])),
        "closeness": near,
    }


def _in_rounds(samples: Sequence[Sample], settings: Settings) -> list[list[Sample]]:
    """Every sample once; where there are fewer than the rounds take, they come again."""
    turns = itertools.islice(itertools.cycle(samples), settings.rounds * settings.count)
    return [list(itertools.islice(turns, settings.count)) for _ in range(settings.rounds)]


def _versions() -> dict[str, str]:
    """Versions of the peers' libraries that are installed."""
    versions = {}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
