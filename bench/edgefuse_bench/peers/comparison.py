"""One comparison of the encoders of a folder: what the command runs, and its result as plain JSON types."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import tempfile
from collections.abc import Mapping, Sequence
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
from edgefuse_bench.peers.figures import closeness, round_ratios, same_labels, spread
from edgefuse_bench.peers.peer import Floats, Sample
from edgefuse_bench.peers.running import Ran, run_peers
from edgefuse_bench.peers.samples import choose, ready, write_calibration
from edgefuse_bench.peers.sources import check_source, find_source
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.machine import physical_cores
from edgefuse_runtimes.spec import Modality

SCHEMA = 1

LIBRARIES = ("torch", "transformers", "optimum-onnx", "openvino", "nncf")
"""Those of peers that the machine card does not name."""

OTHER: dict[Modality, Modality] = {"image": "text", "text": "image"}


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
    _check_head(head, encoders, sources)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    threads = settings.threads or physical_cores()
    measured, others = choose(settings.rounds * settings.count, settings.dataset, settings.root)
    ran: dict[Modality, Ran] = {}
    described: dict[Modality, dict[str, Any]] = {}
    for modality, source in found.items():
        with tempfile.TemporaryDirectory(prefix="edgefuse-peers-") as work:
            peers, order = peers_of(encoders, modality, source, Path(work))
            write_calibration(order.calibration, ready(encoders, modality, others, progress))
            samples = ready(encoders, modality, measured, progress)
            ran[modality] = run_peers(peers, order, _in_rounds(samples, settings), threads, progress)
        spec = specs[modality]
        described[modality] = {"source": source.name, "width": spec.width, "pooling": spec.pooling}
        if modality == "text":
            lengths = [len(sample.values) for sample in samples]
            described[modality]["tokens"] = {"least": min(lengths), "most": max(lengths)}
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
        "comparisons": [
            {"modality": modality, "encoder": described[modality], **rows(modality, ran, head)} for modality in found
        ],
    }


def rows(modality: Modality, ran: Mapping[Modality, Ran], head: Head | None = None) -> dict[str, Any]:
    """A row for each peer of one encoder, in their order: figures, or why there are none."""
    own = ran[modality]
    reference, exact = reference_of(own)
    given = None if head is None else reference_of(ran[OTHER[modality]])[1]  # (n, d) of the other modality
    found = []
    for peer in own.peers:
        row: dict[str, Any] = {"name": peer.name, "precision": peer.precision}
        if peer.name in own.failures:
            found.append(row | {"failed": own.failures[peer.name]})
            continue
        times = own.played.times[peer.name]
        vectors = np.stack(own.played.vectors[peer.name])  # (n, d)
        row |= asdict(own.costs[peer.name])
        row["median_ns"] = statistics.median(itertools.chain.from_iterable(times))
        row["ratio"] = spread(round_ratios(times, own.played.times[own.baseline]))
        row["closeness"] = None if reference is None else closeness(vectors, exact)
        row["same_label"] = (
            None if given is None or head is None else same_labels(head, modality, vectors, exact, given)
        )
        found.append(row | {"rounds_ns": times})
    return {
        "baseline": own.baseline,
        "reference": reference,
        "others_work": round(own.others_work, 4),
        "peers": found,
    }


def reference_of(ran: Ran) -> tuple[str | None, Floats]:
    """The peer whose vectors (n, d) are taken for exact; None with the baseline's where there is no such peer."""
    reference = next((name for name in REFERENCES if name in ran.costs), None)
    return reference, np.stack(ran.played.vectors[reference or ran.baseline])


def _check_head(head: Head | None, encoders: Encoders, sources: Mapping[Modality, str]) -> None:
    if head is None:
        return
    if len(sources) < 2:
        raise BadInput("A head reads both vectors; name both sources with --image and --text, or leave --head out.")
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
