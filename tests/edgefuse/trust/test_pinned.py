"""The file of trusted keys is one that ssh-keygen reads, and a line that is not understood is no key."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse.trust.keys import PublicKey, public_key
from edgefuse.trust.pinned import NAMESPACE, PRINCIPAL, pin, pinned_keys, pinned_path
from edgefuse_runtimes.errors import BadInput

KEY = PublicKey(bytes(range(32)))
LINE = f"ssh-ed25519 {KEY.base64}"


def write(text: str) -> None:
    pinned_path().parent.mkdir(parents=True)
    pinned_path().write_text(text)


def test_pinned_keys_stay_and_are_pinned_once() -> None:
    assert pinned_keys() == []
    other = PublicKey(bytes(32))
    for key in (KEY, other, KEY):
        pin(key)
    assert pinned_keys() == [KEY, other]
    assert pinned_path().stat().st_mode & 0o022 == 0


def test_ssh_keygen_verifies_against_the_file(
    make_key: Callable[..., Path], ssh_keygen: Callable[..., subprocess.CompletedProcess[bytes]], tmp_path: Path
) -> None:
    path = make_key()
    pin(public_key(path.with_name("key.pub").read_text().split()[1]))
    (tmp_path / "m").write_bytes(b"m")
    ssh_keygen("-Y", "sign", "-q", "-f", path, "-n", NAMESPACE, tmp_path / "m")
    asked = ("-Y", "verify", "-f", pinned_path(), "-I", PRINCIPAL, "-n", NAMESPACE, "-s", tmp_path / "m.sig")
    assert ssh_keygen(*asked, stdin=b"m").returncode == 0


@pytest.mark.parametrize("before", ["me@here", '"a b",c namespaces="edgefuse-kit"', "* namespaces=git,edgefuse-kit"])
def test_lines_that_people_write(before: str) -> None:
    write(f"# our keys\n\n{before} {LINE} a comment\n")
    assert pinned_keys() == [KEY]


@pytest.mark.parametrize("line", [f'me namespaces="git" {LINE}', f"# me {LINE}"])
def test_keys_for_something_else_are_not_trusted(line: str) -> None:
    write(line)
    assert pinned_keys() == []


@pytest.mark.parametrize(
    "line",
    [
        f"me cert-authority {LINE}",
        f'me valid-before="20200101" {LINE}',
        f'me namespaces="edgefuse-kit",valid-before="20200101" {LINE}',
        LINE,
        "me ssh-ed25519",
        "me ssh-ed25519 AAAA",
        "me ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB",
        f'me "{LINE}',
    ],
)
def test_a_line_that_is_not_understood_is_named(line: str) -> None:
    write(f"# ours\n{line}\n")
    with pytest.raises(BadInput, match=r"trusted_keys, line 2, .*; (repair or )?remove the line\."):
        pinned_keys()
