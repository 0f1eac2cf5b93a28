"""All that `edgefuse verify` looks at, one after the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefuse import __version__
from edgefuse.kits.brought import open_brought
from edgefuse.kits.kit import Kit
from edgefuse.kits.signature import Trust, require_trust
from edgefuse.kits.source import check_files, hash_files
from edgefuse.progress import Progress, silent
from edgefuse.verification.budget import Measured, measure_answer, over_budget
from edgefuse.verification.replay import Replayed, replay
from edgefuse_runtimes.errors import QualityGate, TooSlow


@dataclass(frozen=True)
class Verified:
    """A kit that is what was packed, and what this device did with it."""

    kit: Kit
    trust: Trust
    files: int
    """So many were hashed."""
    bytes: int
    replayed: tuple[Replayed, ...] = ()
    """Empty for an archive, which nothing can be run from."""
    measured: Measured | None = None
    """None for an archive."""

    @property
    def wrong(self) -> list[str]:
        """Engines that do not compute what they should, each in a sentence."""
        return [
            f"{run.engine} gives other answers with {run.file} than it should: centred cosine {run.cosine:.5f} (at "
            f"least {run.least_cosine}), a probability differs by {run.shift:.3f} (at most {run.most_shift}), "
            f"{run.flipped} other labels."
            for run in self.replayed
            if not run.is_right
        ]

    @property
    def over_budget(self) -> list[str]:
        """What is beyond the kit's budget, each in a sentence."""
        return [] if self.measured is None else over_budget(self.measured, self.kit.budget)

    @property
    def exit_code(self) -> int:
        """0, or that of the worst that was found."""
        return QualityGate.exit_code if self.wrong else TooSlow.exit_code if self.over_budget else 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        signer = self.trust.signer
        return {
            "kit": {"name": self.kit.name, "version": self.kit.version, "digest": self.kit.digest},
            "signer": signer.fingerprint if signer else None,
            "files": self.files,
            "bytes": self.bytes,
            "edgefuse": {"packed": str(self.kit.manifest.get("edgefuse")), "here": __version__},
            "replayed": [asdict(run) for run in self.replayed],
            "measured": None if self.measured is None else asdict(self.measured),
            "budget": self.kit.budget,
            "wrong": self.wrong,
            "over_budget": self.over_budget,
        }


def verify(
    path: Path,
    *,
    fingerprint: str | None = None,
    allow_unsigned: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
) -> Verified:
    """Check the kit at `path`, a folder or an archive, and of a folder replay the golden samples.

    Raises:
        BadInput: it is damaged, lacks what an answer needs, or nobody whom this device trusts signed it.
    """
    brought = open_brought(path)
    trust = require_trust(brought, fingerprint=fingerprint, allow_unsigned=allow_unsigned)
    check_files(brought.source, brought.kit.files)
    hash_files(brought.source, brought.kit.files, progress)
    kit = brought.kit
    sizes = sum(brought.source.sizes[name] for name in kit.files)
    if not path.is_dir():
        return Verified(kit, trust, len(kit.files), sizes)
    kit = Kit.open(path)
    kit.require_complete()
    replayed = tuple(progress("replaying golden samples", replay(kit, threads=threads), None))
    (measured,) = progress("measuring an answer", (measure_answer(kit, threads) for _ in range(1)), 1)
    return Verified(kit, trust, len(kit.files), sizes, replayed, measured)
