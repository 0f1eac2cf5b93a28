"""`edgefuse export` into a folder that is there already, and onto a disk that is too small."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_disks import SmallDisk

from edgefuse.kits.encoders import Encoders
from edgefuse_export import resources, room, vision
from edgefuse_export.commands import export as export_command
from edgefuse_runtimes.errors import DoesNotFit

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


@pytest.fixture
def sources(tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path) -> dict[str, Path]:
    """Copies of the two tiny encoders that a test may change."""
    folder = tmp_path / "sources"
    folder.mkdir()
    return {
        "image": Path(shutil.copy(tiny_image_onnx, folder / "image.onnx")),
        "text": Path(shutil.copy(tiny_text_gguf, folder / "text.gguf")),
    }


@pytest.fixture
def export(cli: Callable[..., Any], sources: dict[str, Path], tmp_path: Path) -> Callable[..., Any]:
    """Export to E."""

    def run(*options: str, output: Path = tmp_path / "E") -> Any:
        named = ["--image-encoder", sources["image"], "--text-encoder", sources["text"], "--output", output]
        return cli("export", *named, "--precision", "fp32", "--samples-count", "12", *options)

    return run


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each file."""
    stats = {path.name: path.stat() for path in sorted(folder.rglob("*"))}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def complaint(outcome: Any) -> str:
    assert (outcome.code, outcome.out) == (2, ""), outcome
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("edgefuse:")]
    return str(line)


def test_the_same_again_does_nothing_and_says_so(
    export: Callable[..., Any], sources: dict[str, Path], tmp_path: Path
) -> None:
    assert export().code == 0
    before = state(tmp_path / "E")
    for file in sources.values():
        os.utime(file)  # content counts, not time
    sources["text"] = sources["text"].rename(tmp_path / "sources" / "renamed.gguf")
    again = export("--threads", "1", "--memory", "low")
    assert (again.code, again.out) == (0, "")
    assert again.err.endswith(f"{tmp_path / 'E'} is made already, of these sources with these options; "
                              "nothing to do.\n")  # fmt: skip
    assert state(tmp_path / "E") == before


def test_something_else_is_refused(export: Callable[..., Any], sources: dict[str, Path], tmp_path: Path) -> None:
    assert export().code == 0
    before = state(tmp_path / "E")
    assert "made with other options (image encoder); choose another output" in complaint(
        export("--preprocess", "squash")
    )
    assert "made with other options (text encoder)" in complaint(export("--pooling", "mean"))
    assert "made with other samples, gates or head" in complaint(export("--max-error", "0.1"))
    assert "made with other samples, gates or head" in complaint(export("--samples-count", "13"))
    model = onnx.load(sources["image"])
    model.doc_string = "another file"
    onnx.save(model, sources["image"])
    assert "made of another source (image encoder)" in complaint(export())
    assert state(tmp_path / "E") == before


def test_other_versions_of_the_tools_are_told(export: Callable[..., Any], tmp_path: Path) -> None:
    assert export().code == 0
    path = tmp_path / "E" / "encoders.json"
    data = json.loads(path.read_bytes())
    data["request"]["text"]["tools"]["gguf"] = "0.0"
    path.write_text(json.dumps(data))
    assert "made by other versions of the tools (text encoder)" in complaint(export())
    del data["request"]
    path.write_text(json.dumps(data))
    assert "made by an edgefuse that did not record of what" in complaint(export())


def test_damage_since_then_is_told(export: Callable[..., Any], tmp_path: Path) -> None:
    assert export().code == 0
    (tmp_path / "E" / "image.onnx").write_bytes(b"")
    assert "was made of these sources and damaged since; remove it and export again" in complaint(export())


def test_preprocessing_beside_a_file_counts(export: Callable[..., Any], sources: dict[str, Path]) -> None:
    settings = {
        "size": {"shortest_edge": 224}, "crop_size": 224, "do_center_crop": True, "resample": 2,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    assert export().code == 0
    (sources["image"].parent / "preprocessor_config.json").write_text(json.dumps(settings))
    assert "made of another source (image encoder)" in complaint(export())


def test_the_manifest_says_what_the_encoders_are_made_of(
    export: Callable[..., Any], sources: dict[str, Path], tmp_path: Path
) -> None:
    (sources["image"].parent / "README.md").write_text("---\nlicense: other\nlicense_name: tiny-1.0\n---\n# Tiny\n")
    assert export().code == 0
    data = json.loads((tmp_path / "E" / "encoders.json").read_bytes())
    for modality in ("image", "text"):
        spec = data[modality]
        assert spec["source"]["name"] == sources[modality].name
        assert len(spec["source"]["sha256"][sources[modality].name]) == len(spec["sha256"]) == 64
        assert spec["licence"] == "tiny-1.0"
        assert {"edgefuse", "numpy"} < spec["recipe"]["tools"].keys()
        assert spec["recipe"]["steps"]
        assert len(data["request"][modality]["content"]) == 64
    assert data["image"]["recipe"]["parity"]["mean"] < 1e-5
    assert str(tmp_path) not in json.dumps(data)


def test_too_small_a_disk_is_told_before_the_work(
    export: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=70_000)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(vision, "export_image_encoders", None)
    outcome = export()
    assert outcome.code == 7
    assert "edgefuse: The export needs " in outcome.err
    assert f"B of disk while it is made, and 70 kB are left in {tmp_path / '.E.part'}; make room" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["sources"]


def test_most_of_two_encoders_counts_the_first_while_the_second_is_made() -> None:
    assert room.most_of([room.Disk(10, 100), room.Disk(20, 95)]) == 105
    assert room.most_of([room.Disk(10, 100), room.Disk(20, 30)]) == 100
    assert room.most_of([]) == 0


def test_room_for_both_precisions_is_that_of_both_files(sources: dict[str, Path]) -> None:
    int8, fp32, both = (room.disk_for(sources["image"], "image", precision) for precision in ("int8", "fp32", "both"))
    assert both.kept == int8.kept + fp32.kept
    assert both.most == int8.most == fp32.most + int8.kept  # the float32 file is the last graph, moved


def test_one_precision_is_not_taken_for_both(export: Callable[..., Any]) -> None:
    assert export().code == 0
    assert "made with other options (image encoder)" in complaint(export("--precision", "both"))


def test_a_failure_on_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime and protobuf do not say why they could not write."""
    with pytest.raises(RuntimeError, match="serialisation"), room.work_folder(tmp_path):
        raise RuntimeError("serialisation failed")
    usage = shutil.disk_usage(tmp_path)._replace(free=4096)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DoesNotFit, match=r"became full \(4 kB are left\)"), room.work_folder(tmp_path):
        raise RuntimeError("serialisation failed")
    assert list(tmp_path.iterdir()) == []


FILLED_AFTER_THE_CHECK = """
from edgefuse.cli import run
from edgefuse_export import encoders_folder, llama

encoders_folder.require_room = llama.require_room = lambda *_: None
run()
"""


@pytest.mark.parametrize("kilobytes", [100, 1300, 1900, 2300])
def test_a_disk_that_becomes_full_in_the_middle_leaves_nothing(
    sources: dict[str, Path], small_disk: SmallDisk, record_property: Callable[[str, object], None], kilobytes: int
) -> None:
    named = ["--image-encoder", sources["image"], "--text-encoder", sources["text"], "--output", small_disk.place / "E"]
    options = ["--precision", "fp32", "--samples-count", "12"]
    command = [sys.executable, "-c", FILLED_AFTER_THE_CHECK, "export", *named, *options]

    done = small_disk.run(*command, free=kilobytes << 10)

    assert done.code == 7, done
    assert done.err.count("edgefuse: ") == 1, done.err
    assert done.out == ""
    assert done.changed == []
    record_property("full_disks", 1)


def test_threads_and_memory_reach_every_library(
    export: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[resources.Resources] = []
    real = vision.export_image_encoders

    def spied(*arguments: Any, **options: Any) -> Any:
        seen.append(resources.resources())
        session = resources.session_options()
        assert session.intra_op_num_threads == 1
        assert not session.enable_cpu_mem_arena
        assert session.get_session_config_entry("session.disable_prepacking") == "1"
        return real(*arguments, **options)

    monkeypatch.setattr(vision, "export_image_encoders", spied)
    assert export("--threads", "1", "--memory", "low").code == 0
    assert seen == [resources.Resources(1, "low")]
    assert resources.resources().memory == "normal"
    assert Encoders.open(tmp_path / "E").image.width == 24
    assert export_command.command.name == "export"
