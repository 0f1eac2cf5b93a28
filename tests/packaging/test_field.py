"""The field answers with numpy, Pillow, click and psutil alone, without a network, on Python 3.11 and 3.13."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from edgefuse import Classifier
from edgefuse.kits.kit import Kit

WITHOUT_WORKSHOP = """
import pkgutil, socket, sys
from importlib import import_module

def no_socket(*_, **__):
    raise OSError("sockets are blocked")

# A name that is None in sys.modules cannot be imported.
sys.modules.update(dict.fromkeys(["torch", "transformers", "onnx", "optimum", "sklearn", "scipy"]))
socket.socket.connect = socket.socket.bind = socket.create_connection = socket.getaddrinfo = no_socket

import edgefuse, edgefuse_runtimes

for package in (edgefuse, edgefuse_runtimes):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            import_module(module.name)

kit, picture, note = sys.argv[1:]
with edgefuse.Classifier.open(kit) as classifier:
    print(classifier.predict(picture, open(note).read()).label)
"""


def sample(kit: Kit, index: int) -> tuple[Path, Path]:
    golden = kit.manifest["golden"][index]
    return kit.file(golden["image"]), kit.file(golden["text"])


def field_answer(field_venv: Any, kit: Kit, index: int) -> dict[str, Any]:
    picture, note = sample(kit, index)
    arguments = ["classify", picture, "--text", note, "--kit", kit.folder, "--json"]
    return json.loads(field_venv.run("edgefuse", *arguments).stdout)


def test_a_field_environment_holds_the_base_dependencies_alone(field_venv: Any) -> None:
    listed = field_venv.run("python", "-m", "pip", "list", "--format=json").stdout
    names = {package["name"].lower() for package in json.loads(listed)}
    assert names - {"pip", "setuptools"} == {"edgefuse", "numpy", "pillow", "click", "psutil"}


def test_the_field_gives_the_label_of_the_workshop(field_venv: Any, tiny_kit: Path) -> None:
    kit = Kit.open(tiny_kit)
    answer = field_answer(field_venv, kit, 0)
    with Classifier.open(kit.folder) as classifier:
        expected = classifier.predict(*_read(sample(kit, 0)))
    assert answer["label"] == expected.label
    assert answer["engines"] == {"image": "numpy", "text": "numpy"}
    assert answer["notes"] == []


def test_doctor_says_that_the_field_can_answer_and_what_to_install(field_venv: Any, tiny_kit: Path) -> None:
    found = json.loads(field_venv.run("edgefuse", "doctor", "--kit", tiny_kit, "--probe", "--json").stdout)
    assert (found["can_answer"], found["problems"]) == (True, [])
    assert all(package["version"] and not package["problem"] for package in found["packages"])
    for encoder in found["kit"]["encoders"]:
        native, numpy = encoder["engines"]
        assert (native["state"], numpy["state"]) == ("not installed", "trusted")
        assert numpy["info"]["engine"] == "numpy"
    assert any("pip install 'edgefuse[onnxruntime]'" in sentence for sentence in found["advice"])
    page = field_venv.run("edgefuse", "doctor").stdout
    assert "can answer here" in page
    assert "not installed: pip install 'edgefuse[onnxruntime]'" in page


def test_doctor_says_which_base_package_is_missing(field_venv: Any) -> None:
    hidden = "import sys; sys.modules['PIL'] = None; from edgefuse.cli import run; run()"
    outcome = field_venv.run("python", "-c", hidden, "doctor", check=False)
    assert (outcome.returncode, outcome.stderr) == (1, "")
    assert "cannot answer here" in outcome.stdout
    assert "pillow cannot be imported" in outcome.stdout


def test_the_runtime_tests_of_the_field_pass_there(field_venv: Any, tiny_kit: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    marked = [
        path.relative_to(root)
        for path in sorted((root / "tests" / "edgefuse_runtimes").rglob("test_*.py"))
        if "pytestmark = pytest.mark.field" in path.read_text(encoding="utf-8")
    ]
    assert len(marked) >= 15
    for name in ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments"):  # all that pytest imports
        found = find_spec(name)
        assert found is not None
        assert found.origin is not None
        place = Path(found.origin)
        place = place.parent if found.submodule_search_locations else place
        (tmp_path / place.name).symlink_to(place)
    # -P: the wheel that was installed is tested, not the repository around the tests.
    outcome = field_venv.run(
        *("python", "-P", "-m", "pytest", "-q", "-m", "field", "-p", "no:cacheprovider", *marked),
        check=False,
        cwd=root,
        env=field_venv.environment() | {"PYTHONPATH": str(tmp_path), "EDGEFUSE_TEST_KIT": str(tiny_kit)},
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert re.search(r"^\d{2,} passed[^,]* in ", outcome.stdout, re.MULTILINE), outcome.stdout[-2000:]


@pytest.mark.real
def test_the_field_gives_the_label_of_the_workshop_on_real_encoders(field_venv: Any, starter_kit: Path) -> None:
    kit = Kit.open(starter_kit)
    with Classifier.open(kit.folder) as classifier:
        for index in range(3):
            answer = field_answer(field_venv, kit, index)
            expected = classifier.predict(*_read(sample(kit, index)))
            assert answer["label"] == expected.label
            assert answer["engines"] == {"image": "numpy", "text": "numpy"}
            assert expected.engines["image"] == "onnxruntime"


def test_the_field_needs_nothing_of_the_workshop(tiny_kit: Path) -> None:
    kit = Kit.open(tiny_kit)
    picture, note = sample(kit, 0)
    command = [sys.executable, "-c", WITHOUT_WORKSHOP, kit.folder, picture, note]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    with Classifier.open(kit.folder) as classifier:
        assert outcome.stdout.strip() == classifier.predict(*_read((picture, note))).label


@pytest.mark.parametrize("verb", ["starter", "export"])
def test_a_verb_of_the_workshop_says_which_extra_it_needs(field_venv: Any, tmp_path: Path, verb: str) -> None:
    for name in ("encoder.onnx", "encoder.gguf"):
        (tmp_path / name).write_bytes(b"nothing that is read")
    arguments = {
        "starter": [tmp_path / "starter.kit", "--wheels", tmp_path],
        "export": [
            *("--image-encoder", tmp_path / "encoder.onnx"),
            *("--text-encoder", tmp_path / "encoder.gguf"),
            *("--output", tmp_path / "E"),
        ],
    }[verb]
    outcome = field_venv.run("edgefuse", verb, *arguments, check=False)
    assert outcome.returncode == 2
    assert "pip install 'edgefuse[export]'" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def _read(sample: tuple[Path, Path]) -> tuple[Path, str]:
    return sample[0], sample[1].read_text(encoding="utf-8")
