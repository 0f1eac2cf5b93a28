"""An installer, from a kit to an answer on a device without network, pip or administrator.

$EDGEFUSE_INSTALL_KILLS says how many first installations are killed, and how many upgrades; $EDGEFUSE_SEED from which
moment on. Both tests have the properties "kills" and "reruns", for `--junitxml`.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from small_disks import SmallDisk

from edgefuse.answering.classifier import Classifier
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, write_manifest
from edgefuse.trust.keys import public_of
from edgefuse.verification.installers import verify_installer
from edgefuse_packaging import run_file
from edgefuse_packaging.commands.installer import command
from edgefuse_packaging.device import install
from edgefuse_packaging.installer import Wanted, collect, file_stem
from edgefuse_packaging.killing import run_for
from edgefuse_packaging.pip import RegistryUnreachable

from .conftest import no_network

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
KILLS = int(os.environ.get("EDGEFUSE_INSTALL_KILLS", "1"))  # each takes as long as an installation
DISKS = int(os.environ.get("EDGEFUSE_FULL_DISKS", "1"))
SEED = int(os.environ.get("EDGEFUSE_SEED", "0"))


@dataclass(frozen=True)
class Carried:
    payload: Path
    facts: dict[str, Any]

    def run_file(self, folder: Path, number: int = 1, **facts: Any) -> Path:
        """The installer; another number is another version of the same."""
        folder.mkdir(exist_ok=True)
        facts = self.facts | {"id": f"0.1.0-{number}"} | facts
        (file,) = run_file.write_run_file(folder / f"tiny-{number}.run", self.payload, facts)
        return file

    def with_kit_changed(self, folder: Path, change: Callable[[Path], object]) -> Carried:
        """The same with another kit; `folder` is made for it."""
        content = folder / "content"
        content.mkdir(parents=True)
        subprocess.run(["tar", "-xf", self.payload, "-C", content], check=True)
        change(content / "kit")
        manifest = json.loads((content / "kit" / MANIFEST).read_text())
        run_file.write_payload(content, folder / "payload.tar")
        shutil.rmtree(content)
        kit = self.facts["kit"] | {name: manifest[name] for name in ("version", "digest")}
        return Carried(folder / "payload.tar", self.facts | {"kit": kit})

    def with_kit_version(self, folder: Path, version: int) -> Carried:
        """The same with a newer kit."""

        def change(kit: Path) -> None:
            manifest = json.loads((kit / MANIFEST).read_text())
            (kit / MANIFEST).unlink()
            kept = {key: value for key, value in manifest.items() if key not in ("files", "digest", "schema")}
            write_manifest(kit, kept | {"version": str(version)})

        return self.with_kit_changed(folder, change)


@dataclass(frozen=True)
class Person:
    """Who has a home, an old environment, and nothing else."""

    home: Path
    took: float = 0.0
    """Seconds of the first installation."""

    @property
    def root(self) -> Path:
        return self.home / ".local" / "share" / "edgefuse"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "EDGEFUSE_PYTHON": sys.executable,
            "PYTHONPATH": "/nowhere",
        }

    def run(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*no_network(), *map(str, words)], capture_output=True, text=True, check=False, env=self.environment()
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def install(self, file: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(*self.installing(file), check=check)

    def installing(self, file: Path) -> list[str | Path]:
        """The command; its `--prefix` since else the administrator's place is taken."""
        return ["sh", file, "--allow-unsigned", "--prefix", self.root]

    def killed_while_installing(self, file: Path, seconds: float) -> bool:
        """Kill an installation, with all that it started, so long after its start; False: it was done before."""
        return run_for(self.installing(file), seconds, self.environment()) is None

    def answer(self) -> str:
        """The label of the kit's first golden sample."""
        golden = Path(self.kit()["folder"], "golden")
        words = ["classify", golden / "0.png", "--text", golden / "0.txt", "--json"]
        said = self.run(self.home / ".local/bin/edgefuse", *words)
        return str(json.loads(said.stdout)["label"])

    def kit(self) -> dict[str, Any]:
        """What is told of the active kit."""
        said = self.run(self.root / "bin" / "edgefuse", "kits", "list", "--json").stdout
        (active,) = (kit for kit in json.loads(said)["kits"] if kit["active"])
        return dict(active)

    def current(self) -> str:
        return (self.root / "current").resolve().name

    def versions(self) -> list[str]:
        return sorted(path.name for path in (self.root / "versions").iterdir())

    def leftovers(self) -> set[str]:
        """What is written or linked before it gets its name, and should be gone."""
        return {path.name for suffix in ("part", "new") for path in self.home.rglob(f".*.{suffix}")}


@pytest.fixture(scope="session")
def carried(tiny_kit: Path, edgefuse_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Carried:
    folder = tmp_path_factory.mktemp("carried")
    wanted = Wanted(
        kit=tiny_kit,
        platform=f"linux-{platform.machine()}",
        pythons=(PYTHON,),
        glibc=platform.libc_ver()[1],
        edgefuse_wheel=edgefuse_wheel,
        onnxruntime=False,
    )
    with pytest.MonkeyPatch.context() as patch:  # what this machine has built is not what is tested here
        patch.setattr("edgefuse_packaging.installer.cached_wheel", lambda machine: None)
        try:
            facts = collect(wanted, Kit.open(tiny_kit), folder / "content", lambda remark: None)
        except RegistryUnreachable as error:
            pytest.skip(f"collecting the wheels needs the package registry: {error}")
    payload = folder / "payload.tar"
    run_file.write_payload(folder / "content", payload)
    return Carried(payload, facts)


@pytest.fixture(scope="session")
def first(carried: Carried, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installer of the first version."""
    return carried.run_file(tmp_path_factory.mktemp("stick"))


@pytest.fixture(scope="session")
def installed_home(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Who installed the first version; tests must not change it."""
    home = tmp_path_factory.mktemp("homes") / "ho me"  # a space must do no harm
    home.mkdir()
    started = time.monotonic()
    Person(home).install(first)
    return Person(home, time.monotonic() - started)


@pytest.fixture
def person(installed_home: Person, first: Path, tmp_path: Path) -> Person:
    """Another one who installed the first version: its folder is copied, and the installer sees that it is there."""
    person = Person(tmp_path / "home", installed_home.took)
    shutil.copytree(installed_home.root, person.root, symlinks=True)
    shutil.rmtree(person.root / "bin")
    active = person.root / "active-kit"  # the one thing that names the folder
    active.write_text(active.read_text().replace(str(installed_home.root), str(person.root)))
    person.install(first)
    return person


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


def test_uninstalling_leaves_the_results_and_says_where(person: Person) -> None:
    person.answer()
    before = {path.name: path.read_bytes() for path in (person.root / "results").iterdir() if path.is_file()}
    assert before

    said = person.run(person.root / "bin" / "edgefuse-uninstall").stdout

    assert said == f"edgefuse is removed. The results stay in {person.root}.\n"
    assert sorted(path.name for path in person.root.iterdir()) == ["device-key", "results"]
    assert {path.name: path.read_bytes() for path in (person.root / "results").iterdir()} == before
    left = [path for path in person.home.rglob("*") if path.is_file() or path.is_symlink()]
    assert [path for path in left if not path.is_relative_to(person.root)] == []


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


@pytest.mark.parametrize(
    ("moment", "error", "code", "sentence", "kit"),
    [
        ("os.sync", KeyboardInterrupt, 130, "interrupted; nothing was changed.", "1"),
        ("make_current", KeyboardInterrupt, 130, "interrupted; start this file again to finish.", "2"),
        ("make_current", OSError, 2, "it is not finished (bad card); start this file again to finish.", "2"),
    ],
)
def test_an_interrupted_upgrade_says_whether_anything_was_changed(
    carried: Carried,
    person: Person,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
    error: type[BaseException],
    code: int,
    sentence: str,
    kit: str,
) -> None:
    def fail(*_: Path) -> None:
        raise error("bad card")

    file = carried.with_kit_version(tmp_path / "newer", 2).run_file(tmp_path / "stick", 2)
    facts = json.loads(file.read_bytes()[: run_file.HEADER_BYTES].partition(b"\n#FACTS\n")[2])
    with monkeypatch.context() as patch:
        patch.setattr(f"edgefuse_packaging.device.install.{moment}", fail)
        words = [str(file), "--allow-unsigned", "--no-menu", "--prefix", str(person.root)]
        assert install.main(words, facts) == code

    assert capsys.readouterr().err.splitlines()[-1] == f"edgefuse: {sentence}"
    assert (person.current(), person.versions()) == ("0.1.0-1", ["0.1.0-1"])
    assert person.kit()["version"] == kit
    person.install(file)
    assert (person.current(), person.kit()["version"]) == ("0.1.0-2", "2")
    assert person.leftovers() == set()


def test_a_version_with_a_damaged_kit_is_never_current(carried: Carried, person: Person, tmp_path: Path) -> None:
    damaged = carried.with_kit_changed(tmp_path / "other", lambda kit: (kit / "head.npz").write_bytes(b"another head"))

    done = person.install(damaged.run_file(tmp_path / "stick", 2), check=False)

    assert done.returncode == 2
    assert "the kit was not taken" in done.stderr
    assert person.versions() == ["0.1.0-1"]
    assert person.answer()


def test_a_killed_upgrade_leaves_the_version_before_and_the_rerun_finishes(
    carried: Carried, person: Person, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The same as a power cut, as far as a process can tell."""
    number, kills, rng = 1, 0, random.Random(SEED)
    while kills < KILLS:
        number += 1
        newer = carried.with_kit_version(tmp_path / f"kit-{number}", number)
        file = newer.run_file(tmp_path / "stick", number)
        newer.payload.unlink()
        before, after = f"0.1.0-{number - 1}", f"0.1.0-{number}"
        kills += person.killed_while_installing(file, rng.uniform(0, person.took))
        assert person.current() in (before, after)
        assert person.kit()["version"] in (str(number), str(number - 1) if person.current() == before else None)
        assert person.answer()

        person.install(file)

        assert person.current() == after
        assert person.kit()["version"] == str(number)
        assert person.answer()
        assert person.versions() == sorted([before, after])
        assert person.leftovers() == set()
        file.unlink()
    record_property("kills", kills)
    record_property("reruns", number - 1)


def test_a_killed_first_installation_is_finished_by_the_rerun(
    installed_home: Person, first: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    reruns, kills, rng = 0, 0, random.Random(SEED + 1)
    while kills < KILLS:
        person = Person(tmp_path / f"home-{reruns}")
        person.home.mkdir()
        kills += person.killed_while_installing(first, rng.uniform(0, installed_home.took))
        command = person.home / ".local/bin/edgefuse"  # the last step but the icon makes it
        assert not command.exists() or person.answer()

        person.install(first)

        reruns += 1
        assert person.answer()
        assert person.versions() == ["0.1.0-1"]
        assert person.leftovers() == set()
        shutil.rmtree(person.home)
    record_property("kills", kills)
    record_property("reruns", reruns)


def test_a_disk_that_fills_up_after_the_check_leaves_the_version_before(
    carried: Carried, first: Path, small_disk: SmallDisk, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    blind = carried.run_file(tmp_path / "stick", 2, disk={PYTHON: 0})  # it takes any disk for large enough
    person = Person(small_disk.place)
    environment = ["env", "-i", *(f"{name}={value}" for name, value in person.environment().items())]
    before = [[*environment, *person.installing(first)]]
    upgrade = [*environment, *person.installing(blind)]
    whole = small_disk.run(*upgrade, before=before, size="1g")
    assert whole.code == 0, whole.err

    for k in range(DISKS):
        free = whole.taken * (2 * k + 1) // (2 * DISKS)
        done = small_disk.run(*upgrade, before=before, free=free, again=True, size="1g")

        assert done.code == 7, (k, done.err)
        assert "Traceback" not in done.err
        assert done.err.splitlines()[-1].startswith("edgefuse: ")
        assert done.changed == []
        assert (done.code_again, done.hidden) == (0, []), done.err_again
    record_property("full_disks", DISKS)


def test_the_verb_tells_the_file_and_its_hash_and_signs_it(
    tiny_kit: Path, edgefuse_wheel: Path, tmp_path: Path
) -> None:
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519", reason="signs the files")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    arguments = ["--platform", "linux-aarch64", "--python", "3.11", "--wheel", str(edgefuse_wheel), "--no-onnxruntime"]

    private = ed25519.Ed25519PrivateKey.generate()
    form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    (tmp_path / "key").write_bytes(private.private_bytes(*form))
    arguments += ["--sign", str(tmp_path / "key")]

    done = CliRunner().invoke(command, [str(tiny_kit), *arguments, "--output", str(tmp_path / "stick")])

    if isinstance(done.exception, RegistryUnreachable):
        pytest.skip(f"collecting the wheels needs the package registry: {done.exception}")
    assert done.exit_code == 0, done.output
    files = sorted((tmp_path / "stick").iterdir())
    stem = f"edgefuse-{file_stem(Kit.open(tiny_kit))}-linux-aarch64"
    assert [file.name for file in files] == [f"{stem}.{end}" for end in ("deb", "deb.sig", "run", "run.sig")]
    files = [file for file in files if file.suffix != ".sig"]
    for file in files:
        signer = verify_installer(file, fingerprint=public_of(private).fingerprint).signer
        assert f"signed by {signer.fingerprint}" in done.output
    for line in subprocess.run(["sha256sum", *files], capture_output=True, text=True, check=True).stdout.splitlines():
        assert f"sha256 {line[:64]}" in done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--python", "3.9"], "'3.9' is none of 3.11, 3.12, 3.13"),
        (["--glibc", "3"], "'3' is no version of glibc"),
        (["--platform", "windows"], "'windows' is not one of"),
    ],
)
def test_a_wrong_option_is_a_sentence(tiny_kit: Path, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    given = ["--platform", "linux-aarch64", "--output", str(tmp_path / "stick"), *arguments]

    done = CliRunner().invoke(command, [str(tiny_kit), *given])

    assert done.exit_code == 2
    assert sentence in done.output
    assert list(tmp_path.iterdir()) == []
