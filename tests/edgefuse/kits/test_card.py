"""The model card says what the manifest says, and steers no terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.kits.card import DRAWN, NOT_MEDICAL, model_card
from edgefuse.kits.kit import Kit

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture
def kit(tiny_kit: Path) -> Kit:
    return Kit.open(tiny_kit)


def changed(kit: Kit, **said: Any) -> Kit:
    return Kit(kit.folder, kit.manifest | said)


def test_it_tells_what_for_whom_data_limits_and_licences(kit: Kit) -> None:
    told = {"purpose": "sorting cards", "intended_for": "tests alone", "limits": ["no hands", "no feet"]}
    dataset = {"name": "ours", "licence": "CC0-1.0", "drawn": False, "leaks": ["dx_type"]}
    page = model_card(changed(kit, card=told, dataset=dataset, budget={"latency_ms": 250, "ram_bytes": 3e8}), "nobody")
    evaluation = kit.manifest["evaluation"]
    low, high = evaluation["intervals"]["fused"]["accuracy"]
    for part in (
        *(
            "sorting cards",
            "tests alone",
            "no hands",
            "no feet",
            "CC0-1.0",
            "LEAK: the notes hold dx_type",
            NOT_MEDICAL,
        ),
        f"{evaluation['metrics']['fused']['accuracy']:.3f} [{low:.2f}, {high:.2f}]",
        f"{evaluation['n']} test rows of {evaluation['groups']} groups",
        *("250 ms at the most", "300.0 MB of memory", "nobody", kit.digest),
    ):
        assert part in page


def test_a_kit_of_the_drawn_example_has_no_figures(kit: Kit) -> None:
    page = model_card(kit, "nobody")
    assert DRAWN in page
    assert "macro-F1" not in page


@given(value=ANYTHING)
@pytest.mark.parametrize("key", ["card", "budget", "evaluation"])
def test_whatever_a_manifest_says_gets_a_page(tiny_kit: Path, key: str, value: Any) -> None:
    kit = Kit.open(tiny_kit)
    dataset = {"name": "ours", "drawn": False}
    inner = {"evaluation": {"metrics": {"fused": value}, "intervals": value}, "card": {"limits": value}}
    for said in (value, inner.get(key, {"ram_bytes": value})):
        assert "Signed by" in model_card(changed(kit, dataset=dataset, **{key: said}), "nobody")


def test_control_characters_are_not_printed(kit: Kit) -> None:
    page = model_card(changed(kit, card={"purpose": "\x1b]0;owned\x07\x1b[2Jall is well\u202e"}), "nobody")
    assert not {"\x07", "\x1b]", "\x1b[2J", "\u202e"} & {page[i : i + n] for i in range(len(page)) for n in (1, 2, 4)}


def test_kits_show_takes_a_folder_an_archive_and_a_name(
    cli: Callable[..., Any], bring: Callable[..., Path], fingerprint: str
) -> None:
    for kit in (bring(), bring(archive=True)):
        outcome = cli("kits", "show", kit)
        assert (outcome.code, f"{fingerprint}, a key that this device does not trust" in outcome.out) == (0, True)
    cli("kits", "install", kit, "--trust", fingerprint)
    assert cli("kits", "show").out == cli("kits", "show", "tiny").out
    assert "does not trust" not in cli("kits", "show", "tiny").out
