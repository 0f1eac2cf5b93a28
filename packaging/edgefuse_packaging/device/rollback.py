"""`edgefuse-rollback`: use the version before the current one again; once more, and the newer one is back."""

from __future__ import annotations

import sys
from pathlib import Path

from edgefuse_packaging.device.versions import make_current


def main(arguments: list[str]) -> int:
    """`ROOT`; an exit code."""
    root = Path(arguments[0])
    previous = root / "previous"
    if not (previous / "bin" / "python").exists():
        print("edgefuse: there is no previous version; nothing was changed.", file=sys.stderr)
        return 2
    version = previous.resolve()
    make_current(root, version)
    print(f"The current version is {version.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
