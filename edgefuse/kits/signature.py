"""Who answers for a kit: the signature over its manifest, held against the keys that this device trusts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgefuse.kits.manifest import MANIFEST, SIGNATURE
from edgefuse.kits.source import Source, read_small
from edgefuse.trust import sshsig
from edgefuse.trust.keys import PublicKey
from edgefuse.trust.pinned import NAMESPACE, pinned_keys
from edgefuse_runtimes.errors import BadInput

UNSIGNED = "This kit was installed with --allow-unsigned: nobody's signature stands for it."

Confirm = Callable[[PublicKey], bool]
"""Shows a person the fingerprint of a first key and asks whether it is the one on paper."""


@dataclass(frozen=True)
class Trust:
    """Why a kit was taken."""

    signer: PublicKey | None
    """Who signed it; None: nobody that counts, and the user took it all the same."""
    is_new: bool = False
    """Whether the key is to be pinned now."""

    @property
    def remarks(self) -> list[str]:
        """What every answer of the kit must say."""
        return [] if self.signer else [UNSIGNED]


def signature_over(manifest: bytes, private: Any) -> bytes:
    """The signature file of a manifest, made with what `edgefuse.trust.keys.load_private_key` gave."""
    return sshsig.sign(manifest, private, NAMESPACE)


def signer_of(source: Source) -> PublicKey | None:
    """The key that signed the kit; None where it has no signature.

    Raises:
        BadInput: the signature is damaged or not over this manifest, or there is no library to check it with.
    """
    if SIGNATURE not in source.sizes:
        return None
    signature = sshsig.read_signature(read_small(source, SIGNATURE), f"of the kit {source.path}")
    if not sshsig.is_good(signature, read_small(source, MANIFEST), NAMESPACE):
        raise BadInput(
            f"The signature of the kit {source.path} is not over this kit: the kit or its signature was changed; "
            "do not use it, and ask for it again."
        )
    return signature.key


def require_trust(
    source: Source,
    *,
    fingerprint: str | None = None,
    allow_unsigned: bool = False,
    confirm: Confirm = lambda key: False,
) -> Trust:
    """Why the kit may be taken.

    Args:
        source: the kit.
        fingerprint: of the key that the user trusts, "SHA256:...".
        allow_unsigned: take a kit that nobody signed, or nobody whom this device knows.
        confirm: asks about the key where the device trusts none yet.

    Raises:
        BadInput: it may not.
    """
    signer = signer_of(source)
    where = f"The kit {source.path}"
    if signer is not None and fingerprint is not None and signer.fingerprint != fingerprint:
        raise BadInput(f"{where} is signed by {signer.fingerprint}, not by {fingerprint}; ask for the right kit.")
    if signer is not None:
        pinned = pinned_keys()
        if signer in pinned:
            return Trust(signer)
        if fingerprint is not None or (not pinned and not allow_unsigned and confirm(signer)):
            return Trust(signer, is_new=True)
        if not allow_unsigned:
            whom = "a key that this device does not know" if pinned else "the first key that this device sees"
            raise BadInput(
                f"{where} is signed by {whom}: {signer.fingerprint}; compare it with the fingerprint that you were "
                f"given on paper and, if it is the same, add --trust {signer.fingerprint}"
            )
    elif not allow_unsigned:
        raise BadInput(
            f"{where} is not signed; ask for a signed one, or take it with --allow-unsigned, which every answer tells."
        )
    return Trust(None)
