"""An installer is signed for this purpose alone, and a changed, foreign or missing signature is a sentence."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.trust.keys import load_private_key, public_key
from edgefuse.trust.pinned import INSTALLER, PRINCIPAL, pin, pinned_path
from edgefuse.verification.installers import HEADER_BYTES, sign_installer, verify_installer
from edgefuse_packaging.device import carried
from edgefuse_packaging.run_file import write_run_file
from edgefuse_runtimes.errors import BadInput

pytest.importorskip("cryptography", reason="signs installers")
Keygen = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def key(make_key: Callable[..., Path]) -> Path:
    """A key that this device trusts."""
    path = make_key()
    pin(public_key(path.with_name("key.pub").read_text().split()[1]))
    return path


@pytest.fixture
def stick(tmp_path: Path, key: Path) -> Path:
    """A signed installer of two parts beside its Debian package."""
    folder = tmp_path / "stick"
    folder.mkdir()
    payload = tmp_path / "payload"
    payload.write_bytes(b"carried " * 20_000)
    facts = {"machine": "aarch64", "pythons": ["3.11"]}
    write_run_file(folder / "tiny.run", payload, facts, part_bytes=HEADER_BYTES + 100_000)
    (folder / "tiny.deb").write_bytes(b"tiny.deb" * 100_000)
    for name in ("tiny.run", "tiny.run.2", "tiny.deb"):
        sign_installer(folder / name, load_private_key(key, lambda: ""))
    return folder


def fingerprint(key: Path, ssh_keygen: Keygen) -> str:
    return ssh_keygen("-l", "-f", key).stdout.split()[1].decode()


def test_ssh_keygen_finds_it_good_with_the_pinned_keys_and_without_any(
    stick: Path, key: Path, ssh_keygen: Keygen
) -> None:
    for name in ("tiny.run", "tiny.run.2", "tiny.deb"):
        content, signature = (stick / name).read_bytes(), stick / f"{name}.sig"
        asked = ("-Y", "verify", "-f", pinned_path(), "-I", PRINCIPAL, "-n", INSTALLER, "-s", signature)
        assert ssh_keygen(*asked, stdin=content).returncode == 0
        assert ssh_keygen(*asked, stdin=content + b"!").returncode != 0
        shown = ssh_keygen("-Y", "check-novalidate", "-n", INSTALLER, "-s", signature, stdin=content)
        assert fingerprint(key, ssh_keygen) in shown.stdout.decode()


def test_what_ssh_keygen_signed_is_good(cli: Callable[..., Any], stick: Path, key: Path, ssh_keygen: Keygen) -> None:
    (stick / "tiny.deb.sig").unlink()
    ssh_keygen("-Y", "sign", "-q", "-f", key, "-n", INSTALLER, stick / "tiny.deb")
    signer = fingerprint(key, ssh_keygen)
    assert cli("verify", stick / "tiny.deb").out == f"tiny.deb: as made and signed by {signer}\n"
    said = json.loads(cli("verify", stick / "tiny.run", "--json").out)
    assert said == {"files": [str(stick / "tiny.run"), str(stick / "tiny.run.2")], "signer": signer}


@pytest.mark.parametrize("name", ["tiny.run", "tiny.run.2"])
def test_a_changed_byte_of_any_part_is_found(cli: Callable[..., Any], stick: Path, name: str) -> None:
    with (stick / name).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")
    assert f"The signature of {stick / name} is not over this file" in cli("verify", stick / "tiny.run").refusal


@pytest.mark.parametrize("name", ["a [1].run", "*.run", "a?.run"])
def test_a_changed_part_is_found_whatever_the_name(cli: Callable[..., Any], stick: Path, name: str) -> None:
    for path in sorted(stick.glob("tiny.run*")):
        path.rename(stick / path.name.replace("tiny.run", name))
    assert cli("verify", stick / name).code == 0
    (stick / f"{name}.2").write_bytes(b"!")
    assert f"The signature of {stick / name}.2 is not over this file" in cli("verify", stick / name).refusal


def test_a_part_that_is_missing_is_named(cli: Callable[..., Any], stick: Path) -> None:
    (stick / "tiny.run.2").unlink()
    sentence = f"{stick / 'tiny.run.2'} is missing; copy all 2 files of tiny.run into one folder."
    assert cli("verify", stick / "tiny.run").refusal == sentence


def test_a_signed_file_that_is_no_installer_is_refused(cli: Callable[..., Any], stick: Path, key: Path) -> None:
    assert HEADER_BYTES == carried.HEADER_BYTES
    for content in (b"#!/bin/sh\n", b"\n#FACTS\n[]", b'\n#FACTS\n{"parts": 2}', b"\n#FACTS\n" + b"[" * 60_000):
        (stick / "tiny.run").write_bytes(content)
        sign_installer(stick / "tiny.run", load_private_key(key, lambda: ""))
        assert "does not say which parts it has" in cli("verify", stick / "tiny.run").refusal


def test_a_missing_or_torn_signature_is_a_sentence(cli: Callable[..., Any], stick: Path) -> None:
    (stick / "tiny.deb.sig").write_bytes((stick / "tiny.deb.sig").read_bytes()[:50])
    assert "cannot be read (it is no SSH signature)" in cli("verify", stick / "tiny.deb").refusal
    (stick / "tiny.run.2.sig").unlink()
    assert "tiny.run.2 is not signed (there is no tiny.run.2.sig" in cli("verify", stick / "tiny.run").refusal


def test_a_signature_for_kits_is_none_for_installers(stick: Path, key: Path, ssh_keygen: Keygen) -> None:
    (stick / "tiny.deb.sig").unlink()
    ssh_keygen("-Y", "sign", "-q", "-f", key, "-n", "edgefuse-kit", stick / "tiny.deb")
    with pytest.raises(BadInput, match="is not over this file"):
        verify_installer(stick / "tiny.deb")


def test_a_key_must_be_trusted_for_installers(stick: Path, key: Path, ssh_keygen: Keygen) -> None:
    signer = fingerprint(key, ssh_keygen)
    pinned_path().write_text(pinned_path().read_text().replace(f",{INSTALLER}", ""))
    with pytest.raises(BadInput, match="which this device does not trust; compare that with the fingerprint"):
        verify_installer(stick / "tiny.deb")
    assert verify_installer(stick / "tiny.deb", fingerprint=signer).signer.fingerprint == signer
    with pytest.raises(BadInput, match=r"is signed by SHA256:.*, not by SHA256:x; do not start it"):
        verify_installer(stick / "tiny.deb", fingerprint="SHA256:x")


def test_parts_of_two_makers_are_no_installer(stick: Path, make_key: Callable[..., Path]) -> None:
    sign_installer(stick / "tiny.run.2", load_private_key(make_key("other"), lambda: ""))
    with pytest.raises(BadInput, match="signed by different keys"):
        verify_installer(stick / "tiny.run")
