"""Embedding tables to train heads on, kits that say something else, and keys made by OpenSSH itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.answering.referral import Kept, Referral, Threshold
from edgefuse.embeddings.table import Row, Table, open_table, shard_path, shards, write_description, write_shard
from edgefuse.kits.archive import write_archive
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, SIGNATURE, write_manifest
from edgefuse.kits.signature import signature_over
from edgefuse.trust.keys import public_of

IDENTITY = {"pooling": "none", "normalize": False, "preprocess": None, "tokenization": None}


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[..., Table]:
    """Writes a table of `count` rows whose text and image vectors each tell half of what the label is."""

    def make(
        folder: Path = tmp_path / "V",
        *,
        classes: tuple[str, ...] = ("akiec", "bcc", "nv"),
        splits: tuple[str, ...] = ("train", "train", "train", "validation", "test"),
        labels: Callable[[int, int], int] | None = None,
        widths: tuple[int, int] = (24, 16),
        drawn: bool = False,
        seed: int = 0,
        count: int = 300,
        views: int = 0,
    ) -> Table:
        rng = np.random.default_rng(seed)
        n, (d_t, d_i) = count, widths
        numbers = [labels(k, len(classes)) if labels else k * 7 // 5 % len(classes) for k in range(n)]
        text_signs, image_signs = rng.normal(size=(len(classes), d_t)), rng.normal(size=(len(classes), d_i))
        text = 5 + rng.normal(size=(n, d_t)) + 0.6 * text_signs[numbers]  # a large common mean, as real notes
        image = rng.normal(size=(n, d_i)) + 0.6 * image_signs[numbers]
        description: dict[str, Any] = {
            "encoders": {
                "image": {"sha256": "1" * 64, "width": d_i, **IDENTITY},
                "text": {"sha256": "2" * 64, "width": d_t, **IDENTITY},
            },
            "dataset": {"name": "invented", "licence": "CC0-1.0", "drawn": drawn},
            "classes": list(classes),
            "split_seed": 0,
            "views": views or None,
        }
        apart = np.repeat(image, views, axis=0) + 0.3 * rng.normal(size=(n * views, d_i))  # (n * views, d_i)
        rows = [
            Row(f"s{k}", classes[number], f"g{k // 2}", splits[k // 2 % len(splits)])
            for k, number in enumerate(numbers)
        ]
        folder.mkdir(parents=True)
        write_description(folder, description, rows)
        for number, span in enumerate(shards(n)):
            write_shard(shard_path(folder, "image", number), image[span.start : span.stop])
            write_shard(shard_path(folder, "text", number), text[span.start : span.stop])
            if views:
                write_shard(shard_path(folder, "views", number), apart[span.start * views : span.stop * views])
        table = open_table(folder)
        in_memory = None if table.views is None else table.views[:]
        return replace(table, text=table.text[:], image=table.image[:], views=in_memory)  # for tests that change them

    return make


@pytest.fixture
def repack() -> Callable[[Path, Callable[[dict[str, Any]], object]], None]:
    """Changes what a kit's manifest says and writes it anew: the kit that another edgefuse would have packed."""

    def change(kit: Path, edit: Callable[[dict[str, Any]], object]) -> None:
        manifest = json.loads((kit / MANIFEST).read_text())
        edit(manifest)
        (kit / MANIFEST).unlink()
        write_manifest(kit, {key: value for key, value in manifest.items() if key not in ("files", "digest", "schema")})

    return change


@pytest.fixture
def careful_kit(tiny_kit: Path, tmp_path: Path, repack: Callable[..., None]) -> Path:
    """The tiny kit with a fused head that refers all it is not certain of, an image-only one that refers nothing."""
    kit = Path(shutil.copytree(tiny_kit, tmp_path / "careful.kit"))
    thresholds = {
        name: Threshold(threshold, Kept(0.5, 0.9, 10))
        for name, threshold in (("fused", 1.0), ("image_only", 0.0), ("text_only", None))
    }
    rule = Referral(0.9, thresholds).to_json()
    repack(kit, lambda manifest: manifest["head"].update(referral=rule))
    return kit


@pytest.fixture(scope="session")
def ssh_keygen() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run ssh-keygen with arguments; its answer, whatever the exit code."""
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("needs ssh-keygen (the package openssh-client)")

    def run(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([program, *map(str, arguments)], input=stdin, capture_output=True, check=False)

    return run


@pytest.fixture
def make_key(ssh_keygen: Callable[..., subprocess.CompletedProcess[bytes]], tmp_path: Path) -> Callable[..., Path]:
    """A new private key file; its public half lies beside it as NAME.pub."""

    def make(name: str = "key", *, passphrase: str = "", kind: str = "ed25519") -> Path:
        path = tmp_path / name
        made = ssh_keygen("-q", "-t", kind, "-N", passphrase, "-C", "the signer", "-f", path)
        assert made.returncode == 0, made.stderr
        return path

    return make


@pytest.fixture
def everyones_root(tmp_path: Path) -> Path:
    """The folder of an installation for everyone; this edgefuse is of it once sys.prefix is its `current`."""
    root = tmp_path / "opt"
    (root / "versions" / "1").mkdir(parents=True)
    (root / "current").symlink_to(Path("versions", "1"))
    return root


@pytest.fixture
def bring(tiny_kit: Path, tmp_path: Path, repack: Callable[..., None]) -> Callable[..., Path]:
    """A copy of the tiny kit as somebody brings it: of that version, signed with a key made of that seed, if any."""
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519", reason="signs kits")

    def make(version: str = "1", *, seed: int | None = 1, archive: bool = False, **said: Any) -> Path:
        kit = Path(shutil.copytree(tiny_kit, tmp_path / f"brought-{len(list(tmp_path.iterdir()))}"))
        repack(kit, lambda manifest: manifest.update({"name": "tiny", "version": version} | said))
        if seed is not None:
            private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
            (kit / SIGNATURE).write_bytes(signature_over((kit / MANIFEST).read_bytes(), private))
        if not archive:
            return kit
        names = [MANIFEST, *([SIGNATURE] if seed is not None else []), *Kit.open(kit).files]
        write_archive(kit.with_suffix(".kit"), {name: kit / name for name in names})
        return kit.with_suffix(".kit")

    return make


@pytest.fixture
def fingerprint() -> str:
    """Of the key that `bring` signs with."""
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519", reason="signs kits")
    return public_of(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)).fingerprint
