"""Signatures of files as `ssh-keygen -Y sign` makes them.

The format is OpenSSH's PROTOCOL.sshsig. What is signed is not the file but a few words with its hash in them, among
them a namespace, so that a signature made for another purpose is worth nothing here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

from edgefuse.extras import importable
from edgefuse.trust.keys import EXTRA, KIND, PublicKey, public_of
from edgefuse.trust.wire import packed, unpacked
from edgefuse_runtimes.errors import BadInput

MAGIC = b"SSHSIG"
VERSION = (1).to_bytes(4, "big")
HASHES = ("sha512", "sha256")
LARGEST = 4096
"""Bytes of a signature file; one of an Ed25519 key has about 300."""
_ARMOUR = re.compile(rb"\s*-----BEGIN SSH SIGNATURE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END SSH SIGNATURE-----\s*")


@dataclass(frozen=True)
class Signature:
    """A signature that was read; nothing says yet that it is good."""

    key: PublicKey
    """Whose it claims to be."""
    namespace: str
    hash_name: str
    raw: bytes
    """64 bytes."""


def read_signature(armoured: bytes, where: str) -> Signature:
    """What a signature file says.

    Args:
        armoured: content of the file.
        where: the file, for the sentence.

    Raises:
        BadInput: it is no signature, or one by a key of another kind.
    """
    try:
        found = _ARMOUR.fullmatch(armoured)
        if found is None or len(armoured) > LARGEST:
            raise ValueError("it is no SSH signature")
        blob = base64.b64decode(b"".join(found[1].split()), validate=True)
        if not blob.startswith(MAGIC + VERSION):
            raise ValueError("it is no SSH signature of version 1")
        key, namespace, _, hash_name, signed = unpacked(blob[len(MAGIC + VERSION) :], 5)
        kind, raw = unpacked(signed, 2)
        if kind.decode() != KIND or len(raw) != 64:
            raise ValueError("it was not made by an Ed25519 key")
        if hash_name.decode() not in HASHES:
            raise ValueError("it uses an unknown hash")
        return Signature(PublicKey.from_blob(key), namespace.decode(), hash_name.decode(), raw)
    except (ValueError, binascii.Error) as error:  # UnicodeDecodeError is a ValueError
        why = "its text is damaged" if isinstance(error, UnicodeDecodeError | binascii.Error) else error
        raise BadInput(f"The signature {where} cannot be read ({why}); ask for it again, signed anew.") from error


def can_check() -> bool:
    """Whether the library that tells good signatures from others is installed."""
    return util.find_spec("cryptography") is not None


def is_good(signature: Signature, message: bytes | Path, namespace: str) -> bool:
    """Whether the key that the signature names signed `message`, or the file of that path, for `namespace`.

    Raises:
        BadInput: the library `cryptography`, which tells, is not installed.
    """
    ed25519 = importable("cryptography.hazmat.primitives.asymmetric.ed25519", EXTRA)
    exceptions = importable("cryptography.exceptions", EXTRA)
    if signature.namespace != namespace:
        return False
    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(signature.key.raw)
        public.verify(signature.raw, _signed_words(message, namespace, signature.hash_name))
    except (exceptions.InvalidSignature, ValueError):  # a point that is on no curve
        return False
    return True


def sign(message: bytes | Path, private: Any, namespace: str) -> bytes:
    """The content of a signature file, byte for byte what `ssh-keygen -Y sign` writes.

    Args:
        message: content of the file to sign, or the path of one too large to hold.
        private: see `edgefuse.trust.keys.load_private_key`.
        namespace: what the signature is for.
    """
    raw = private.sign(_signed_words(message, namespace, HASHES[0]))
    signed = packed(KIND.encode(), raw)
    blob = MAGIC + VERSION + packed(public_of(private).blob, namespace.encode(), b"", HASHES[0].encode(), signed)
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def _signed_words(message: bytes | Path, namespace: str, hash_name: str) -> bytes:
    with io.BytesIO(message) if isinstance(message, bytes) else message.open("rb") as file:
        digest = hashlib.file_digest(file, hash_name).digest()
    return MAGIC + packed(namespace.encode(), b"", hash_name.encode(), digest)
