"""The memory plan as a function of numbers: what each way of running takes, and which one is chosen."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_runtimes.encoder_facts import EncoderFacts, encoder_facts, longest
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.gguf.weights import read_sizes
from edgefuse_runtimes.gguf.with_numpy import KEEP_BYTES
from edgefuse_runtimes.memory_plan import MIB, RESERVE, Need, Way, choose, fits, least, need
from edgefuse_runtimes.spec import EncoderSpec

IMAGE = EncoderFacts("onnx", "int8", 23 * MIB, width=384, tokens=257)
TEXT = EncoderFacts(
    "gguf",
    "q8_0",
    138 * MIB,
    width=576,
    tokens=512,
    vocabulary=49152,
    cache_values=11520,
    layer_values=106168320,
    feed_forward=1536,
    heads=9,
)
LLAMA_7B = EncoderFacts(
    "gguf",
    "q8_0",
    6829 * MIB,
    width=4096,
    tokens=512,
    vocabulary=32000,
    cache_values=262144,
    layer_values=6476005376,
    feed_forward=11008,
    heads=32,
)
IMAGE_WAYS = [Way(engine, memory) for engine in ("onnxruntime", "numpy") for memory in ("normal", "low")]
TEXT_WAYS = [
    Way(engine, memory, engine != "numpy") for engine in ("llama.cpp", "numpy") for memory in ("normal", "low")
]


@pytest.mark.parametrize(("facts", "ways"), [(IMAGE, IMAGE_WAYS), (TEXT, TEXT_WAYS), (LLAMA_7B, TEXT_WAYS)])
@pytest.mark.parametrize("kept", [False, True])
def test_low_never_takes_more_than_normal(facts: EncoderFacts, ways: list[Way], kept: bool) -> None:
    for normal, low in zip(ways[::2], ways[1::2], strict=True):
        assert need(facts, low, kept=kept).anonymous <= need(facts, normal, kept=kept).anonymous


def test_a_table_that_is_looked_up_is_never_packed() -> None:
    fp32 = EncoderFacts("onnx", "fp32", 242 * MIB, width=512, tokens=77)
    with_table = dataclasses.replace(fp32, lookup_bytes=98 * MIB)
    normal, low = (need(with_table, Way("onnxruntime", memory)) for memory in ("normal", "low"))

    assert low.anonymous < normal.anonymous < need(fp32, Way("onnxruntime", "normal")).anonymous


@pytest.mark.parametrize("way", TEXT_WAYS)
def test_a_longer_note_never_takes_less(way: Way) -> None:
    taken = [need(dataclasses.replace(TEXT, tokens=tokens), way).anonymous for tokens in (1, 64, 256, 257, 512)]

    assert taken == sorted(taken)
    assert taken[0] < taken[-1]


def test_seven_billion_weights_take_a_gigabyte_on_numpy_and_their_file_size_only_in_normal_llama() -> None:
    assert need(LLAMA_7B, Way("numpy", "normal")).anonymous < 1024 * MIB
    assert need(LLAMA_7B, Way("llama.cpp", "low", True)).mapped == LLAMA_7B.weight_bytes
    assert need(LLAMA_7B, Way("llama.cpp", "normal", True)).anonymous > LLAMA_7B.weight_bytes


def test_numpy_keeps_the_layers_of_many_notes_only_where_they_are_small() -> None:
    assert need(TEXT, Way("numpy", "normal"), kept=True).anonymous > 4 * TEXT.layer_values
    assert 4 * LLAMA_7B.layer_values > KEEP_BYTES
    assert need(LLAMA_7B, Way("numpy", "normal"), kept=True).anonymous < KEEP_BYTES * 3


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        (8192, Way("llama.cpp", "normal", True)),
        (700, Way("llama.cpp", "low", True)),
        (280, Way("numpy", "low")),
        (60, None),
    ],
)
def test_the_fastest_way_that_fits_is_chosen(available: int, expected: Way | None) -> None:
    ways = choose([(TEXT, TEXT_WAYS)], available * MIB, kept=False, leave_half=True)

    assert ways == (None if expected is None else (expected,))


def test_samples_side_by_side_take_more_each() -> None:
    alone, two, three = (need(IMAGE, Way("onnxruntime", "normal", side_by_side=count)).anonymous for count in (1, 2, 3))
    assert three - two == two - alone > 0


def test_normal_that_was_asked_for_needs_no_spare_half() -> None:
    taken = need(TEXT, TEXT_WAYS[0]).must_be_there
    asked = [(TEXT, [TEXT_WAYS[0]])]

    assert choose(asked, taken, kept=False, leave_half=False) == (TEXT_WAYS[0],)
    assert choose(asked, taken - 1, kept=False, leave_half=False) is None
    assert choose(asked, taken, kept=False, leave_half=True) is None


def test_encoders_that_stay_open_have_to_fit_together() -> None:
    apart = [choose([one], 330 * MIB, kept=True, leave_half=True) for one in ((TEXT, TEXT_WAYS), (IMAGE, IMAGE_WAYS))]
    together = choose([(TEXT, TEXT_WAYS), (IMAGE, IMAGE_WAYS)], 330 * MIB, kept=True, leave_half=True)

    assert None not in apart
    assert together is not None
    total = need(TEXT, together[0], kept=True) + need(IMAGE, together[1], kept=True)
    assert fits(total, 330 * MIB)
    assert least([(TEXT, TEXT_WAYS), (IMAGE, IMAGE_WAYS)], kept=True) <= total.must_be_there


def test_needs_add_up_but_share_their_libraries() -> None:
    total = Need(weights=10, mapped=1, libraries=5) + Need(weights=12, activations=8, mapped=2, libraries=7)

    assert total == Need(weights=22, activations=8, mapped=3, libraries=7)
    assert total.must_be_there == 30 + 7 + RESERVE


@given(st.integers(0, 2**36), st.booleans(), st.booleans())
def test_what_is_chosen_always_fits_and_nothing_is_chosen_below_the_least(
    available: int, kept: bool, leave_half: bool
) -> None:
    encoders = [(TEXT, TEXT_WAYS), (IMAGE, IMAGE_WAYS)]
    ways = choose(encoders, available, kept=kept, leave_half=leave_half)

    assert (ways is None) == (available < least(encoders, kept=kept))
    if ways is not None:
        assert fits(sum((need(f, w, kept=kept) for (f, _), w in zip(encoders, ways, strict=True)), Need()), available)


def test_facts_of_a_gguf_file_are_those_of_its_network(tiny_kit: Path) -> None:
    manifest = json.loads((tiny_kit / "kit.json").read_text())
    spec = EncoderSpec.from_json(manifest["encoders"]["text"])
    sizes = read_sizes(read_gguf(tiny_kit / spec.file))

    facts = encoder_facts(spec, lambda name: tiny_kit / name)

    in_attention = 2 * (sizes.heads + sizes.kv_heads) * sizes.head_width * sizes.width
    in_feed_forward = 3 * sizes.width * sizes.feed_forward
    assert facts.vocabulary == sizes.vocabulary
    assert facts.cache_values == 2 * sizes.layers * sizes.kv_heads * sizes.head_width
    assert facts.layer_values == sizes.layers * (in_attention + in_feed_forward)
    assert (facts.feed_forward, facts.heads) == (sizes.feed_forward, sizes.heads)
    assert facts.weight_bytes == (tiny_kit / spec.file).stat().st_size


def test_a_note_has_at_most_as_many_tokens_as_bytes_and_never_more_than_the_limit(tiny_kit: Path) -> None:
    manifest = json.loads((tiny_kit / "kit.json").read_text())
    text, image = (EncoderSpec.from_json(manifest["encoders"][name]) for name in ("text", "image"))
    assert text.tokenization is not None
    limit = text.tokenization.max_tokens

    assert longest(text, None) == longest(text, "word " * limit) == limit
    assert longest(text, "älter") == 6 + 3
    assert longest(image, "a note") == 257
