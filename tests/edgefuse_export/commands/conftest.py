"""`edgefuse export` as a user calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from edgefuse_export.commands.export import command

FEW = ("--samples-count", "12")
"""Of the drawn samples: what is tested here does not get better by more."""


def export(image: Path | str, text: Path | str, output: Path, *options: str) -> Result:
    arguments = ["--image-encoder", str(image), "--text-encoder", str(text), "--output", str(output), *FEW, *options]
    return CliRunner().invoke(command, arguments)


def finished_steps_left_out(outcome: Any) -> Any:
    """The outcome without the lines of steps that were finished before."""
    return outcome._replace(err="".join(line for line in outcome.err.splitlines(True) if line.startswith("edgefuse:")))
