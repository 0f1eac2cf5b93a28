"""What `tune` found, as a page for people, of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

WIDTH = 100


def render(found: Mapping[str, Any]) -> str:
    """The page of `running.tune`'s result, with terminal colours."""
    kit = found["kit"]
    lines = [
        "",
        click.style(f"  {kit['name']} {kit['version']}: how it runs on this device", bold=True),
        f"  measured for {found['seconds']:.0f} s; runs: {found['runs']}, whole rounds: {found['rounds']}",
    ]
    for modality, rows in found["measured"].items():
        lines += ["", *_table(modality, rows)]
    lines.append("")
    for kind, sentences, colour in (("left out", found["left_out"], "yellow"), ("note", found["notes"], "yellow")):
        for sentence in sentences:
            lines += _remark(kind, sentence, colour)
    lines += _remark("written", found["file"], "green")
    return "\n".join([*lines, ""])


def _table(modality: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    heading = f"  {modality:<14}{'threads':>7}  {'precision':<11}{'ms':>10}{'ratio':>8}{'faster in':>13}"
    yield click.style(heading, bold=True)
    for row in sorted(rows, key=lambda row: row["median_ns"]):
        wins = "" if row["usual"] else f"{row['wins']} of {row['compared']}"
        words = " ".join(word for word, holds in (("chosen", row["chosen"]), ("(usual)", row["usual"])) if holds)
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        line = (
            f"  {row['engine']:<14}{row['threads']:>7}  {row['precision']:<11}{row['median_ns'] / 1e6:>10.2f}{ratio:>8}"
            f"{wins:>13}  {words}"
        )
        yield click.style(line.rstrip(), fg="green") if row["chosen"] else line.rstrip()


def _remark(kind: str, sentence: str, colour: str) -> list[str]:
    first, *more = textwrap.wrap(sentence, WIDTH - 12, break_long_words=False, break_on_hyphens=False)
    return [f"  {click.style(f'{kind:<8}', fg=colour)}  {first}", *(" " * 12 + line for line in more)]
