"""A kit as it was written under an earlier schema is opened, verified, installed and asked by every later edgefuse.

Of each schema `frozen/` holds one kit, byte for byte as `edgefuse pack` wrote it then: two encoders of random weights,
pictures of 8 x 8 pixels, a head trained on the drawn example, signed by the key of the fixture `fingerprint`. None of
it is ever written anew: a new schema gets a kit beside it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.answering.classifier import Classifier
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import SCHEMA
from edgefuse_runtimes.files import sha256

FROZEN = Path(__file__).parent / "frozen"
MANIFESTS = {1: "e845481871f328a3ba44d9fa7da6630b95e0ec6d8414b255b6a7cafea5e9557d"}


@pytest.fixture(params=sorted(MANIFESTS))
def frozen(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, since `tune` and others write beside a kit."""
    return Path(shutil.copytree(FROZEN / f"schema-{request.param}", tmp_path / "frozen"))


def test_there_is_one_of_every_schema_and_nobody_changed_it() -> None:
    assert sorted(MANIFESTS) == list(range(1, SCHEMA + 1))
    for schema, manifest in MANIFESTS.items():
        path = FROZEN / f"schema-{schema}" / "kit.json"
        assert sha256(path) == manifest
        assert json.loads(path.read_bytes())["schema"] == schema


def test_it_is_whole(frozen: Path) -> None:
    kit = Kit.open(frozen)
    kit.verify()
    kit.require_complete()
    assert (kit.name, kit.version, kit.drawn) == ("frozen", "1.2", True)
    assert kit.classes == ["lumo", "pavi", "ziru"]
    assert kit.budget == {"ram_bytes": 1 << 30, "latency_ms": 600_000.0}


def test_it_answers_as_it_says_of_itself(frozen: Path) -> None:
    kit = Kit.open(frozen)
    with Classifier.open(frozen, engine="numpy", cache=False) as classifier:
        for sample in kit.manifest["golden"]:
            note = kit.file(sample["text"]).read_text(encoding="utf-8")
            answer = classifier.predict(kit.file(sample["image"]), note)
            assert [answer.probabilities[name] for name in kit.classes] == pytest.approx(
                sample["probabilities"], abs=1e-5
            )


def test_every_verb_of_the_field_takes_it(cli: Callable[..., Any], frozen: Path, fingerprint: str) -> None:
    verified = cli("verify", frozen, "--trust", fingerprint, "--json")
    assert (verified.code, json.loads(verified.out)["signer"]) == (0, fingerprint)
    card = cli("kits", "show", frozen).out
    for words in ("frozen 1.2", "To be opened by every later edgefuse", "Tests alone", "Its labels mean nothing"):
        assert words in card
    assert cli("kits", "install", frozen, "--trust", fingerprint).code == 0
    words = ["--text", frozen / "golden/0.txt", "--engine", "numpy", "--json"]
    answer = json.loads(cli("classify", frozen / "golden/0.png", *words).out)
    golden = json.loads((frozen / "kit.json").read_bytes())["golden"][0]["probabilities"]
    assert list(answer["probabilities"].values()) == pytest.approx(golden, abs=1e-5)
    assert cli("kits", "rollback").code == 2  # there is no earlier version, and a sentence says so
    assert cli("kits", "remove", "frozen").code == 0
