"""Signatures are those of ssh-keygen, in both directions; anything else is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.trust.keys import load_private_key, public_of
from edgefuse.trust.sshsig import Signature, is_good, read_signature, sign
from edgefuse.trust.wire import packed, unpacked
from edgefuse_runtimes.errors import BadInput

Keygen = Callable[..., "subprocess.CompletedProcess[bytes]"]


def ask_nobody() -> str:
    raise AssertionError("the key has no passphrase")


@pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
def test_what_ssh_keygen_signed_is_good_here(
    make_key: Callable[..., Path], ssh_keygen: Keygen, tmp_path: Path, hash_name: str
) -> None:
    file = tmp_path / "message"
    file.write_bytes(b"a manifest")
    ssh_keygen("-Y", "sign", "-q", "-O", f"hashalg={hash_name}", "-f", make_key(), "-n", "edgefuse-kit", file)
    signature = read_signature((tmp_path / "message.sig").read_bytes(), "here")
    assert (signature.hash_name, signature.namespace) == (hash_name, "edgefuse-kit")
    assert is_good(signature, b"a manifest", "edgefuse-kit")
    assert not is_good(signature, b"a manifesto", "edgefuse-kit")
    assert not is_good(signature, b"a manifest", "file")


def test_what_is_signed_here_is_what_ssh_keygen_writes_and_finds_good(
    make_key: Callable[..., Path], ssh_keygen: Keygen, tmp_path: Path
) -> None:
    path, file = make_key(), tmp_path / "message"
    file.write_bytes(b"a manifest")
    ours = sign(b"a manifest", load_private_key(path, ask_nobody), "edgefuse-kit")
    ssh_keygen("-Y", "sign", "-q", "-f", path, "-n", "edgefuse-kit", file)
    assert ours == (tmp_path / "message.sig").read_bytes()  # Ed25519 has no chance in it
    (tmp_path / "ours.sig").write_bytes(ours)
    (tmp_path / "signers").write_text(f"who {path.with_name('key.pub').read_text()}")
    asked = ("-Y", "verify", "-f", tmp_path / "signers", "-I", "who", "-n", "edgefuse-kit", "-s", tmp_path / "ours.sig")
    assert ssh_keygen(*asked, stdin=b"a manifest").returncode == 0
    assert ssh_keygen(*asked, stdin=b"another").returncode != 0


def test_a_signature_made_for_another_purpose_is_worth_nothing(make_key: Callable[..., Path]) -> None:
    private = load_private_key(make_key(), ask_nobody)
    signature = read_signature(sign(b"m", private, "git"), "here")
    assert not is_good(signature, b"m", "edgefuse-kit")
    renamed = Signature(signature.key, "edgefuse-kit", signature.hash_name, signature.raw)
    assert not is_good(renamed, b"m", "edgefuse-kit")


def test_every_changed_byte_is_refused_or_not_good(make_key: Callable[..., Path]) -> None:
    private = load_private_key(make_key(), ask_nobody)
    whole = sign(b"m", private, "edgefuse-kit")
    for position in range(len(whole)):
        changed = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        try:
            signature = read_signature(changed, "here")
        except BadInput:
            continue
        assert not is_good(signature, b"m", "edgefuse-kit") or signature == read_signature(whole, "here"), position


@given(st.binary(max_size=400))
def test_anything_else_gets_a_sentence(data: bytes) -> None:
    armoured = b"-----BEGIN SSH SIGNATURE-----\n" + data + b"\n-----END SSH SIGNATURE-----\n"
    for text in (data, armoured):
        with pytest.raises(BadInput, match="The signature here cannot be read"):
            read_signature(text, "here")


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_the_parts_of_a_message_come_back(parts: list[bytes]) -> None:
    assert unpacked(packed(*parts), len(parts)) == parts
    with pytest.raises(ValueError, match="ends too early"):
        unpacked(packed(*parts), len(parts) + 1)


def test_a_signature_of_another_kind_of_key_is_refused(
    make_key: Callable[..., Path], ssh_keygen: Keygen, tmp_path: Path
) -> None:
    (tmp_path / "m").write_bytes(b"m")
    ssh_keygen("-Y", "sign", "-q", "-f", make_key("ec", kind="ecdsa"), "-n", "edgefuse-kit", tmp_path / "m")
    with pytest.raises(BadInput, match="not made by an Ed25519 key"):
        read_signature((tmp_path / "m.sig").read_bytes(), "here")


def test_the_public_half_is_the_one_in_the_pub_file(make_key: Callable[..., Path], ssh_keygen: Keygen) -> None:
    path = make_key()
    public = public_of(load_private_key(path, ask_nobody))
    assert public.base64 == path.with_name("key.pub").read_text().split()[1]
    assert public.fingerprint in ssh_keygen("-l", "-f", path).stdout.decode()
