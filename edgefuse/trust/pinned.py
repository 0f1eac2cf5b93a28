"""The keys whose kits this device takes: a file in the form that `ssh-keygen -Y verify` reads (ALLOWED SIGNERS).

edgefuse-kit namespaces="edgefuse-kit,edgefuse-installer" ssh-ed25519 AAAA... SHA256:...
"""

from __future__ import annotations

import shlex
from pathlib import Path

from edgefuse.home import closed_to_others, home, trusted_roots
from edgefuse.trust.keys import KIND, PublicKey, public_key
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_bytes

NAME = "trusted_keys"
"""Of the file, in the folder of a user and of an installation for everyone."""
PRINCIPAL = "edgefuse-kit"
"""What `ssh-keygen -Y verify -I` is given."""
NAMESPACE = "edgefuse-kit"
"""What a kit's signature is for: `ssh-keygen -Y sign -n`."""
INSTALLER = "edgefuse-installer"
"""What an installer's signature is for."""


def pinned_path() -> Path:
    """Where the keys of this user are."""
    return home() / NAME


def pinned_keys(namespace: str = NAMESPACE) -> list[PublicKey]:
    """The keys that this device trusts for a purpose, those of an installation for everyone too.

    Raises:
        BadInput: a line of the file cannot be read; it is never passed over, since it may say less than it seems to.
    """
    paths = [root / NAME for root in trusted_roots()]
    return list(dict.fromkeys(key for path in paths for key in _keys_in(path, namespace)))


def pin(key: PublicKey) -> None:
    """Trust kits and installers that `key` signed, from now on."""
    if key in pinned_keys():
        return
    path = pinned_path()
    before = path.read_bytes() if path.exists() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    line = f'{PRINCIPAL} namespaces="{NAMESPACE},{INSTALLER}" {KIND} {key.base64} {key.fingerprint}\n'
    with closed_to_others():  # never so for a moment either: who has the file open may go on writing to it
        write_bytes(path, before + line.encode())


def _keys_in(path: Path, namespace: str) -> list[PublicKey]:
    try:
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    found = [_key(line, f"{path}, line {number}", namespace) for number, line in enumerate(lines, start=1)]
    return [key for key in found if key is not None]


def _key(line: str, where: str, namespace: str) -> PublicKey | None:
    """The key of a line; None where it is empty, a comment, or a key for another purpose."""
    if not line.strip() or line.lstrip().startswith("#"):
        return None
    try:
        words = shlex.split(line, posix=True)
        at = words.index(KIND)
        options = [word.partition("=") for word in words[1:at]]
        key = public_key(words[at + 1])
        if at == 0:
            raise ValueError("it names nobody before the key")
    except (ValueError, IndexError) as error:
        why = error if isinstance(error, ValueError) and KIND not in str(error) else f"it has no {KIND} key"
        raise BadInput(f"{where}, cannot be read ({why}); repair or remove the line.") from error
    for name, _, value in options:
        if name.lower() != "namespaces":
            raise BadInput(f"{where}, has the option {name!r}, which edgefuse does not know; remove the line.")
        if "=" in value:  # an option after a comma, which may set a last day
            raise BadInput(f"{where}, has several options in one word, which edgefuse does not read; remove the line.")
        if namespace not in value.split(","):
            return None
    return key
