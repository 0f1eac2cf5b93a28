"""What `edgefuse verify` found, as a small page for people."""

from __future__ import annotations

from collections.abc import Sequence

import click

from edgefuse import __version__
from edgefuse.progress import in_bytes
from edgefuse.verification.checks import Verified
from edgefuse.verification.replay import Replayed


def render(verified: Verified) -> str:
    """The page, with terminal colours."""
    kit, signer = verified.kit, verified.trust.signer
    facts = {
        "kit": f"{kit.name} {kit.version}",
        "digest": kit.digest,
        "files": f"{verified.files}, {in_bytes(verified.bytes)}, each as it was packed",
        "signed by": signer.fingerprint if signer else "nobody whom this device trusts (--allow-unsigned)",
        "edgefuse": f"packed by {kit.manifest.get('edgefuse')}, here {__version__}",
    }
    lines = ["", *(f"  {click.style(f'{name:<10}', dim=True)} {value}" for name, value in facts.items()), ""]
    lines += [f"  {line}" for line in _replays(verified.replayed)]
    if verified.measured is None:
        lines += ["  Nothing was run from the archive: install it, then verify it by its name."]
    else:
        took = f"{verified.measured.ms:.0f} ms and {verified.measured.ram_bytes / 2**20:.0f} MiB"
        lines += ["", f"  An answer takes {took} here{_allowed(verified)}."]
    sentences = [*verified.wrong, *verified.over_budget]
    lines += [f"  {click.style('wrong', fg='red', bold=True)}  {sentence}" for sentence in sentences]
    if not sentences:
        lines += ["", f"  {click.style('right', fg='green', bold=True)}"]
    return "\n".join([*lines, ""])


def _allowed(verified: Verified) -> str:
    budget = verified.kit.budget
    parts = [f"{budget['latency_ms']:.0f} ms"] if "latency_ms" in budget else []
    parts += [f"{budget['ram_bytes'] / 2**20:.0f} MiB"] if "ram_bytes" in budget else []
    return f"; the kit allows {' and '.join(parts)}" if parts else "; the kit names no budget"


def _replays(runs: Sequence[Replayed]) -> list[str]:
    """A line for each engine and file; the limits stand beside what was found."""
    if not runs:
        return []
    width = max(len(run.file) for run in runs)
    lines = [f"{'golden samples':<{width + 22}}{'cosine':<19}{'probabilities':<19}{'other labels':<14}{'ms':>6}"]
    for run in runs:
        name = f"{run.file:<{width}} {run.precision:<8} {run.engine:<12}"
        if run.used:
            mark = click.style("right", fg="green") if run.is_right else click.style("wrong", fg="red")
            cosine, shift = f"{run.cosine:.5f} >= {run.least_cosine}", f"{run.shift:.3f} <= {run.most_shift}"
            sign = "*" if run.limits == "rounded" else " "
            lines.append(f"{name}{cosine:<19}{shift:<19}{run.flipped:<14}{run.ms:>6.0f}  {mark}{sign}")
        else:
            lines.append(f"{name}{click.style('not used here', fg='yellow')}: {run.reason}")
    if any(run.limits == "rounded" for run in runs):
        lines.append("* the limits for files that are rounded as they run")
    return lines
