"""Whether an installer, a .run file with its parts or a Debian package, is one that a trusted key signed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse.trust import sshsig
from edgefuse.trust.keys import PublicKey
from edgefuse.trust.pinned import INSTALLER, pinned_keys
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_bytes

SUFFIX = ".sig"
"""Where `ssh-keygen -Y sign` puts a signature."""
HEADER_BYTES = 65536
"""Of a .run file: the shell and the program that start it, and last of all what it says of its parts."""
_FACTS = b"\n#FACTS\n"
_NAME = re.compile(r".+\.(run(\.[0-9]+)?|deb)")


@dataclass(frozen=True)
class VerifiedInstaller:
    """An installer that is what its signer made."""

    files: tuple[Path, ...]
    """The one that was named, and of a .run file its further parts."""
    signer: PublicKey

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"files": [str(path) for path in self.files], "signer": self.signer.fingerprint}


def is_installer(path: Path) -> bool:
    """Whether a file has the name of an installer or of a part of one."""
    return _NAME.fullmatch(path.name) is not None and path.is_file()


def sign_installer(path: Path, private: Any) -> Path:
    """Write the signature of one file of an installer beside it, as `ssh-keygen -Y sign -n edgefuse-installer` does."""
    signature = path.with_name(path.name + SUFFIX)
    write_bytes(signature, sshsig.sign(path, private, INSTALLER))
    return signature


def verify_installer(path: Path, *, fingerprint: str | None = None) -> VerifiedInstaller:
    """Check the signature of an installer and of its further parts; nothing of it is run.

    Args:
        path: FILE.run or FILE.deb; the signature is FILE.run.sig.
        fingerprint: of the key that must have signed it, "SHA256:..."; None: one that this device trusts.

    Raises:
        BadInput: it is not signed, changed, or signed by another key, or a part is missing.
    """
    signer = _signer(path)
    if fingerprint is not None and signer.fingerprint != fingerprint:
        raise BadInput(f"{path} is signed by {signer.fingerprint}, not by {fingerprint}; do not start it.")
    if fingerprint is None and signer not in pinned_keys(INSTALLER):
        raise BadInput(
            f"{path} is signed by {signer.fingerprint}, which this device does not trust; compare that with the "
            f"fingerprint that you were given on paper and, if it is the same, add --trust {signer.fingerprint}"
        )
    further = [path.with_name(f"{path.name}.{number}") for number in range(2, _count_parts(path) + 1)]
    for part in further:
        if not part.is_file():
            raise BadInput(f"{part} is missing; copy all {len(further) + 1} files of {path.name} into one folder.")
        if _signer(part) != signer:
            raise BadInput(f"The parts of {path} are signed by different keys; ask for all of them again.")
    return VerifiedInstaller((path, *further), signer)


def _count_parts(path: Path) -> int:
    """How many files the installer `path` has: what the header of a .run file says, and 1 of any other file."""
    if not path.name.endswith(".run"):
        return 1
    with path.open("rb") as file:
        facts = file.read(HEADER_BYTES).rpartition(_FACTS)[2]
    try:
        return len(json.loads(facts)["parts"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{path} does not say which parts it has, so it is no installer; do not start it.") from error


def _signer(path: Path) -> PublicKey:
    beside = path.with_name(path.name + SUFFIX)
    if not beside.is_file():
        raise BadInput(
            f"{path} is not signed (there is no {beside.name} beside it); compare what 'sha256sum' says of it with the "
            "paper, or ask for its signature."
        )
    with beside.open("rb") as file:
        signature = sshsig.read_signature(file.read(sshsig.LARGEST + 1), f"of {path}")
    if not sshsig.is_good(signature, path, INSTALLER):
        raise BadInput(f"The signature of {path} is not over this file: one of them was changed; do not start it.")
    return signature.key
