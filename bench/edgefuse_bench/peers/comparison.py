"""One comparison of the encoders of a folder: what the command runs, and its result as plain JSON types."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import edgefuse
from edgefuse.card import machine_card
from edgefuse.heads import Head
from edgefuse.kits.encoders import Encoders
from edgefuse.progress import Progress, silent
from edgefuse_bench.peers.catalogue import REFERENCES, peers_of
from edgefuse_bench.peers.figures import closeness, round_ratios, same_share, spread
from edgefuse_bench.peers.peer import Floats, Sample, batch_of
from edgefuse_bench.peers.running import Ran, run_peers
from edgefuse_bench.peers.samples import Case, choose, ready, write_calibration
from edgefuse_bench.peers.sources import check_source, find_source
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.machine import usable_cores
from edgefuse_runtimes.spec import Modality

SCHEMA = 1

LIBRARIES = ("torch", "transformers", "optimum-onnx", "openvino", "nncf")
"""Those of peers that the machine card does not name."""

Judge = Callable[[Floats], list[tuple[str, ...]]]
"""From vectors (n, d) to a head's answers."""


@dataclass(frozen=True)
class Settings:
    """How long and on what."""

    rounds: int = 16
    count: int = 8
    """Samples of each round."""
    threads: int | None = None
    """The physical cores where it is not given."""
    dataset: str | None = None
    """As `edgefuse extract` takes it; drawn samples where it is not given."""
    root: Path | None = None
    remark: str | None = None
    """What a reader must know of the encoders, such as that their weights are random."""


def compare(
    encoders: Encoders,
    sources: Mapping[Modality, str],
    settings: Settings,
    head: Head | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Everything that the run found, as plain JSON types.

    Args:
        encoders: made by `edgefuse export`.
        sources: what the encoders that shall be compared were exported from.
        settings: of the run.
        head: which says for how many samples the label is the same.
        progress: shows the steps.

    Raises:
        BadInput: a source is missing or another one, the head is for other encoders, or the samples cannot be read.
    """
    specs = {"image": encoders.image, "text": encoders.text}
    found = {modality: find_source(source) for modality, source in sources.items()}
    for modality, source in found.items():
        check_source(source, specs[modality])
    if head is not None:
        _check_head(head, encoders)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    threads = settings.threads or usable_cores()
    measured, others = choose(settings.rounds * settings.count, settings.dataset, settings.root)
    comparisons = []
    for modality, source in found.items():
        with tempfile.TemporaryDirectory(prefix="edgefuse-peers-") as work:
            peers, order = peers_of(encoders, modality, source, Path(work))
            write_calibration(order.calibration, ready(encoders, modality, others, progress))
            samples = ready(encoders, modality, measured, progress)
            ran = run_peers(peers, order, _in_rounds(samples, settings), threads, progress)
        judge = None if head is None else _judge(head, encoders, modality, measured, settings, progress)
        spec = specs[modality]
        described: dict[str, Any] = {"source": source.name, "width": spec.width, "pooling": spec.pooling}
        if modality == "text":
            lengths = [len(sample.values) for sample in samples]
            described["tokens"] = {"least": min(lengths), "most": max(lengths)}
        comparisons.append({"modality": modality, "encoder": described, **rows(ran, judge)})
    return {
        "schema": SCHEMA,
        "kind": "bench peers",
        "started": started,
        "edgefuse": edgefuse.__version__,
        "remark": settings.remark,
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


def rows(ran: Ran, judge: Judge | None = None) -> dict[str, Any]:
    """A row for each peer, in their order: figures, or why there are none."""
    reference = next((name for name in REFERENCES if name in ran.costs), None)
    exact = None if reference is None else np.stack(ran.played.vectors[reference])  # (n, d)
    found = []
    for peer in ran.peers:
        row: dict[str, Any] = {"name": peer.name, "precision": peer.precision}
        if peer.name in ran.failures:
            found.append(row | {"failed": ran.failures[peer.name]})
            continue
        times = ran.played.times[peer.name]
        vectors = np.stack(ran.played.vectors[peer.name])  # (n, d)
        row |= asdict(ran.costs[peer.name])
        row["median_ns"] = statistics.median(itertools.chain.from_iterable(times))
        row["ratio"] = spread(round_ratios(times, ran.played.times[ran.baseline]))
        row["closeness"] = None if exact is None else closeness(vectors, exact)
        row["same_label"] = None if exact is None or judge is None else same_share(judge(vectors), judge(exact))
        found.append(row | {"rounds_ns": times})
    return {
        "baseline": ran.baseline,
        "reference": reference,
        "others_work": round(ran.others_work, 4),
        "peers": found,
    }


def _judge(
    head: Head,
    encoders: Encoders,
    modality: Modality,
    cases: Sequence[Case],
    settings: Settings,
    progress: Progress,
) -> Judge:
    """What the head answers from vectors of `modality`, beside edgefuse's own of the other one."""
    other: Modality = "text" if modality == "image" else "image"
    spec = encoders.text if modality == "image" else encoders.image
    samples = ready(encoders, other, cases, progress)
    with open_encoder(spec, encoders.folder, engine="numpy", threads=settings.threads) as encoder:
        vectors = [encoder.encode(batch_of(sample.values)) for sample in progress(spec.file, samples, len(samples))]
    taken = np.arange(settings.rounds * settings.count) % len(cases)  # as the rounds take them
    given = np.concatenate(vectors)[taken]  # (n, d_other)

    def answers(own: Floats) -> list[tuple[str, ...]]:
        text, image = (given, own) if modality == "image" else (own, given)
        return [head.answer(row) for row in head.probabilities(text, image)]  # rows (K,)

    return answers


def _check_head(head: Head, encoders: Encoders) -> None:
    for spec in (encoders.image, encoders.text):
        width = head.encoders[spec.modality]["width"]
        if width != spec.width:
            raise BadInput(
                f"The head reads {spec.modality} vectors {width} wide, and {spec.file} gives {spec.width}; "
                "name a head of these encoders, or leave --head out."
            )


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
