"""A comparison with made-up peers in real child processes: those that work, are missing, fail or die."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_bench.peers.comparison import rows
from edgefuse_bench.peers.page import page
from edgefuse_bench.peers.peer import Order, Peer, Sample, Step, as_bytes
from edgefuse_bench.peers.running import run_peers
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import EncoderSpec, Tokenization

MODULE = """
import os, time
from pathlib import Path
import numpy as np
from edgefuse_bench.peers.encoder import PeerEncoder


class Peer(PeerEncoder):
    seconds = 0

    def __init__(self, path, spec, *, threads, memory):
        self.made = Path(path).read_text()
        super().__init__(spec, self.states, "made up", "1")

    def states(self, ids):
        time.sleep(self.seconds)
        return np.float32([[[len(ids[0]), ids.sum(), 1]]])


class Slow(Peer):
    seconds = 0.05


class Dying(Peer):
    def states(self, ids):
        os.abort()


class Text(Peer):
    def encode(self, batch):
        note = bytes(batch[0].tolist()).decode()
        return np.float32([[len(note), sum(note.encode()), 2]])


def write(order):
    order.target.write_text(order.spec.file)


def fail(order):
    with open(order.target.parent.with_name("asked"), "a") as file:
        file.write("x")
    order.target.write_text("half")
    raise ValueError("this graph has an operator that nobody knows.")


def grow(order):
    os.kill(os.getpid(), 9)  # what a system without free memory does
"""

SPEC = EncoderSpec(
    modality="text", format="gguf", file="text.gguf", sha256="", bytes=0, precision="q8_0", width=3, pooling="last",
    normalize=False, tokenization=Tokenization(max_tokens=99, add_bos=False, newline_to_space=True),
)  # fmt: skip


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "made_up_peers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def made_up(work: Path, name: str, encoder: str = "Peer", step: str = "write", **more: Any) -> Peer:
    step_done = Step(f"made_up_peers:{step}", work / name / "model")
    return Peer(
        name=name, encoder=f"made_up_peers:{encoder}", path=step_done.target, spec=SPEC, precision="fp32",
        steps=(step_done,), **more,
    )  # fmt: skip


def samples(*notes: str) -> list[Sample]:
    return [Sample(np.frombuffer(note.encode(), np.uint8).astype(np.int32), as_bytes(note)) for note in notes]


def judge(vectors: np.ndarray) -> list[bool]:
    """A head that answers yes for vectors of texts' peers."""
    return (vectors[:, 2] == 2).tolist()


def run(work: Path, *peers: Peer) -> dict[str, Any]:
    order = Order(spec=SPEC, source=work, graph=work, target=work, calibration=work)
    return rows(run_peers(peers, order, [samples("a", "bé"), samples("cde", "f")], threads=1), judge)


def test_figures_stand_beside_sentences_for_those_that_have_none(work: Path) -> None:
    peers = [
        made_up(work, "gone", needs=("no_such_library",)),
        made_up(work, "torch, fp32"),
        made_up(work, "slow", "Slow"),
        made_up(work, "unmade", step="fail"),
        made_up(work, "too large", step="grow"),
        made_up(work, "dying", "Dying"),
        made_up(work, "text", "Text", reads_text=True),
    ]

    compared = run(work, *peers)

    found = {row["name"]: row for row in compared["peers"]}
    assert list(found) == [peer.name for peer in peers]
    assert compared["baseline"] == compared["reference"] == "torch, fp32"
    assert found["gone"]["failed"] == "no_such_library: not installed."
    assert "operator that nobody knows" in found["unmade"]["failed"]
    assert found["too large"]["failed"] == "Making model was ended by SIGKILL, as where no memory is left."
    assert "dying" in found["dying"]["failed"]
    assert "SIGABRT" in found["dying"]["failed"]
    assert found["torch, fp32"]["ratio"]["median"] == 1
    assert found["slow"]["ratio"]["median"] > 1
    assert [len(round_) for round_ in found["slow"]["rounds_ns"]] == [2, 2]
    assert min(min(round_) for round_ in found["slow"]["rounds_ns"]) > 50_000_000
    assert found["slow"]["closeness"]["mean"] == 0
    assert found["text"]["closeness"]["mean"] > 0
    assert found["slow"]["same_label"] == {"share": 1, "samples": 4}
    assert found["text"]["same_label"] == {"share": 0, "samples": 4}
    assert found["slow"]["file_bytes"] == len(SPEC.file)
    assert 1 << 20 < found["slow"]["anon_bytes"] < found["slow"]["peak_rss_bytes"] < 1 << 30
    assert 0 <= compared["others_work"] <= 1


def test_a_page_has_a_row_for_each_that_ran_and_a_sentence_for_each_other(work: Path) -> None:
    compared = run(work, made_up(work, "torch, fp32"), made_up(work, "unmade", step="fail"))
    encoder = {"source": "made-up", "tokens": {"least": 1, "median": 1, "most": 3}}
    result = {
        "started": "2026-01-02T03:04:05+00:00",
        "remark": "Weights are random.",
        "settings": {"threads": 1, "rounds": 2, "count": 2},
        "samples": {"source": "drawn", "drawn": True, "count": 4},
        "machine": {
            "cpu": "a processor", "physical_cores": 1, "ram_bytes": 1 << 30, "system": "Linux", "python": "3",
            "libraries": {"numpy": "2"},
        },
        "libraries": {},
        "comparisons": [{"modality": "text", "encoder": encoder} | compared | {"others_work": 0.4}],
    }  # fmt: skip

    lines = page(result).splitlines()

    assert lines[0] == "Weights are random."
    assert lines[2] == "**made-up**: 4 notes of 1 to 3 tokens (drawn by edgefuse) in 2 rounds of 2, 1 thread(s)."
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    speed, cost = cells[:3], cells[3:]
    assert speed[0] == ["who runs it", "ms", "ratio", "1 − centred cosine", "same label"]
    assert speed[2][0] == "torch, fp32"
    assert speed[2][2:] == ["1.00", "exact", "100.0%"]
    assert cost[0] == ["who runs it", "s to open", "peak MiB", "own MiB", "file MB"]
    assert cost[2][0] == "torch, fp32"
    assert any(line.startswith("unmade is left out: ") for line in lines)
    assert "took 40% of the machine in the rounds: the ratios count, not the times." in lines[-1]

    machine = result["machine"] | {"emulated": True, "architecture": "aarch64"}  # type: ignore[operator]
    emulated = page(result | {"machine": machine})
    assert "EMULATED: times mean nothing, and none is shown, distances to the vectors of “torch, fp32”." in emulated
    assert "on a processor, which emulated aarch64, 1 core(s)" in emulated
    headings = [line for line in emulated.splitlines() if line.startswith("| who runs it")]
    assert headings == [
        "| who runs it | 1 − centred cosine | same label |",
        "| who runs it | peak MiB | own MiB | file MB |",
    ]


def test_a_step_that_failed_is_not_tried_again_for_the_next_peer(work: Path) -> None:
    step = Step("made_up_peers:fail", work / "shared" / "model")
    peers = [dataclasses.replace(made_up(work, name), path=step.target, steps=(step,)) for name in ("a", "b")]

    compared = run(work, *peers, made_up(work, "torch, fp32"))

    first, second, _ = compared["peers"]
    assert first["failed"] == second["failed"]
    assert (work / "asked").read_text() == "x"


def test_none_that_runs_is_refused_with_the_first_reason(work: Path) -> None:
    with pytest.raises(BadInput, match=r"No peer can run text.gguf.*no_such_library"):
        run(work, made_up(work, "gone", needs=("no_such_library",)))
