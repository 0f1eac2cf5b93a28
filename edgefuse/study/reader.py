"""Values out of a study's TOML file, or the sentence that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edgefuse_runtimes.errors import BadInput


class Allowed(NamedTuple):
    """Which values a key may have."""

    kind: type | tuple[type, ...]
    fits: Callable[[Any], bool]
    words: str
    """What `fits` asks for: "1 or more"."""


def at_least(least: int) -> Allowed:
    """A whole number."""
    return Allowed(int, lambda value: value >= least, f"{least} or more")


class Reader:
    """One table of the TOML file, whose faults name the file and the key."""

    def __init__(self, path: Path, values: Mapping[str, Any], where: str = "") -> None:
        self.path, self._values, self._where = path, values, where

    def fault(self, what: str) -> BadInput:
        """The error to raise: "The study PATH" and `what` is wrong."""
        return BadInput(f"The study {self.path} {what}.")

    def only(self, keys: set[str]) -> None:
        """Refuse every other key."""
        strange = sorted(self._values.keys() - keys)
        if strange:
            place = f" under [{self._where}]" if self._where else ""
            raise self.fault(f"has the key {strange[0]!r}{place}; known there are {', '.join(sorted(keys))}")

    def part(self, key: str) -> Reader:
        """The table of this name; an empty one where there is none."""
        found = self._values.get(key, {})
        if not isinstance(found, dict):
            raise self.fault(f"has {key!r} as a value; write it as a table, [{key}]")
        return Reader(self.path, found, key)

    def value(self, key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        """What stands at the key, which must be of this kind; the default where nothing does."""
        found = self._values.get(key, default)
        if key in self._values and (not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool)):
            raise self.fault(f"has {key} = {found!r}, which is of the wrong kind; see the documentation")
        return found

    def at_least(self, key: str, least: int, default: int) -> int:
        """A whole number that is not smaller."""
        found: int = self.value(key, int, default)
        if key in self._values and found < least:
            raise self.fault(f"has {key} = {found}; it must be {least} or more")
        return found

    def several(self, key: str, kind: type | tuple[type, ...], default: tuple[Any, ...]) -> tuple[Any, ...]:
        """A list, each of its values once."""
        found = self.value(key, list, list(default))
        if not all(isinstance(one, kind) and not isinstance(one, bool) for one in found):
            raise self.fault(f"has {key} = {found!r}, which is of the wrong kind; see the documentation")
        return tuple(dict.fromkeys(found))

    def paths(self, key: str) -> list[tuple[str, Path]]:
        """The names and paths of a table, from where the file lies."""
        part = self.part(key)
        for name, folder in part._values.items():
            if not isinstance(folder, str):
                raise self.fault(f"has {folder!r} for {name!r} under [{key}]; write a path in quotes")
        return [(name, self.path.parent / folder) for name, folder in part._values.items()]

    def given(self, kinds: Mapping[str, Allowed]) -> dict[str, Any]:
        """The values that are there of these keys, each as allowed."""
        found = {name: self.value(name, allowed.kind, None) for name, allowed in kinds.items() if name in self._values}
        for name, value in found.items():
            if not kinds[name].fits(value):
                raise self.fault(f"has {name} = {value!r}; it must be {kinds[name].words}")
        return found
