"""What running an encoder takes of the memory, from numbers alone, and which way of running it fits.

The model is a sum of few terms for each engine. Its constants were measured; bench/compare_memory_plan.py compares it
with what processes take. Anonymous memory is what counts: the kernel ends a process over it. Pages of a file that is
mapped can be dropped and read again, so they never stand in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product

from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.encoder_facts import EncoderFacts
from edgefuse_runtimes.gguf.llama import QUERIES
from edgefuse_runtimes.gguf.matrix import TILE_VALUES
from edgefuse_runtimes.gguf.with_llama_cpp import CONTEXT_STEP
from edgefuse_runtimes.gguf.with_numpy import GROUP_TOKENS, KEEP_BYTES

MIB = 1 << 20

PROCESS = 21 * MIB
"""Anonymous memory of a process that has imported `edgefuse.answering.classifier` and opened a kit."""
WORKER = 17 * MIB
"""Anonymous memory of a worker before it has imported its engine."""
LIBRARIES = {"numpy": 20 * MIB, "onnxruntime": 37 * MIB, "llama.cpp": 27 * MIB}
"""File pages of Python, numpy and the engine: the kernel could drop them, but everything would crawl."""
RESERVE = 12 * MIB
"""For the kernel's own tables, which count in a control group, and for what the model does not know."""

FLOAT = 4
"""Bytes of a float32."""
BYTES_PER_TOKEN = 380
"""Python objects for each token of a GGUF file's vocabulary: the file's header, and the tokenizer made of it."""
BYTES_PER_JSON_BYTE = 9
"""Python objects for each byte of a tokenizer.json."""
STATES = 8
"""States of every token, as wide as the vector, that a step holds: those within a feed-forward part are four times as
wide, and there is what goes in and what stays beside it.
"""
BESIDE = 9
"""For each further sample that is encoded at the same time, so many times its states: with samples that wait for it,
in both processes, and with what an arena cannot use again.
"""
TILES = 4 * FLOAT * TILE_VALUES
"""Weights that four threads of the numpy engine of GGUF files have dequantised at a time."""


Q4_SHARE = 0.56
"""Size of a file in Q4_K_M to one in Q8_0, where rows are whole blocks of 256 weights."""
Q4_SHARE_NARROW = 0.73
"""The same where they are not, so that most matrices are stored in blocks of 32 with 5 bits or 8 for each weight."""


@dataclass(frozen=True)
class Need:
    """Bytes at the peak of one stage, beyond those that the process holds before it, by what they are for."""

    weights: int = 0
    """Weights in memory of their own: read out of the file, or made ready for products."""
    repacked: int = 0
    """Weights a second time, packed for faster products."""
    keys_values: int = 0
    """What a llama.cpp context keeps of every token."""
    activations: int = 0
    """What a sample is while it passes through the layers, and the logits of a note's tokens."""
    engine: int = 0
    """The engine itself, with its arena and the worker process that it runs in."""
    tokenizer: int = 0
    """The vocabulary as Python objects."""
    mapped: int = 0
    """Weights that stay pages of their file."""
    libraries: int = 0
    """File pages of code, at the same time."""

    def __add__(self, other: Need) -> Need:
        """Of two encoders that are open at once; most of their code is the same."""
        sums = {item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self)}
        return Need(**sums | {"libraries": max(self.libraries, other.libraries)})

    @property
    def anonymous(self) -> int:
        """Bytes that no file backs, so that the kernel cannot drop them."""
        return self.weights + self.repacked + self.keys_values + self.activations + self.engine + self.tokenizer

    @property
    def must_be_there(self) -> int:
        """Bytes without which the stage cannot run."""
        return self.anonymous + self.libraries + RESERVE


@dataclass(frozen=True)
class Way:
    """One way of running an encoder."""

    engine: str
    """"onnxruntime", "llama.cpp" or "numpy"."""
    memory: Memory
    has_worker: bool = False
    """Whether the engine runs, or is probed, in a child process."""
    side_by_side: int = 1
    """Samples of a batch that are encoded at the same time."""


Choice = tuple[EncoderFacts, Sequence[Way]]
"""An encoder and the ways to run it, the most wanted first."""


def need(facts: EncoderFacts, way: Way, *, kept: bool = False) -> Need:
    """What the encoder takes on this way, its tokenizer included.

    Args:
        facts: of the encoder.
        way: to run it.
        kept: whether it stays open for many samples.
    """
    engines = {
        ("onnx", "onnxruntime"): _onnxruntime,
        ("onnx", "numpy"): _onnx_numpy,
        ("gguf", "llama.cpp"): _llama_cpp,
        ("gguf", "numpy"): _gguf_numpy,
    }
    engine = engines[facts.format, way.engine](facts, way.memory, kept)
    tokenizer = facts.vocabulary * BYTES_PER_TOKEN + facts.tokenizer_bytes * BYTES_PER_JSON_BYTE
    worker = WORKER if way.has_worker else 0
    beside = BESIDE * _states(facts) * (way.side_by_side - 1)
    return engine + Need(engine=worker, activations=beside, tokenizer=tokenizer, libraries=LIBRARIES[way.engine])


def _onnxruntime(facts: EncoderFacts, memory: Memory, kept: bool) -> Need:
    """The library, a session, states, and the weights, copied out of the file; "normal" packs all but tables too."""
    copied = Need(engine=24 * MIB, activations=_states(facts), weights=105 * facts.weight_bytes // 100)
    tables, packed = 50 * facts.lookup_bytes // 100, 55 * (facts.weight_bytes - facts.lookup_bytes) // 100
    return copied + Need(repacked=tables if memory == "low" else max(tables, packed))


def _onnx_numpy(facts: EncoderFacts, memory: Memory, kept: bool) -> Need:
    """States, one matrix as float32, and with "normal" all of them; else the weights stay in the mapped file."""
    working = Need(engine=6 * MIB, activations=_states(facts), weights=4 * FLOAT * facts.width**2)
    if memory == "low":
        return working + Need(mapped=facts.weight_bytes)
    matrices = max(0, facts.weight_bytes - facts.lookup_bytes)
    prepared = (
        FLOAT * matrices if facts.precision == "int8" else matrices * 4 // 5
    )  # some float32 arrays fit as they lie
    return working + Need(weights=prepared, mapped=facts.lookup_bytes)


def _states(facts: EncoderFacts) -> int:
    return FLOAT * STATES * facts.tokens * facts.width


def _llama_cpp(facts: EncoderFacts, memory: Memory, kept: bool) -> Need:
    """The library with the vocabulary, the float16 keys and values of a context, the logits of every token twice."""
    context = -(-facts.tokens // CONTEXT_STEP) * CONTEXT_STEP
    logits = 2 * FLOAT * facts.vocabulary * facts.tokens
    working = Need(engine=23 * MIB, keys_values=2 * facts.cache_values * context, activations=logits)
    in_file = Need(mapped=facts.weight_bytes) if memory == "low" else Need(weights=facts.weight_bytes)
    return working + in_file


def _gguf_numpy(facts: EncoderFacts, memory: Memory, kept: bool) -> Need:
    """Tiles of weights as float32, or all layers where they are kept, and the arrays of a pass through one."""
    together = GROUP_TOKENS[memory] if kept else facts.tokens
    in_feed_forward = 6 * facts.feed_forward * together
    in_attention = 2 * facts.heads * facts.tokens * min(facts.tokens, QUERIES)
    keeps = kept and memory == "normal" and FLOAT * facts.layer_values <= KEEP_BYTES
    ready = FLOAT * facts.layer_values if keeps else TILES
    return Need(weights=ready, activations=FLOAT * max(in_feed_forward, in_attention), mapped=facts.weight_bytes)


def repacked_and_mapped(facts: EncoderFacts) -> int:
    """Bytes of a GGUF file's weights in llama.cpp by its own settings on an Arm processor: mapped, and repacked too.

    edgefuse never runs it so: with memory "low" nothing is repacked, with "normal" nothing is mapped.
    """
    return 2 * facts.weight_bytes


def in_q4(facts: EncoderFacts) -> EncoderFacts:
    """A Q8_0 file's encoder as its Q4_K_M file would be."""
    share = Q4_SHARE if facts.width % 256 == 0 else Q4_SHARE_NARROW
    return replace(facts, precision="q4_k_m", weight_bytes=int(facts.weight_bytes * share))


def fits(needed: Need, available: int, *, leave_half: bool = False) -> bool:
    """Whether a stage can run where `available` bytes are left.

    With `leave_half` everything else has to keep half of them, mapped weights in memory.
    """
    if leave_half:
        return 2 * (needed.must_be_there + needed.mapped) <= available
    return needed.must_be_there <= available


def choose(encoders: Sequence[Choice], available: int, *, kept: bool, leave_half: bool) -> tuple[Way, ...] | None:
    """A way for each of the encoders, which are open at the same time, so that all fit; None where none does.

    Args:
        encoders: with the ways to choose from.
        available: bytes that are left.
        kept: whether the encoders stay open for many samples.
        leave_half: memory "normal" is chosen only where everything else keeps half of what is available.
    """
    ranked = product(*(list(enumerate(ways)) for _, ways in encoders))
    for combination in sorted(ranked, key=lambda combination: sum(rank for rank, _ in combination)):
        ways = tuple(way for _, way in combination)
        is_normal = any(way.memory == "normal" for way in ways)
        if fits(_total(encoders, ways, kept), available, leave_half=leave_half and is_normal):
            return ways
    return None


def frugal(encoders: Sequence[Choice], *, kept: bool) -> tuple[Way, ...]:
    """Of all ways to run these encoders at the same time the one for which the least must be there."""
    combinations = product(*(ways for _, ways in encoders))
    return min(combinations, key=lambda ways: _total(encoders, ways, kept).must_be_there)


def least(encoders: Sequence[Choice], *, kept: bool) -> int:
    """Bytes that must be there for the most frugal of all ways to run these encoders at the same time."""
    return _total(encoders, frugal(encoders, kept=kept), kept).must_be_there


def _total(encoders: Sequence[Choice], ways: Sequence[Way], kept: bool) -> Need:
    return sum((need(facts, way, kept=kept) for (facts, _), way in zip(encoders, ways, strict=True)), Need())
