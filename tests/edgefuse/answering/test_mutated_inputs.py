"""Damaged pictures and notes get an answer or one sentence: no other error, line, hang, or memory beyond the plan.

$EDGEFUSE_MUTANTS says how many; each has its own seed, and those that once found a fault are in FOUND. Each
test has the property "mutants", for `--junitxml`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

from edgefuse import Classifier
from edgefuse.answering.note import read_note
from edgefuse_runtimes import decoding
from edgefuse_runtimes.decoding import PictureFacts, decoding_bytes
from edgefuse_runtimes.errors import BadInput, DoesNotFit
from edgefuse_runtimes.machine import forget_peak_memory, process_memory

COUNT = int(os.environ.get("EDGEFUSE_MUTANTS", "200"))
FOUND = {
    121: "a warning of Pillow's on standard error, beside an answer",
    235: "another one",
    377: "a line on standard error from Pillow's own log",
    1274: "a turned CMYK picture that took 1.5 times its plan",
    1393: "a TIFF with a place that is no whole number",
    2517: "a PNG with transparency of a palette that it has not",
    6464: "a BMP of one pixel's width, whose rows took more than its pixels",
}
"""Seeds of pictures, and what was wrong with them."""
SECONDS = 10.0
"""Of the processor: more is a hang."""
SLACK = 24 << 20
"""Bytes beside the plan: the encoder's input, the interpreter's own."""


@pytest.fixture(scope="module")
def mutator(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("tests/edgefuse/answering/input_mutator.py")


@pytest.fixture(scope="module")
def classifier(tiny_kit: Path) -> Iterator[Classifier]:
    with Classifier.open(tiny_kit, engine="numpy", threads=1, cache=False) as opened:
        opened.predict(tiny_kit / "golden" / "0.png", "Both encoders are open.")
        yield opened


@contextmanager
def no_hang() -> Iterator[None]:
    def end(signum: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it takes over {SECONDS} s")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def outcome(classifier: Classifier, picture: Path | None, note: Path | None) -> str | None:
    """The sentence that refuses the sample; None: it was answered."""
    try:
        with no_hang():
            words = read_note(str(note))[0] if note is not None else None
            json.dumps(classifier.predict(picture, words).to_json())
    except (BadInput, DoesNotFit) as error:
        sentence = str(error)
        assert sentence.endswith(".")
        assert sentence.isprintable()
        return sentence
    return None


@pytest.mark.parametrize("seed", [*range(COUNT), *(seed for seed in FOUND if seed >= COUNT)])
def test_a_damaged_picture(
    mutator: ModuleType,
    classifier: Classifier,
    tmp_path: Path,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    suffix, data = mutator.mutated_picture(random.Random(seed))
    path = tmp_path / f"mutant{suffix}"
    path.write_bytes(data)
    planned = [decoding_bytes(PictureFacts("PNG", "RGBA", 1000, 1000))]  # decoded without asking

    def facts_of(opened: Any, known: Callable[[Any], PictureFacts] = decoding.facts_of) -> PictureFacts:
        facts = known(opened)
        planned.append(decoding_bytes(facts))
        return facts

    monkeypatch.setattr(decoding, "facts_of", facts_of)
    forget_peak_memory()
    before = process_memory().peak_rss_bytes
    outcome(classifier, path, None)
    assert process_memory().peak_rss_bytes - before <= max(planned) + SLACK
    assert capfd.readouterr() == ("", "")
    record_property("mutants", 1)


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_damaged_note(
    mutator: ModuleType,
    classifier: Classifier,
    tmp_path: Path,
    seed: int,
    capfd: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    note = tmp_path / "note.txt"
    note.write_bytes(mutator.mutated_note(random.Random(seed)))
    assert outcome(classifier, None, note) in (None, "The note is empty; write at least a few words about the picture.")
    assert capfd.readouterr() == ("", "")
    record_property("mutants", 1)


def test_pillow_says_nothing_beside_us(mutator: ModuleType, tiny_kit: Path, tmp_path: Path) -> None:
    """In a process of its own, since pytest keeps warnings to itself."""
    paths = []
    for seed in FOUND:
        suffix, data = mutator.mutated_picture(random.Random(seed))
        paths.append(tmp_path / f"{seed}{suffix}")
        paths[-1].write_bytes(data)
    code = (
        "import sys\nfrom edgefuse import Classifier\nfrom edgefuse_runtimes.errors import BadInput\n"
        "for path in sys.argv[2:]:\n"
        "    try:\n"
        "        Classifier.open(sys.argv[1], engine='numpy', cache=False).read(path, None)\n"
        "    except BadInput as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tiny_kit, *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[0] for line in done.stdout.splitlines()} == {str(tmp_path / "377.tiff"), *map(str, paths[-3:])}
