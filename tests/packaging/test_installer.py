"""An installer, from a kit to an answer on a device without network, pip or administrator."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse.answering.classifier import Classifier
from edgefuse.kits.installing import check
from edgefuse_runtimes.errors import BadInput

from .installations import Carried, Person, set_version


def test_one_command_brings_an_answer(installed_home: Person, tiny_kit: Path) -> None:
    golden = tiny_kit / "golden"
    with Classifier.open(tiny_kit) as classifier:
        expected = classifier.predict(golden / "0.png", (golden / "0.txt").read_text())

    assert installed_home.answer() == expected.label


def test_nothing_that_is_installed_can_be_written_by_others(installed_home: Person) -> None:
    files = [path for path in installed_home.root.rglob("*") if not path.is_symlink()]

    assert len(files) > 100
    assert [path for path in files if path.stat().st_mode & 0o022] == []


def test_the_packages_are_those_that_are_pinned_and_no_others(installed_home: Person) -> None:
    code = "from importlib.metadata import distributions as d; print(*sorted(x.name.lower() for x in d()))"

    said = installed_home.run(installed_home.root / "current/bin/python", "-I", "-c", code).stdout.split()

    assert said == ["click", "edgefuse", "numpy", "pillow", "psutil"]


def test_the_icon_opens_questions_in_a_terminal(installed_home: Person) -> None:
    entry = (installed_home.home / ".local/share/applications/edgefuse.desktop").read_text()

    assert f'Exec="{installed_home.root}/bin/edgefuse-ask"' in entry
    assert "Terminal=true" in entry
    assert "/bin/edgefuse' ask" in (installed_home.root / "bin/edgefuse-ask").read_text()
    validate = shutil.which("desktop-file-validate")
    if validate:
        subprocess.run([validate, installed_home.home / ".local/share/applications/edgefuse.desktop"], check=True)


def test_the_list_of_parts_is_valid_cyclonedx_and_names_all_that_is_carried(
    carried: Carried, installed_home: Person
) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json", reason="the schema comes with cyclonedx-python-lib")
    from cyclonedx.schema import SchemaVersion

    text = (installed_home.root / "current" / "sbom.cdx.json").read_text()

    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = {part["name"]: part for part in json.loads(text)["components"]}
    assert set(parts) == {"click", "edgefuse", "numpy", "pillow", "pip", "psutil", carried.facts["kit"]["name"]}
    assert {file["name"] for file in parts[carried.facts["kit"]["name"]]["components"]} == {"image.onnx", "text.gguf"}
    assert all(part["hashes"][0]["alg"] == "SHA-256" for part in parts.values())


def test_an_upgrade_keeps_results_and_the_way_back(carried: Carried, person: Person, tmp_path: Path) -> None:
    (person.root / "results.db").write_text("answers")
    (person.root / "versions" / "0.1.0-0" / "bin").mkdir(parents=True)
    (person.root / "previous").symlink_to("versions/0.1.0-0")

    person.install(carried.run_file(tmp_path / "stick", 2))

    assert person.current() == "0.1.0-2"
    assert person.versions() == ["0.1.0-1", "0.1.0-2"]
    assert (person.root / "results.db").read_text() == "answers"
    person.run(person.root / "bin" / "edgefuse-rollback")
    assert person.current() == "0.1.0-1"
    assert person.answer()
    person.run(person.root / "bin" / "edgefuse-rollback")
    assert person.current() == "0.1.0-2"


def test_without_a_version_before_there_is_no_way_back(person: Person) -> None:
    done = person.run(person.root / "bin" / "edgefuse-rollback", check=False)

    assert done.returncode == 2
    assert done.stderr == "edgefuse: there is no previous version; nothing was changed.\n"


def test_uninstalling_leaves_the_results_and_what_the_next_kit_is_held_against_and_says_where(
    person: Person, tiny_kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.answer()
    (person.root / "trusted_keys").write_text("# nobody's yet\n")
    before = {path.name: path.read_bytes() for path in (person.root / "results").iterdir() if path.is_file()}
    assert before

    said = person.run(person.root / "bin" / "edgefuse-uninstall").stdout

    assert said.startswith(
        f"edgefuse is removed.\nThe results stay in {person.root}.\nThe trusted keys (trusted_keys) and "
    )
    assert f"(kits/highest.json) stay in {person.root},\n" in said
    assert sorted(path.name for path in person.root.iterdir()) == ["device-key", "kits", "results", "trusted_keys"]
    assert [path.name for path in (person.root / "kits").iterdir()] == ["highest.json"]
    assert {path.name: path.read_bytes() for path in (person.root / "results").iterdir()} == before
    left = [path for path in person.home.rglob("*") if path.is_file() or path.is_symlink()]
    assert [path for path in left if not path.is_relative_to(person.root)] == []
    older = Path(shutil.copytree(tiny_kit, tmp_path / "older.kit"))
    set_version(older, "0.9")
    monkeypatch.setenv("EDGEFUSE_HOME", str(person.root))
    with pytest.raises(BadInput, match=r"0\.9 is older than version 1, which was installed"):
        check(older, allow_unsigned=True)


def test_installing_twice_changes_nothing(first: Path, person: Person) -> None:
    version = (person.root / "current").resolve()
    before = version.stat().st_mtime_ns

    person.install(first)

    assert person.current() == version.name
    assert version.stat().st_mtime_ns == before
    assert not (person.root / "previous").exists()


def test_installing_again_brings_a_kit_back_that_was_removed(first: Path, carried: Carried, person: Person) -> None:
    person.run(person.home / ".local/bin/edgefuse", "kits", "remove", carried.facts["kit"]["name"])

    person.install(first)

    assert person.answer()
    assert person.versions() == ["0.1.0-1"]


def test_installing_again_repairs_a_kit_that_the_card_damaged(first: Path, person: Person) -> None:
    (head,) = person.root.glob("kits/*/*/head.npz")
    whole = head.read_bytes()
    head.chmod(0o644)
    head.write_bytes(whole[:-1] + b"!")

    person.install(first)

    assert head.read_bytes() == whole
    assert person.answer()


def take_python_away(version: Path) -> None:
    """As an upgrade of the system does."""
    (version / "bin" / "python").unlink()
    (version / "bin" / "python").symlink_to("/usr/bin/python3.0")


def empty_a_module(version: Path) -> None:
    (module,) = version.glob("lib/*/site-packages/click/__init__.py")
    module.write_bytes(b"")


def empty_a_module_of_answers(version: Path) -> None:
    (module,) = version.glob("lib/*/site-packages/PIL/Image.py")
    module.write_bytes(b"")


@pytest.mark.parametrize("harm", [take_python_away, empty_a_module, empty_a_module_of_answers])
def test_installing_again_repairs_a_version_that_does_not_run(
    first: Path, person: Person, harm: Callable[[Path], None]
) -> None:
    harm(person.root / "versions" / "0.1.0-1")

    person.install(first)

    assert person.answer()
    assert person.versions() == ["0.1.0-1"]
    assert person.leftovers() == set()
