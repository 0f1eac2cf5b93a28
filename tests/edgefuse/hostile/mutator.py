"""Seeded damage to a kit's files: bytes of any file, values of a JSON file, headers of an array file."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefuse.kits.manifest import MANIFEST, write_manifest

NUMBERS = [0, 1, 2, 7, 127, 128, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 3.5, -0.0, 1e308, -1e308, 2**31, 2**63, 2**64, 10**30, 10**400),
    *(
        "",
        "x",
        "../../outside",
        "/etc/passwd",
        "a\0b",
        "\x1b[2J",
        "\ud7ff",
        "nan",
        "onnx",
        "gguf",
        "text.gguf",
        "x" * 5000,
    ),
    *([], [[]], [0], ["a"] * 50, {}, {"a": 1}, {"": {}}),
]


def mutate(kit: Path, rng: random.Random) -> str:
    """Damage one file of the kit in place; the manifest fits the damage in three of four cases. What was done."""
    golden = sorted(name for name in _files(kit) if name.startswith("golden/"))
    name = rng.choice([MANIFEST, MANIFEST, *sorted(_files(kit).difference(golden)), rng.choice(golden)])
    path = kit / name
    data = path.read_bytes()
    if name == MANIFEST:
        said = _json(data, rng)
        if rng.random() < 0.25:
            path.write_bytes(damaged(data, rng))
            return f"bytes of {name}"
        _recompose(kit, said)
        return f"values of {name}"
    kinds: dict[str, Callable[[bytes, random.Random], bytes]] = {".json": _json_bytes, ".npz": _arrays}
    change = kinds.get(path.suffix, damaged) if rng.random() < 0.7 else damaged
    path.write_bytes(change(data, rng))
    if rng.random() < 0.75:
        refit(kit)
        return f"{change.__name__} of {name}, in the manifest too"
    return f"{change.__name__} of {name}"


def refit(kit: Path) -> None:
    """Have the manifest tell the files that there are, as one who means harm would."""
    _recompose(kit, json.loads((kit / MANIFEST).read_text(encoding="utf-8")))


def _recompose(kit: Path, said: Any) -> None:
    """Write the manifest with hashes and sizes of the files that there are, and the right digest."""
    if not isinstance(said, dict):
        (kit / MANIFEST).write_text(json.dumps(said))
        return
    for part in _dicts(said.get("encoders")):
        file = part.get("file")
        if isinstance(file, str) and file in _files(kit):
            part["sha256"] = hashlib.sha256((kit / file).read_bytes()).hexdigest()
            part["bytes"] = (kit / file).stat().st_size
    listed = said.get("files")
    (kit / MANIFEST).unlink()
    rest = {key: value for key, value in said.items() if key not in ("files", "digest")}
    if isinstance(listed, dict) and set(listed) == _files(kit):
        write_manifest(kit, rest)
        return
    whole = {**rest, "files": listed}  # the list itself was damaged
    text = json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    whole["digest"] = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    text = json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (kit / MANIFEST).write_bytes(text.encode("utf-8", "replace"))


def _files(kit: Path) -> set[str]:
    return {path.relative_to(kit).as_posix() for path in kit.rglob("*") if path.is_file()} - {MANIFEST}


def _dicts(value: Any) -> list[dict[str, Any]]:
    """A JSON value's objects, at any depth."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) else []), *(found for item in inner for found in _dicts(item))]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, most often near the start, where files describe themselves."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = int(len(changed) * rng.random() ** rng.choice([1, 4, 12]))
        kind = rng.randrange(6)
        if kind == 0 and changed:
            changed[min(place, len(changed) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place : place + 4] = rng.choice(NUMBERS).to_bytes(9, "little")[:4]
        elif kind == 2:
            changed[place : place + 8] = rng.choice(NUMBERS).to_bytes(9, "little")[:8]
        elif kind == 3:
            del changed[place : place + rng.choice([1, 8, 1000])]
        elif kind == 4:
            changed[place:place] = changed[: rng.choice([1, 8, 1000])]
        else:
            del changed[place:]
    return bytes(changed)


def _json(data: bytes, rng: random.Random) -> Any:
    """A value somewhere inside replaced or removed."""
    said = json.loads(data)
    for _ in range(rng.choice([1, 1, 1, 3])):
        part, key = said, None
        while isinstance(part, dict | list) and part:
            holder, key = part, rng.choice(list(part) if isinstance(part, dict) else range(len(part)))
            part = holder[key]
            if rng.random() < 0.25:
                break
        if key is None:
            continue
        if rng.random() < 0.2:
            del holder[key]
        else:
            holder[key] = rng.choice(VALUES)
    return said


def _json_bytes(data: bytes, rng: random.Random) -> bytes:
    return json.dumps(_json(data, rng)).encode()


def _arrays(data: bytes, rng: random.Random) -> bytes:
    """An array file with one array whose header lies, or that holds objects."""
    shapes = ["()", "(0,)", "(1,)", "(-1,)", "(3, 4)", "(1000000000000,)", "(4294967296, 4294967296)", "(1.5,)", "'x'"]
    kinds = ["'<f4'", "'<f8'", "'|O'", "'<i8'", "'<c16'", "'|S1000000'", "[('a', '<f4')]", "'<M8[s]'", "'V'"]
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w", rng.choice([0, 8])) as after:
        chosen = rng.choice(before.namelist())
        for name in before.namelist():
            content = before.read(name)
            if name == chosen and rng.random() < 0.2:
                continue
            if name == chosen:
                header = f"{{'descr': {rng.choice(kinds)}, 'fortran_order': False, 'shape': {rng.choice(shapes)}, }}"
                start = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header.encode() + b"\n"
                content = start + content[128:] if rng.random() < 0.8 else damaged(content, rng)
            after.writestr(name, content)
    return out.getvalue()
