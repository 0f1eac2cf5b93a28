"""Ed25519 keys as ssh writes them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse.extras import importable
from edgefuse.trust.wire import packed, unpacked
from edgefuse_runtimes.errors import BadInput

KIND = "ssh-ed25519"
EXTRA = "sign"


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key."""

    raw: bytes
    """32 bytes."""

    @classmethod
    def from_blob(cls, blob: bytes) -> PublicKey:
        """The key in the form that ssh sends over the wire.

        Raises:
            ValueError: it is damaged, or a key of another kind.
        """
        if not blob.startswith(packed(KIND.encode())):
            raise ValueError("it is no Ed25519 key")
        raw = unpacked(blob, 2)[1]
        if len(raw) != 32:
            raise ValueError("its key is not 32 bytes long")
        return cls(raw)

    @property
    def blob(self) -> bytes:
        """The key as ssh sends it."""
        return packed(KIND.encode(), self.raw)

    @property
    def base64(self) -> str:
        """As it stands in a `.pub` file."""
        return base64.b64encode(self.blob).decode()

    @property
    def fingerprint(self) -> str:
        """ "SHA256:..." as `ssh-keygen -l` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


def public_key(text: str) -> PublicKey:
    """The key from its base64.

    Raises:
        ValueError: it is none.
    """
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64") from None
    return PublicKey.from_blob(blob)


def load_private_key(path: Path, ask: Callable[[], str]) -> Any:
    """The Ed25519 private key in an OpenSSH file, as an object of the library `cryptography`.

    Args:
        path: what `ssh-keygen -t ed25519` wrote.
        ask: gives the passphrase; called only where there is one.

    Raises:
        BadInput: it is no such file, the passphrase is wrong, or the library is missing.
    """
    serialization = importable("cryptography.hazmat.primitives.serialization", EXTRA)
    exceptions = importable("cryptography.exceptions", EXTRA)
    ed25519 = importable("cryptography.hazmat.primitives.asymmetric.ed25519", EXTRA)
    data = path.read_bytes()
    if data.startswith((KIND.encode(), b"sk-", b"ssh-", b"ecdsa-")):
        raise BadInput(f"{path} is a public key; name the private one, without .pub at its end.")
    wrong = BadInput(f"{path} is not an OpenSSH Ed25519 private key; make one with: ssh-keygen -t ed25519 -f KEY")
    if b"OPENSSH PRIVATE KEY" not in data:
        raise wrong
    try:
        key = serialization.load_ssh_private_key(data, password=None)
    except TypeError:  # it wants a passphrase
        try:
            key = serialization.load_ssh_private_key(data, password=ask().encode())
        except (ValueError, exceptions.InvalidKey) as error:
            raise BadInput(f"The passphrase of {path} is wrong, or the file is damaged; try again.") from error
    except (ValueError, exceptions.UnsupportedAlgorithm) as error:
        raise wrong from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise wrong
    return key


def public_of(private: Any) -> PublicKey:
    """The public half of what `load_private_key` gave."""
    return PublicKey(private.public_key().public_bytes_raw())
