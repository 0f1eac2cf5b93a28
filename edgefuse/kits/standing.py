"""What has to be said of a kit that is used where it lies, and did not come in through `edgefuse kits install`."""

from __future__ import annotations

from pathlib import Path

from edgefuse.home import trusted_roots
from edgefuse.kits.manifest import LARGEST, MANIFEST, SIGNATURE
from edgefuse.kits.signature import signer_over
from edgefuse.trust.pinned import pinned_keys
from edgefuse.trust.sshsig import can_check


def standing(kit: Path) -> str | None:
    """A sentence where this device trusts keys and none of them signed the kit in the folder `kit`; else None.

    Of an installed kit its own answers say so. Where no key is trusted, as in a workshop, there is nothing that a kit
    could be held against; yet a signature that is there must be over this very kit.

    Raises:
        BadInput: the signature is damaged or not over this kit.
    """
    if any(kit.resolve().is_relative_to((root / "kits").resolve()) for root in trusted_roots()):
        return None
    if not (kit / MANIFEST).is_file():
        return None  # no kit, which whoever opens it says
    keys = pinned_keys()
    signature = _read(kit / SIGNATURE)
    if signature is not None and can_check():
        signer = signer_over(_read(kit / MANIFEST) or b"", signature, kit)
        if signer in keys or not keys:
            return None
        why = f"is signed by {signer.fingerprint}, a key that this device does not trust"
    elif not keys:
        return None
    elif signature is None:
        why = "is not signed, and this device trusts keys"
    else:
        why = "is signed, which cannot be checked here without the Python package 'cryptography'"
    return f"The kit {kit} {why}; it is used since you named it. 'edgefuse kits install' takes kits of trusted keys."


def _read(path: Path) -> bytes | None:
    """What is in a small file; None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return file.read(LARGEST + 1)
