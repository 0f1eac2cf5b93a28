"""`edgefuse verify` as a user meets it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.home import home

Cli = Callable[..., Any]
Bring = Callable[..., Path]


def test_an_installed_kit_is_verified_by_its_name(cli: Cli, bring: Bring, fingerprint: str) -> None:
    kit = bring(budget={"latency_ms": 600_000, "ram_bytes": 8 << 30})
    assert cli("kits", "install", kit, "--trust", fingerprint).code == 0
    outcome = cli("verify", "tiny", "--threads", "1")
    assert outcome.code == 0, outcome
    for part in (fingerprint, "each as it was packed", "golden samples", "the kit allows 600000 ms and 8192 MiB"):
        assert part in outcome.out
    said = json.loads(cli("verify", "tiny", "--threads", "1", "--json").out)
    assert (said["signer"], said["wrong"], said["over_budget"]) == (fingerprint, [], [])
    assert {run["engine"] for run in said["replayed"]} >= {"numpy"}
    assert said["measured"]["ram_bytes"] > 10 << 20


def test_a_budget_that_is_not_kept_ends_with_5(cli: Cli, bring: Bring) -> None:
    outcome = cli("verify", bring(budget={"latency_ms": 0.001, "ram_bytes": 1}, seed=None), "--allow-unsigned")
    assert outcome.code == 5
    assert "and the kit allows 0 ms." in outcome.out
    assert "and the kit allows 0 MiB." in outcome.out


def test_a_wrong_engine_ends_with_3(cli: Cli, bring: Bring, fake_engine: Callable[..., Path]) -> None:
    fake_engine("vectors = -vectors if calls > 1 else vectors")
    outcome = cli("verify", bring(seed=None), "--allow-unsigned", "--threads", "1")
    assert outcome.code == 3
    assert "fake gives other answers with image.onnx than it should" in outcome.out


def test_an_archive_is_checked_and_nothing_run_from_it(cli: Cli, bring: Bring, fingerprint: str) -> None:
    archive = bring(archive=True)
    assert cli("verify", archive).refusal.endswith(f"add --trust {fingerprint}")
    outcome = cli("verify", archive, "--trust", fingerprint)
    assert (outcome.code, "Nothing was run from the archive" in outcome.out) == (0, True)
    assert not home().exists()


@pytest.mark.parametrize("archive", [False, True])
def test_every_file_is_hashed(cli: Cli, bring: Bring, fingerprint: str, archive: bool) -> None:
    kit = bring(archive=archive)
    path = kit if archive else kit / "text.gguf"
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PNG") if archive else -1
    data[place] ^= 1
    path.write_bytes(data)
    assert "is damaged (sha256 differs); copy the kit again." in cli("verify", kit, "--trust", fingerprint).refusal


def test_files_that_were_added_or_are_no_files_are_named(cli: Cli, bring: Bring, fingerprint: str) -> None:
    kit = bring()
    (kit / "golden" / "extra.txt").write_text("hello")
    assert "has the file 'golden/extra.txt', which its" in cli("verify", kit, "--trust", fingerprint).refusal
    (kit / "golden" / "extra.txt").unlink()
    os.mkfifo(kit / "pipe")
    assert f"{kit / 'pipe'} in the kit {kit} is no file" in cli("verify", kit, "--trust", fingerprint).refusal
    (kit / "pipe").unlink()
    (kit / "link").symlink_to("/etc/passwd")
    assert f"{kit / 'link'} in the kit {kit} is a link" in cli("verify", kit, "--trust", fingerprint).refusal
