"""A result may be sent to anybody: it names no person, no place and no sample."""

from __future__ import annotations

import getpass
import json
import re
import shutil
import socket
from pathlib import Path

import pytest

from edgefuse.kits.kit import Kit
from edgefuse_bench import harness
from edgefuse_bench.samples import own_samples
from edgefuse_bench.settings import Settings

NOTE = "Mrs Secret of Hidden Street has an itch."


@pytest.fixture(scope="module")
def told(tiny_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """All words of a result that was measured on somebody's own samples."""
    private = tmp_path_factory.mktemp("surname-of-somebody")
    shutil.copytree(tiny_kit, private / "kit-in-a-private-place")
    (private / "visits").mkdir()
    shutil.copy(tiny_kit / "golden" / "0.png", private / "visits" / "patient-4711.png")
    (private / "visits" / "patient-4711.txt").write_text(NOTE)
    kit = Kit.open(private / "kit-in-a-private-place")
    settings = Settings(engine="numpy", threads=1, queries=2, warmup=0, repeats=1)
    return json.dumps(harness.run(kit.folder, settings, own_samples(private / "visits", kit)).to_json())


def test_no_person_and_no_place_is_named(told: str) -> None:
    words = ("surname", "private", "patient", "visits", "Secret", "Hidden", NOTE, str(Path.cwd()), str(Path.home()))
    for word in words:
        assert word not in told, word
    assert not re.search(r"/(?:home|root|tmp|Users|work)\b", told)
    names = {socket.gethostname(), socket.getfqdn(), *([] if getpass.getuser() == "root" else [getpass.getuser()])}
    assert not [name for name in names if re.search(rf"\b{re.escape(name)}\b", told)]


def test_no_address_and_no_serial_number_is_named(told: str) -> None:
    assert not re.search(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", told)  # of a network card
    assert not re.search(r"\b(?:\d{1,3}\.){3}\d{1,3}\b", told)
    assert "serial" not in told.lower()
