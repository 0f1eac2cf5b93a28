"""`edgefuse extract` as a user meets it: from pictures and notes to an embedding table, or a sentence."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from edgefuse.embeddings.table import SHARD_ROWS, open_table, shard_path
from edgefuse.kits.encoders import Encoders
from edgefuse_runtimes.files import sha256, write_json

ROWS = 8


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a table.csv of eight samples, two classes, two different notes."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = ["id,image,text,label"]
    for k in range(ROWS):
        Image.new("RGB", (40, 30), (20 * k, 255 - 20 * k, 90)).save(folder / f"{k}.png")
        lines.append(f"s{k},{k}.png,note {k % 2},{'ab'[k // 4]}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def extract(cli: Callable[..., Any], root: Path, tiny_encoders: Path, tmp_path: Path) -> Callable[..., Any]:
    """Extract the eight samples into V with the tiny encoders, or what the options say."""

    def run(*options: Path | str, encoders: Path = tiny_encoders) -> Any:
        table = ["--dataset", root / "table.csv", "--encoders", encoders, "--output", tmp_path / "V"]
        return cli("extract", *table, "--engine", "numpy", *options)

    return run


def without_progress(outcome: Any) -> Any:
    """The outcome without the lines of steps that were finished before."""
    kept = [line for line in outcome.err.splitlines(keepends=True) if not re.fullmatch(r"[a-z ]+: [\d.]+ s\n", line)]
    return outcome._replace(err="".join(kept))


def test_it_writes_a_table_and_says_so(extract: Callable[..., Any], tmp_path: Path) -> None:
    outcome = extract()
    assert (outcome.code, outcome.out) == (0, "")
    assert "V: 8 rows (" in outcome.err
    assert "2 classes, 2 different notes." in outcome.err
    table = open_table(tmp_path / "V")
    assert (table.image.shape, table.text.shape) == ((ROWS, 24), (ROWS, 64))
    np.testing.assert_array_equal(table.text[0], table.text[2])


def test_the_same_command_again_changes_nothing(extract: Callable[..., Any], tmp_path: Path) -> None:
    extract()
    before = {path: path.read_bytes() for path in (tmp_path / "V").iterdir()}
    assert extract().code == 0
    assert {path: path.read_bytes() for path in (tmp_path / "V").iterdir()} == before


def test_a_row_without_its_picture_is_named_or_left_out(
    extract: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    (root / "3.png").unlink()
    sentence = extract().refusal
    assert sentence.startswith(f"1 of the samples have no picture file: s3 ({root / '3.png'});")
    assert sentence.endswith("leave them out with --skip-missing.")
    assert not (tmp_path / "V").exists()
    outcome = extract("--skip-missing")
    assert outcome.code == 0
    assert "1 samples were left out for want of a readable picture: s3." in outcome.err
    assert "s3" not in open_table(tmp_path / "V").ids


@pytest.mark.parametrize("content", [b"", b"a letter", b"\x89PNG\r\n\x1a\n half"])
def test_a_row_with_an_unreadable_picture_is_named_or_left_out(
    extract: Callable[..., Any], root: Path, tmp_path: Path, content: bytes
) -> None:
    (root / "5.png").write_bytes(content)
    sentence = without_progress(extract()).refusal
    assert sentence.startswith(f"1 of the samples have no readable picture: s5 ({root / '5.png'} is ")
    assert "--skip-missing" in sentence
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    assert extract("--skip-missing").code == 0
    assert len(open_table(tmp_path / "V").ids) == ROWS - 1


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("no.csv", "There is no table at no.csv; check the path."),
        ("nosuchset", "There is no data set called 'nosuchset'; name one of "),
        ("ham10000", "The data set ham10000 needs its folder; name it with --root."),
    ],
)
def test_a_data_set_that_is_none(extract: Callable[..., Any], tmp_path: Path, dataset: str, said: str) -> None:
    assert extract("--dataset", dataset).refusal.startswith(said)
    assert not (tmp_path / "V").exists()


def test_a_folder_without_encoders(extract: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    said = f"{root} is not an encoders folder (no encoders.json); make one with 'edgefuse export'."
    assert extract(encoders=root).refusal == said
    assert not (tmp_path / "V").exists()


def test_a_damaged_encoder(extract: Callable[..., Any], tiny_encoders: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(tiny_encoders, tmp_path / "E"))
    data = bytearray((damaged / "image.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (damaged / "image.onnx").write_bytes(data)
    assert "image.onnx is not the file that was exported (sha256 differs)" in extract(encoders=damaged).refusal
    assert not (tmp_path / "V").exists()


def test_an_encoder_that_gives_nan_is_refused(extract: Callable[..., Any], tiny_encoders: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_encoders, tmp_path / "E"))
    model = onnx.load(folder / "image.onnx")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "bias")
    bias.raw_data = np.full(24, np.nan, np.float32).tobytes()
    onnx.save(model, folder / "image.onnx")
    specs = Encoders.open(tiny_encoders)
    image = specs.image.to_json() | {"sha256": sha256(folder / "image.onnx")}
    write_json(folder / "encoders.json", {"schema": 1, "image": image, "text": specs.text.to_json()})
    assert "gave a vector with NaN or infinity" in without_progress(extract(encoders=folder)).refusal
    assert not shard_path(tmp_path / "V", "image", 0).exists()


def test_a_folder_of_other_things_is_left_alone(extract: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "V").mkdir()
    (tmp_path / "V" / "letter.txt").write_text("dear")
    sentence = without_progress(extract()).refusal
    assert sentence == f"{tmp_path / 'V'} exists and is no embedding table; choose another --output."
    assert [path.name for path in (tmp_path / "V").iterdir()] == ["letter.txt"]


def test_a_table_of_other_inputs_is_left_alone(extract: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    extract()
    before = {path: path.read_bytes() for path in (tmp_path / "V").iterdir()}
    (root / "table.csv").write_text((root / "table.csv").read_text().replace("note 0", "other words"))
    sentence = without_progress(extract()).refusal
    assert sentence.startswith(f"{tmp_path / 'V'} was made from other inputs (inputs_sha256 differ in table.json);")
    assert {path: path.read_bytes() for path in (tmp_path / "V").iterdir()} == before


def test_an_output_that_cannot_be_written(extract: Callable[..., Any], root: Path) -> None:
    before = sorted(root.rglob("*"))
    for output in (root / "table.csv" / "V", Path("/proc/V")):
        sentence = without_progress(extract("--output", output)).refusal
        assert str(output.parent) in sentence
        assert "check the path, its permissions and the disk" in sentence
    assert sorted(root.rglob("*")) == before


def test_a_note_is_put_together_from_columns_by_a_template(extract: Callable[..., Any], root: Path) -> None:
    (root / "note.txt").write_text("Seen: {text}. Number {id}.\n")
    assert "The template uses {id}, which" in extract("--template", root / "note.txt").refusal
    outcome = extract("--template", "Seen: {text}.")
    assert (outcome.code, "LEAK" in outcome.err) == (0, False)


def test_a_leak_is_refused_or_marked_from_then_on(
    extract: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path
) -> None:
    assert "--allow-leak label" in extract("--template", "{text} {label}").refusal
    outcome = extract("--template", "{text} {label}", "--allow-leak", "label")
    assert "LEAK: the notes hold label, which tells the label" in outcome.err
    assert open_table(tmp_path / "V").leaks == ("label",)
    exported = cli("embeddings", "export", tmp_path / "V", "--output", tmp_path / "V.csv")
    assert "LEAK: the notes hold label" in exported.err
    trained = cli("train", tmp_path / "V", "--fusion", "early", "--epochs", "1", "--output", tmp_path / "H")
    assert "LEAK: the notes hold label" in trained.out
    assert "LEAK: the notes hold label" in cli("evaluate", tmp_path / "H").err


def test_the_papers_split_is_made_on_demand_and_marked(extract: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    lines = [f"s{k},{k % ROWS}.png,note,{'ab'[k % 2]},g" for k in range(40)]
    (root / "table.csv").write_text("\n".join(["id,image,text,label,group", *lines]) + "\n")
    assert "No class has samples of three groups" in without_progress(extract()).refusal
    outcome = extract("--split", "paper")
    assert "25 training, 7 validation, 8 test" in outcome.err
    assert "LEAK: the split is the paper's, by picture" in outcome.err
    table = open_table(tmp_path / "V")
    assert (table.dataset["split"], table.split_seed) == ("paper", None)


def test_what_workers_see_is_told_with_a_scheduler(extract: Callable[..., Any]) -> None:
    assert "add --scheduler" in extract("--shared-root", "/pictures").refusal


def test_a_split_that_the_data_set_does_not_have(extract: Callable[..., Any]) -> None:
    said = "table has no split called 'time'; it has grouped, paper."
    assert without_progress(extract("--split", "time")).refusal == said


def test_satellite_pictures_of_twelve_bands_are_read_as_the_eye_sees(
    extract: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    tifffile = pytest.importorskip("tifffile")
    weeks = ["2016-01-03", "2016-01-10"]
    header = "Municipality code,Municipality,Age0-4(%),Age5-14(%),AfrocolombianPopulation(%),IndianPopulation(%)"
    lines = [f"{code},City {code},1,2,3,4,7,9" for code in range(5001, 5006)]
    (root / "metadata.csv").write_text("\n".join([f"{header},2016/w01,2016/w02", *lines]) + "\n")
    for code in range(5001, 5006):
        folder = root / "10_municipalities" / "images" / str(code)
        folder.mkdir(parents=True)
        for week, day in enumerate(weeks):
            bands = np.full((40, 30, 12), (code - 5000) * 700 + week, np.uint16)
            tifffile.imwrite(folder / f"image_{day}.tiff", bands, photometric="minisblack", planarconfig="contig")
    assert extract("--dataset", "satellitebench", "--root", root).code == 0
    table = open_table(tmp_path / "V")
    assert (table.classes, len(table.ids)) == (("few cases", "many cases"), 10)
    assert set(table.groups) == {f"City {code}" for code in range(5001, 5006)}
    assert np.ptp(table.image[:], axis=0).max() > 0.01  # cities of other brightness have other vectors


def test_columns_of_any_name(extract: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    table = (root / "table.csv").read_text().replace("id,image,text,label", "key,file,note,class")
    (root / "table.csv").write_text(table)
    assert "lacks the column image" in extract().refusal
    names = ["--image-column", "file", "--text-column", "note", "--label-column", "class", "--id-column", "key"]
    assert extract(*names, "--subgroup", "note").code == 0
    assert set(open_table(tmp_path / "V").subgroups["note"]) == {"note 0", "note 1"}
    said = "The columns of ham10000 are known; only those of a CSV file can be named."
    assert extract(*names, "--dataset", "ham10000", "--root", root).refusal == said


def test_interrupted_it_leaves_whole_shards_and_goes_on_from_them(
    root: Path, tiny_encoders: Path, tmp_path: Path
) -> None:
    shards = 5
    rows = [f"s{k},{k % ROWS}.png,note {k % 2},{'ab'[k % 2]}" for k in range(shards * SHARD_ROWS)]
    (root / "table.csv").write_text("\n".join(["id,image,text,label", *rows]) + "\n")
    table = ["--dataset", str(root / "table.csv"), "--encoders", str(tiny_encoders), "--output", str(tmp_path / "V")]
    command = [sys.executable, "-m", "edgefuse", "extract", *table, "--engine", "numpy", "--threads", "1"]
    first = shard_path(tmp_path / "V", "image", 0)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
        while not first.exists():
            assert child.poll() is None, child.stderr
            time.sleep(0.002)
        os.killpg(child.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert said.splitlines()[-1] == "edgefuse: interrupted; nothing was left half written."
    assert "Traceback" not in said
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "V").glob("image-*.npy")}
    assert 1 <= len(finished) < shards
    assert not list(tmp_path.rglob(".*"))
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert len(open_table(tmp_path / "V").ids) == shards * SHARD_ROWS
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
