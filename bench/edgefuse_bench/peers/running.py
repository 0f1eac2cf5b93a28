"""One encoder's peers: what they need is made, each is opened in its process, the rounds are played."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import util

from edgefuse.progress import Progress, silent
from edgefuse_bench.others import moment, others_cores
from edgefuse_bench.peers.peer import Floats, Order, Peer, Sample, batch_of
from edgefuse_bench.peers.preparing import prepare
from edgefuse_bench.peers.rounds import Played, play
from edgefuse_runtimes.errors import BadInput, EdgefuseError, EngineUnavailable
from edgefuse_runtimes.machine import process_memory
from edgefuse_runtimes.worker import WorkerEncoder

SECONDS = 300.0
"""That a peer may take to open, or for one sample."""


@dataclass(frozen=True)
class Cost:
    """What a peer takes beside time."""

    open_ns: int
    """From the start of its process until it could be asked."""
    peak_rss_bytes: int
    """VmHWM of its process, after the rounds."""
    anon_bytes: int
    """RssAnon then: what only this process holds, without pages of mapped files."""
    file_bytes: int


@dataclass(frozen=True)
class Ran:
    """What came of one encoder's peers."""

    peers: tuple[Peer, ...]
    """All of them, those that failed too."""
    played: Played
    costs: dict[str, Cost]
    """Of those that ran."""
    failures: dict[str, str]
    """By peer without figures: a sentence."""
    others_work: float
    """Share of all cores that other programs took in the rounds."""

    @property
    def baseline(self) -> str:
        """The peer that ratios are to: the first that ran."""
        return next(iter(self.costs))


@dataclass(frozen=True)
class _Opened:
    peer: Peer
    encoder: WorkerEncoder
    open_ns: int


def run_peers(
    peers: Sequence[Peer], order: Order, rounds: Sequence[Sequence[Sample]], threads: int, progress: Progress = silent
) -> Ran:
    """Open the peers one by one, then give all of them the same samples.

    Raises:
        BadInput: not one of them can run the encoder.
    """
    failures: dict[str, str] = {}
    opened: dict[str, _Opened] = {}
    with ExitStack() as stack:
        for peer in progress(f"opening {order.spec.modality} peers", peers, len(peers)):
            try:
                opened[peer.name] = _open(peer, order, threads)
            except EdgefuseError as error:
                failures[peer.name] = str(error)
            else:
                stack.callback(opened[peer.name].encoder.close)
        workers = [one.encoder.pid for one in opened.values()]
        before = moment(workers=workers)
        played = play({name: _asker(one) for name, one in opened.items()}, rounds, progress)
        others = others_cores(before, moment(workers=workers)) or 0.0
        failures |= played.failures
        costs = {name: _cost(one) for name, one in opened.items() if name not in failures}
    if not costs:
        raise BadInput(f"No peer can run {order.spec.file}; the first one says: {failures[peers[0].name]}")
    return Ran(tuple(peers), played, costs, failures, others / (os.cpu_count() or 1))


def _open(peer: Peer, order: Order, threads: int) -> _Opened:
    """Start the peer's process, after what it needs has been made.

    Raises:
        EdgefuseError: a library is missing, or a step or the peer failed.
    """
    missing = [name for name in peer.needs if util.find_spec(name) is None]
    if missing:
        raise EngineUnavailable(f"{', '.join(missing)}: not installed.")
    for step in peer.steps:
        prepare(step, dataclasses.replace(order, target=step.target))
    started = time.perf_counter_ns()
    encoder = WorkerEncoder(
        peer.encoder, peer.path, peer.spec, threads=threads, memory=peer.memory, timeout=SECONDS, name=peer.name
    )
    return _Opened(peer, encoder, time.perf_counter_ns() - started)


def _asker(one: _Opened) -> Callable[[Sample], Floats]:
    def ask(sample: Sample) -> Floats:
        vector: Floats = one.encoder.encode(batch_of(sample.given_to(one.peer)))[0]  # (d,)
        return vector

    return ask


def _cost(one: _Opened) -> Cost:
    memory = process_memory(one.encoder.pid)
    return Cost(one.open_ns, memory.peak_rss_bytes, memory.anon_bytes, one.peer.file_bytes)
