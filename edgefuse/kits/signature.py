"""Who answers for a kit: the signature over its manifest, held against the keys that this device trusts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse.kits.brought import Brought
from edgefuse.trust import sshsig
from edgefuse.trust.keys import PublicKey
from edgefuse.trust.pinned import NAMESPACE, pinned_keys
from edgefuse_runtimes.errors import BadInput

Confirm = Callable[[PublicKey], bool]
"""Shows a person the fingerprint of a first key and asks whether it is the one on paper."""


def no_one(key: PublicKey) -> bool:
    """The `Confirm` where there is nobody to ask."""
    return False


@dataclass(frozen=True)
class Trust:
    """Why a kit was taken."""

    signer: PublicKey | None
    """Who signed it; None: nobody that counts, and the user took it all the same."""
    is_new: bool = False
    """Whether the key is to be pinned now."""


def signature_over(manifest: bytes, private: Any) -> bytes:
    """The signature file of a manifest, made with what `edgefuse.trust.keys.load_private_key` gave."""
    return sshsig.sign(manifest, private, NAMESPACE)


def signer_of(brought: Brought) -> PublicKey | None:
    """The key that signed the kit; None where it has no signature.

    Raises:
        BadInput: as `signer_over`.
    """
    if brought.signature is None:
        return None
    return signer_over(brought.manifest, brought.signature, brought.source.path)


def signer_over(manifest: bytes, signature_file: bytes, kit: Path) -> PublicKey:
    """The key that signed the manifest of the kit at `kit`.

    Raises:
        BadInput: the signature is damaged or not over this manifest, or there is no library to check it with.
    """
    signature = sshsig.read_signature(signature_file, f"of the kit {kit}")
    if not sshsig.is_good(signature, manifest, NAMESPACE):
        raise BadInput(
            f"The signature of the kit {kit} is not over this kit: the kit or its signature was changed; do not use "
            "it, and ask for it again."
        )
    return signature.key


def require_trust(
    brought: Brought, *, fingerprint: str | None = None, allow_unsigned: bool = False, confirm: Confirm = no_one
) -> Trust:
    """Why the kit may be taken.

    Args:
        brought: the kit.
        fingerprint: of the key that the user trusts, "SHA256:...".
        allow_unsigned: take a kit that nobody signed, or nobody whom this device knows.
        confirm: asks about the key where the device trusts none yet.

    Raises:
        BadInput: it may not.
    """
    if allow_unsigned and fingerprint is None and not sshsig.can_check():
        return Trust(None)  # a signature that nobody checked is none
    signer = signer_of(brought)
    where = f"The kit {brought.source.path}"
    if fingerprint is not None and (signer is None or signer.fingerprint != fingerprint):
        by = "nobody" if signer is None else signer.fingerprint
        raise BadInput(f"{where} is signed by {by}, not by {fingerprint}; ask for the right kit.")
    if signer is None and not allow_unsigned:
        raise BadInput(
            f"{where} is not signed; ask for a signed one, or add --allow-unsigned to 'kits install' or 'verify': then "
            "every answer tells."
        )
    if signer is None:
        return Trust(None)
    pinned = pinned_keys()
    if signer in pinned:
        return Trust(signer)
    if fingerprint is not None:
        return Trust(signer, is_new=True)
    if allow_unsigned:
        return Trust(None)
    if not pinned and confirm(signer):
        return Trust(signer, is_new=True)
    whom = "a key that this device does not know" if pinned else "the first key that this device sees"
    raise BadInput(
        f"{where} is signed by {whom}, {signer.fingerprint}; compare that with the fingerprint that you were given on "
        f"paper and, if it is the same, add --trust {signer.fingerprint}"
    )
