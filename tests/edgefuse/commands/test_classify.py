"""`edgefuse classify` as a user meets it: the answer, and one sentence for whatever cannot be answered."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from edgefuse.answering.memory import plan
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, write_manifest
from edgefuse_runtimes.files import sha256

NOTE = "Age: 45 years. Sex: male. Localization: trunk."

Answer = Callable[..., dict[str, Any]]


@pytest.fixture
def picture(tiny_kit: Path) -> Path:
    return tiny_kit / "golden" / "1.png"


@pytest.fixture
def answer(cli: Callable[..., Any], tiny_kit: Path) -> Answer:
    """The JSON object for a picture and, unless options say otherwise, one short note."""

    def ask(image: Path | str, *options: Path | str) -> dict[str, Any]:
        note = () if {"--text", "--note"} & set(options) else ("--note", NOTE)
        outcome = cli("classify", image, *note, "--kit", tiny_kit, "--engine", "numpy", "--json", *options)
        assert (outcome.code, outcome.err) == (0, "")
        return json.loads(outcome.out)

    return ask


@pytest.fixture
def refusal(cli: Callable[..., Any], tiny_kit: Path, tmp_path: Path) -> Callable[..., str]:
    """The sentence that refuses a picture, a note or a kit, after which every file is as it was."""

    def ask(image: Path | str, *options: Path | str) -> str:
        note = () if {"--text", "--note"} & set(options) else ("--note", NOTE)
        kit = () if "--kit" in options else ("--kit", tiny_kit)
        before = sorted(tmp_path.rglob("*"))
        outcome = cli("classify", image, *note, *kit, "--engine", "numpy", *options)
        assert sorted(tmp_path.rglob("*")) == before
        return outcome.refusal

    return ask


# The answer


def test_json_has_exactly_the_documented_keys(answer: Answer, picture: Path) -> None:
    found = answer(picture)
    answered = [
        "image",
        "label",
        "labels",
        "referred",
        "reason",
        "probabilities",
        "kit",
        "missing",
        "engines",
        "precisions",
        "cached",
    ]
    assert list(found) == [*answered, "timings_ms", "memory", "notes", "tuned", "number"]
    assert found["image"] == str(picture)
    assert found["label"] == max(found["probabilities"], key=found["probabilities"].get)
    assert list(found["probabilities"]) == ["lumo", "pavi", "ziru"]
    assert {name: found["kit"][name] for name in ("name", "version")} == {"name": "tiny", "version": "1"}
    assert (found["referred"], found["reason"]) == (False, None)
    assert found["missing"] == []
    assert found["engines"] == {"image": "numpy", "text": "numpy"}
    assert found["precisions"] == {"image": "int8", "text": "q8_0"}
    assert set(found["timings_ms"]) == {"load", "image", "decode", "text", "tokenise", "head", "total"}
    assert set(found["memory"]) == {"peak_rss_bytes", "anon_bytes", "file_bytes"}
    assert found["notes"] == []


def test_the_page_says_the_same(cli: Callable[..., Any], answer: Answer, tiny_kit: Path, picture: Path) -> None:
    page = cli("classify", picture, "--note", NOTE, "--kit", tiny_kit, "--engine", "numpy").out
    found = answer(picture)
    _, headline, _, *bars = page.splitlines()
    assert headline.split()[0] == found["label"]
    shown = {words[0]: words[-1] for words in map(str.split, bars[:3])}
    assert shown == {name: f"{probability:.1%}" for name, probability in found["probabilities"].items()}
    assert "drawn example" in page  # what this kit was trained on


def test_an_answer_that_is_not_sure_enough_is_referred(
    cli: Callable[..., Any], careful_kit: Path, picture: Path
) -> None:
    ask = ["classify", picture, "--note", NOTE, "--kit", careful_kit, "--engine", "numpy"]
    outcome = cli(*ask)
    assert outcome.code == 0
    assert outcome.out.splitlines()[1] == "  REFER  ask a clinician"
    found = json.loads(cli(*ask, "--json").out)
    assert found["referred"] is True
    assert found["label"] == max(found["probabilities"], key=found["probabilities"].get)
    assert found["reason"].startswith("The fused head is ")
    assert found["reason"] in outcome.out
    alone = json.loads(cli("classify", picture, "--kit", careful_kit, "--engine", "numpy", "--json").out)
    assert (alone["referred"], alone["reason"]) == (False, None)  # the image-only head has a threshold of its own


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "iso-8859-1"])
def test_the_page_keeps_to_what_the_terminal_can_show(
    tiny_kit: Path, picture: Path, tmp_path: Path, encoding: str
) -> None:
    named = Path(shutil.copy(picture, tmp_path / "皮膚.png"))
    arguments = ["classify", str(named), "--note", "x" * 2000, "--kit", str(tiny_kit), "--engine", "numpy"]
    page = printed(*arguments, encoding=encoding).decode(encoding)
    assert ("█" in page) == ("皮膚.png" in page) == (encoding == "utf-8")
    assert page.isascii() == (encoding != "utf-8")
    assert ".png" in page
    assert "tokens were not read" in page


@pytest.mark.parametrize("form", [["--json"], []])
def test_a_file_name_that_is_not_utf8_is_answered(
    tiny_kit: Path, picture: Path, tmp_path: Path, form: list[str]
) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/L\xe4sion.png")
    shutil.copy(picture, odd)
    said = printed("classify", odd, "--note", "new", "--engine", "numpy", "--kit", str(tiny_kit), *form)
    assert "sion.png" in said.decode("utf-8")
    if form:
        assert json.loads(said)["image"] == odd


def printed(*arguments: str, encoding: str = "utf-8") -> bytes:
    """What a process of its own writes to a terminal of this encoding."""
    environment = os.environ | {"PYTHONIOENCODING": f"{encoding}:strict", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "edgefuse", *arguments]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


# Pictures that are turned or converted


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def colours(picture: Path) -> Image.Image:
    return Image.open(picture).convert("RGB")


def test_a_photo_with_an_orientation_gets_the_answer_of_the_upright_one(
    answer: Answer, picture: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    lying = colours(picture).transpose(Image.Transpose.ROTATE_90)
    turned, unturned = saved(tmp_path / "turned.png", lying, exif=exif), saved(tmp_path / "lying.png", lying)
    assert answer(turned)["probabilities"] == answer(picture)["probabilities"]
    assert answer(unturned)["probabilities"] != answer(picture)["probabilities"]


def deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("name", "convert", "twin"),
    [
        ("grey.png", lambda image: image.convert("L"), lambda image: image.convert("L").convert("RGB")),
        ("rgba.png", lambda image: image.convert("RGBA"), lambda image: image),
        ("cmyk.tif", lambda image: image.convert("CMYK"), lambda image: image.convert("CMYK").convert("RGB")),
        ("cmyk.jpg", lambda image: image.convert("CMYK"), None),
        ("16-bit.png", deep, lambda image: image.convert("L").convert("RGB")),
    ],
)
def test_other_kinds_of_pictures_get_the_answer_of_their_rgb_twin(
    answer: Answer, picture: Path, tmp_path: Path, name: str, convert: Any, twin: Any
) -> None:
    file = saved(tmp_path / name, convert(colours(picture)))
    same = Image.open(file).convert("RGB") if twin is None else twin(colours(picture))
    assert answer(file)["probabilities"] == answer(saved(tmp_path / "twin.png", same))["probabilities"]


# Pictures that are refused


def test_a_missing_picture(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.jpg") == f"There is no picture at {tmp_path / 'no.jpg'}; check the path."


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("half.jpg", "half", "half.jpg is damaged and cannot be decoded"),
        ("letter.jpg", b"Dear doctor,\nhere is the picture.\n", "letter.jpg is not a picture that edgefuse can read"),
        ("empty.png", b"", "empty.png is empty (0 bytes); take or copy the picture again."),
    ],
)
def test_an_unreadable_picture(
    refusal: Callable[..., str], picture: Path, tmp_path: Path, name: str, content: bytes | str, said: str
) -> None:
    if content == "half":
        whole = io.BytesIO()
        colours(picture).save(whole, "JPEG")
        content = whole.getvalue()[: len(whole.getvalue()) // 2]
    (tmp_path / name).write_bytes(content)
    sentence = refusal(tmp_path / name)
    assert sentence.startswith(f"{tmp_path}/{said}")
    assert sentence.count(";") == 1  # what to do


def test_a_picture_over_100_megapixels(tiny_kit: Path, tmp_path: Path) -> None:
    huge = saved(tmp_path / "huge.png", Image.new("1", (10_001, 10_000)))
    arguments = ["classify", str(huge), "--note", NOTE, "--kit", str(tiny_kit), "--engine", "numpy"]
    command = [sys.executable, "-m", "edgefuse", *arguments]  # on its own: Pillow's warning would be a second line
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"edgefuse: {huge} has over 100 megapixels; make the picture smaller first.\n"


def test_a_folder_is_no_picture(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert "is a folder, not a picture" in refusal(tmp_path)


# Notes


def test_a_note_comes_from_a_file_an_option_or_standard_input(
    answer: Answer, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "note.txt").write_text(NOTE)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(NOTE.encode())))
    given = [("--note", NOTE), ("--text", tmp_path / "note.txt"), ("--text", "-")]
    first, second, third = (answer(picture, *options)["probabilities"] for options in given)
    assert first == second == third != answer(picture, "--note", "Something else.")["probabilities"]


def test_a_note_is_given_once(cli: Callable[..., Any], picture: Path) -> None:
    said = cli("classify", picture, "--note", NOTE, "--text", "note.txt").refusal
    assert "Give the note either with --text FILE or with --note WORDS" in said


# One of the two alone


def test_a_picture_or_a_note_alone_is_answered(cli: Callable[..., Any], tiny_kit: Path, picture: Path) -> None:
    kit = ("--kit", tiny_kit, "--engine", "numpy")
    alone: list[list[Path | str]] = [[picture], ["--note", NOTE]]
    by_picture, by_note = (json.loads(cli("classify", *given, *kit, "--json").out) for given in alone)
    assert (by_picture["missing"], by_picture["engines"]) == (["text"], {"image": "numpy", "text": None})
    assert (by_note["missing"], by_note["image"]) == (["image"], None)
    pages = [cli("classify", *given, *kit).out for given in alone]
    assert "No note was given: the image-only head answered (accuracy " in pages[0]
    assert "No picture was given: the text-only head answered (accuracy " in pages[1]
    assert "engines  image numpy\n" in pages[0]
    assert "engines  text numpy (vector from the cache)\n" in pages[1]


def test_neither_a_picture_nor_a_note_is_refused(cli: Callable[..., Any], tiny_kit: Path) -> None:
    assert "Give a picture IMAGE, a note with --text FILE or --note WORDS, or both" in cli("classify").refusal


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf"])
def test_an_empty_note_is_refused(refusal: Callable[..., str], picture: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "note.txt").write_bytes(content)
    said = "The note is empty; write at least a few words about the picture."
    assert refusal(picture, "--text", tmp_path / "note.txt") == said
    assert refusal(picture, "--note", content.decode("utf-8-sig")) == said


def test_a_missing_note_is_refused(refusal: Callable[..., str], picture: Path, tmp_path: Path) -> None:
    assert refusal(picture, "--text", tmp_path / "no.txt").startswith(f"There is no note at {tmp_path / 'no.txt'};")


def test_a_note_that_is_not_utf8_is_read_and_noted(answer: Answer, picture: Path, tmp_path: Path) -> None:
    latin = tmp_path / "latin1.txt"
    latin.write_bytes("Läsion am Bein".encode("latin-1"))
    found = answer(picture, "--text", latin)
    assert found["notes"] == [f"{latin} is not UTF-8 (byte 1); unreadable bytes were replaced."]
    assert found["probabilities"] == answer(picture, "--note", "L\ufffdsion am Bein")["probabilities"]
    on_the_command_line = answer(picture, "--note", os.fsdecode(latin.read_bytes()))
    assert on_the_command_line["notes"] == ["The note is not UTF-8 (byte 1); unreadable bytes were replaced."]
    assert on_the_command_line["probabilities"] == found["probabilities"]


def test_a_note_over_the_token_limit_is_cut_counted_and_noted(answer: Answer, tiny_kit: Path, picture: Path) -> None:
    limit = Kit.open(tiny_kit).text.tokenization.max_tokens
    cut = answer(picture, "--note", "x" * (limit + 5))
    assert cut["notes"] == ["The note is too long: its last 5 tokens were not read."]
    assert cut["probabilities"] == answer(picture, "--note", "x" * limit)["probabilities"]


# Kits


def copied(kit: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kit, tmp_path / "copy.kit"))


def test_a_kit_is_named_by_option_then_environment_then_the_active_one(
    cli: Callable[..., Any], tiny_kit: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ["classify", picture, "--note", NOTE, "--engine", "numpy", "--json"]
    assert "No kit is named: give --kit KIT, set EDGEFUSE_KIT, or choose one with" in cli(*ask).refusal
    monkeypatch.setenv("EDGEFUSE_KIT", str(tiny_kit))
    assert json.loads(cli(*ask).out)["kit"]["name"] == "tiny"
    missing = tmp_path / "no.kit"
    assert cli(*ask, "--kit", missing).refusal == f"There is no kit at {missing}; check the path."
    monkeypatch.setenv("EDGEFUSE_KIT", str(missing))
    assert cli(*ask).refusal == f"There is no kit at {missing}; check the path."


def test_every_changed_byte_of_the_manifest_is_seen(
    cli: Callable[..., Any], tiny_kit: Path, picture: Path, tmp_path: Path
) -> None:
    kit = copied(tiny_kit, tmp_path)
    whole = (kit / MANIFEST).read_bytes()
    steps = range(0, len(whole), len(whole) // 150)
    changes = [(position, whole[position] ^ 1 << position % 8) for position in steps]
    small = re.search(rb"\de-0\d", whole)
    assert small is not None
    changes += [(small.start() + 2, ord("9"))]  # 1e-05 becomes 1e905, which is infinite
    for position, byte in changes:
        (kit / MANIFEST).write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
        sentence = cli("classify", picture, "--note", NOTE, "--kit", kit).refusal
        assert str(kit) in sentence
        assert "copy the kit again" in sentence or "upgrade edgefuse" in sentence


def test_a_kit_of_a_newer_schema(refusal: Callable[..., str], tiny_kit: Path, picture: Path, tmp_path: Path) -> None:
    kit = copied(tiny_kit, tmp_path)
    manifest = json.loads((kit / MANIFEST).read_text())
    (kit / MANIFEST).write_text(json.dumps({"schema": manifest["schema"] + 1, "all": "that is new"}))
    sentence = refusal(picture, "--kit", kit)
    assert sentence == f"The kit {kit} has schema 2 and this edgefuse reads up to 1; upgrade edgefuse."


@pytest.mark.parametrize("name", ["image.onnx", "text.gguf", "head.npz", "golden.npz", "golden/3.txt"])
def test_a_kit_that_lacks_a_file(
    refusal: Callable[..., str], tiny_kit: Path, picture: Path, tmp_path: Path, name: str
) -> None:
    kit = copied(tiny_kit, tmp_path)
    (kit / name).unlink()
    assert refusal(picture, "--kit", kit) == f"The kit {kit} lacks the file {name}; copy the kit again."


def test_a_kit_with_a_changed_head(refusal: Callable[..., str], tiny_kit: Path, picture: Path, tmp_path: Path) -> None:
    kit = copied(tiny_kit, tmp_path)
    data = bytearray((kit / "head.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (kit / "head.npz").write_bytes(data)
    assert "head.npz is damaged (sha256 differs); copy the kit again." in refusal(picture, "--kit", kit)


def test_an_encoder_that_gives_nan_gets_no_answer(
    refusal: Callable[..., str], tiny_kit: Path, picture: Path, tmp_path: Path
) -> None:
    kit = copied(tiny_kit, tmp_path)
    model = onnx.load(kit / "image.onnx")
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "bias")
    weight.raw_data = np.full(24, np.nan, np.float32).tobytes()
    onnx.save(model, kit / "image.onnx")
    manifest = json.loads((kit / MANIFEST).read_text())
    manifest["encoders"]["image"]["sha256"] = sha256(kit / "image.onnx")
    (kit / MANIFEST).unlink()
    write_manifest(kit, {key: value for key, value in manifest.items() if key not in ("files", "digest", "schema")})
    assert "The encoder image.onnx gave a vector with NaN or infinity" in refusal(picture, "--kit", kit)


@pytest.mark.parametrize(
    ("options", "variable", "expected"),
    [([], "low", "low"), (["--memory", "normal"], "low", "normal"), ([], "", "auto")],
)
def test_the_memory_setting_comes_from_the_option_or_the_environment(
    answer: Answer,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    variable: str,
    expected: str,
) -> None:
    asked = []
    monkeypatch.setattr(
        "edgefuse.answering.classifier.plan",
        lambda request, available: asked.append(request.memory) or plan(request, available),
    )
    if variable:
        monkeypatch.setenv("EDGEFUSE_MEMORY", variable)

    answer(picture, "--engine", "numpy", *options)

    assert set(asked) == {expected}
