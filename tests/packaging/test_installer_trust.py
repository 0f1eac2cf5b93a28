"""Nothing of a kit is run on a device before it is known who signed it and that it is whole."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.kits.archive import write_archive
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, SIGNATURE, write_manifest
from edgefuse.kits.signature import signature_over
from edgefuse.trust.keys import public_of
from edgefuse_packaging import run_file
from edgefuse_packaging.device import install
from edgefuse_packaging.device.refused import Refused
from edgefuse_packaging.installer import build_installer
from edgefuse_packaging.pip import RegistryUnreachable

from .installations import Carried, Person, collected, wanted

ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519", reason="signs kits")
PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
FINGERPRINT = public_of(PRIVATE).fingerprint


@pytest.fixture(scope="module")
def signed_kit(tiny_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kit = Path(shutil.copytree(tiny_kit, tmp_path_factory.mktemp("signed") / "kit"))
    (kit / SIGNATURE).write_bytes(signature_over((kit / MANIFEST).read_bytes(), PRIVATE))
    return kit


@pytest.fixture(scope="module")
def content(signed_kit: Path, edgefuse_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Carried:
    """What the installer of the signed kit carries, as a folder."""
    folder = tmp_path_factory.mktemp("carried") / "content"
    return Carried(folder, collected(signed_kit, edgefuse_wheel, folder))


Make = Callable[..., Path]


@pytest.fixture
def make(content: Carried, tmp_path: Path) -> Make:
    """The installer, after a change to the kit in it and, if asked, to what it says of the kit."""

    def build(change: Callable[[Path], object] = lambda kit: None, **said: Any) -> Path:
        folder = tmp_path / f"changed-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(content.payload, folder)
        change(folder / "kit")
        run_file.write_payload(folder, tmp_path / "payload.tar")
        facts = content.facts | {"kit": content.facts["kit"] | said}
        return Carried(tmp_path / "payload.tar", facts).run_file(folder / "stick")

    return build


@pytest.fixture
def home(tmp_path: Path) -> Person:
    home = tmp_path / "home"
    home.mkdir()
    return Person(home)


def start(person: Person, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return person.run("sh", file, "--prefix", person.root, *options, check=False)


def kits(person: Person) -> list[dict[str, Any]]:
    said = person.run(person.root / "bin" / "edgefuse", "kits", "list", "--json").stdout
    return list(json.loads(said)["kits"])


def swap_signature(kit: Path) -> None:
    (kit / SIGNATURE).write_bytes(signature_over(b"another manifest", PRIVATE))


def harm_a_picture(kit: Path) -> None:
    (kit / "golden" / "0.png").write_bytes(b"x" * (kit / "golden" / "0.png").stat().st_size)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (swap_signature, "is not over this kit: the kit or its signature was changed"),
        (harm_a_picture, "is damaged (sha256 differs)"),
    ],
)
def test_a_kit_that_may_not_be_taken_is_not_tried_out(
    make: Make, home: Person, harm: Callable[[Path], None], sentence: str
) -> None:
    done = start(home, make(harm), f"--trust={FINGERPRINT}")

    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "trying it out" not in done.stderr
    assert done.stderr.splitlines()[-1] == "edgefuse: the kit was not taken; nothing was changed."
    assert not home.root.exists()


@pytest.mark.parametrize("signer", [None, FINGERPRINT])
def test_the_kit_that_was_checked_is_the_one_that_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signer: str | None
) -> None:
    asked = []

    def checked(version: Path, kit: Path, root: Path, options: list[str], then: str) -> str:
        asked.append(options)
        return json.dumps({"digest": "00", "signer": signer})

    monkeypatch.setattr(install, "_install_kit", checked)
    options = install._require_trust(tmp_path, tmp_path, tmp_path, "00", ["--allow-downgrade"])
    assert asked == [["--allow-downgrade", "--check", "--json"]]
    assert options == ["--allow-downgrade", *([f"--trust={signer}"] if signer else [])]
    with pytest.raises(Refused, match="the kit is another one than this file says"):
        install._require_trust(tmp_path, tmp_path, tmp_path, "01", [])


def test_what_was_taken_without_trust_becomes_signed_when_the_same_file_is_trusted(make: Make, home: Person) -> None:
    file = make()
    start(home, file, "--allow-unsigned").check_returncode()
    assert [kit["signer"] for kit in kits(home)] == [None]
    before = sorted(path.name for path in (home.root / "objects").iterdir())

    done = start(home, file, f"--trust={FINGERPRINT}")

    assert done.returncode == 0, done.stderr
    assert [(kit["signer"], kit["active"]) for kit in kits(home)] == [(FINGERPRINT, True)]
    assert sorted(path.name for path in (home.root / "objects").iterdir()) == before
    assert len(list((home.root / "versions").iterdir())) == 1
    shown = home.run(home.root / "bin" / "edgefuse", "kits", "show").stdout
    assert FINGERPRINT in shown
    assert "does not trust" not in shown
    again = start(home, file, "--allow-unsigned")
    assert "unpacking" not in again.stderr
    assert [kit["signer"] for kit in kits(home)] == [FINGERPRINT]


def test_a_key_that_is_named_must_have_signed_the_kit_that_is_there(make: Make, home: Person) -> None:
    file, other = make(), "SHA256:" + "A" * 43
    start(home, file, f"--trust={FINGERPRINT}").check_returncode()

    wrong = start(home, file, f"--trust={other}")
    assert wrong.returncode == 2
    assert f"is signed by {FINGERPRINT}, not by {other}" in wrong.stderr
    assert wrong.stderr.splitlines()[-1] == "edgefuse: the kit was not taken; nothing was changed."
    assert [kit["signer"] for kit in kits(home)] == [FINGERPRINT]

    again = start(home, file, f"--trust={FINGERPRINT}")
    assert (again.returncode, "unpacking" in again.stderr) == (0, False)


def test_a_key_that_is_named_is_trusted_again(make: Make, home: Person) -> None:
    file = make()
    start(home, file, f"--trust={FINGERPRINT}").check_returncode()
    (home.root / "trusted_keys").unlink()

    done = start(home, file, f"--trust={FINGERPRINT}")

    assert done.returncode == 0, done.stderr
    assert FINGERPRINT in (home.root / "trusted_keys").read_text()


def test_for_everyone_the_kit_is_checked_and_taken_over_too(make: Make, home: Person) -> None:
    done = start(home, make(), "--system", "--no-menu", f"--trust={FINGERPRINT}")

    assert done.returncode == 0, done.stderr
    (golden,) = home.root.glob("kits/*/*/golden")
    another = dataclasses.replace(home, home=home.home / "another")
    another.home.mkdir()
    words = ["classify", golden / "0.png", "--text", golden / "0.txt", "--json", "--engine", "numpy"]
    answer = json.loads(another.run(home.root / "bin" / "edgefuse", *words).stdout)
    assert answer["kit"]["digest"] == Kit.open(golden.parent).digest
    assert not any("--allow-unsigned" in note for note in answer["notes"])


def test_an_installer_is_made_of_an_archive_with_the_same_signature(
    signed_kit: Path, edgefuse_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefuse_packaging.installer.cached_wheel", lambda machine: None)
    names = [MANIFEST, SIGNATURE, *Kit.open(signed_kit).files]
    write_archive(tmp_path / "tiny.kit", {name: signed_kit / name for name in names})
    made = []
    for kit in (signed_kit, tmp_path / "tiny.kit"):
        output = tmp_path / kit.stem
        try:
            made.append(build_installer(wanted(kit, edgefuse_wheel), output, lambda remark: None)[0])
        except RegistryUnreachable as error:
            pytest.skip(f"collecting the wheels needs the package registry: {error}")
        assert [path.name for path in output.iterdir() if path.name.startswith(".")] == []

    folder, archive = (path.read_bytes() for path in made)
    assert archive == folder
    assert (signed_kit / SIGNATURE).read_bytes() in archive


@pytest.mark.parametrize("harm", [swap_signature, harm_a_picture])
def test_no_installer_is_made_of_a_kit_that_no_device_would_take(
    signed_kit: Path, edgefuse_wheel: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    kit = Path(shutil.copytree(signed_kit, tmp_path / "kit"))
    harm(kit)
    with pytest.raises(Exception, match=r"is not over this kit|sha256 differs"):
        build_installer(wanted(kit, edgefuse_wheel), tmp_path / "stick", lambda remark: None)
    assert list((tmp_path / "stick").glob("*")) == []


def test_a_kit_that_answers_otherwise_than_it_says_is_not_taken(make: Make, home: Person) -> None:
    digests = []

    def turn(kit: Path) -> None:
        manifest = json.loads((kit / MANIFEST).read_text())
        first, *others = manifest["golden"][0]["probabilities"]
        manifest["golden"][0]["probabilities"] = [*others, first]
        for name in (MANIFEST, SIGNATURE):
            (kit / name).unlink()
        write_manifest(kit, {key: value for key, value in manifest.items() if key not in ("files", "digest", "schema")})
        digests.append(Kit.open(kit).digest)

    make(turn)
    done = start(home, make(turn, digest=digests[0], signer=None), "--allow-unsigned")

    assert done.returncode == 2
    assert "to the sample whose label is" in done.stderr
    assert not (home.root / "kits" / "tiny").exists()
