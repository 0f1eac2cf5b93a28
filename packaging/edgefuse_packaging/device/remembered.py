"""Is the kit one that this device has to refuse, by what it remembers of kits? Asked before the first byte is written.

`edgefuse kits install` asks the same later, and its answer counts. But then all is unpacked already, and a Debian
package that is refused then stays half configured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgefuse_packaging.device.refused import Refused


def require_not_older(root: Path, facts: Mapping[str, Any]) -> None:
    """Refuse a kit that is older than one that was ever installed below `root`, or another one of the same version.

    Args:
        root: of the installation, which may not exist yet.
        facts: of what is carried: "kit", and of a Debian package "anyway", how it is taken all the same.

    Raises:
        Refused: the kit is such, or what is remembered cannot be read.
    """
    kit = facts["kit"]
    name, version = kit["name"], kit["version"]
    for known in _installed(root):
        if (known.get("name"), known.get("version")) == (name, version) and known.get("digest") != kit["digest"]:
            anyway = facts.get("anyway", f"remove the other first with 'edgefuse kits remove {name}'")
            raise Refused(
                f"another kit {name} {version} is installed already, with other content; carry this one under a new "
                f"--version, or {anyway}."
            )
    highest = _highest(root / "kits" / "highest.json").get(name)
    if highest is not None and version_key(version) < version_key(highest):
        raise Refused(
            f"the kit {name} {version} is older than version {highest}, which was installed here; "
            f"{facts.get('anyway', 'add --allow-downgrade if you mean it')}."
        )


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """What versions are compared by: the same as `edgefuse.kits.store.version_key`, which is not there yet."""
    parts = re.findall(r"[0-9]+|[a-z]+", version.lower())
    return (*((2, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts), (1, 0, ""))


def _installed(root: Path) -> Iterator[dict[str, Any]]:
    """What is recorded of each installed kit; a record that cannot be read is none, as for edgefuse."""
    for path in sorted((root / "kits").glob("*/*.installed.json")):
        try:
            record = json.loads(path.read_bytes())
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _highest(path: Path) -> dict[str, str]:
    """The highest version of each kit that was ever installed."""
    if not path.exists():
        return {}
    try:
        versions = json.loads(path.read_bytes())["versions"]
        return {str(name): str(version) for name, version in versions.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            f"{path} is damaged; remove it, and mind yourself that no kit is older than the one before."
        ) from error
