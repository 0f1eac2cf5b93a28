"""Private keys as ssh-keygen writes them, with a passphrase or without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse.trust.keys import load_private_key, public_key, public_of
from edgefuse_runtimes.errors import BadInput


def test_a_key_with_a_passphrase_opens_with_it_alone(make_key: Callable[..., Path]) -> None:
    path = make_key(passphrase="four plain words")
    public = public_of(load_private_key(path, lambda: "four plain words"))
    assert public == public_key(path.with_name("key.pub").read_text().split()[1])
    with pytest.raises(BadInput, match="The passphrase of "):
        load_private_key(path, lambda: "other words")


def test_keys_that_are_none_or_of_another_kind_are_refused(make_key: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "nothing").write_text("no key\n")
    (tmp_path / "half").write_bytes(make_key("whole").read_bytes()[:150])
    for path in (tmp_path / "nothing", tmp_path / "half", make_key("ec", kind="ecdsa")):
        with pytest.raises(BadInput, match="not an OpenSSH Ed25519 private key; make one with: ssh-keygen"):
            load_private_key(path, lambda: "")
    with pytest.raises(BadInput, match="is a public key; name the private one"):
        load_private_key(tmp_path / "whole.pub", lambda: "")


@pytest.mark.parametrize("text", ["", "AAAA", "no base64!", "AAAAC3NzaC1lZDI1NTE5AAAAAA==", "AAAAB3NzaC1yc2EAAAAA"])
def test_texts_that_are_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="it"):
        public_key(text)
