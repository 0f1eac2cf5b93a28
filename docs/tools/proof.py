"""Site hook: write what was proven out of docs/proof.json, so that no figure can differ from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "proof.json"
MARK = re.compile(r"<!-- proof: ([\w-]+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by the site builder for every page: put a part's figures where the page has the part's mark."""
    if not MARK.search(markdown):
        return markdown
    parts = json.loads(FILE.read_bytes())["parts"] if FILE.exists() else {}
    return MARK.sub(lambda found: "\n".join(_lines(parts.get(found[1]))), markdown)


def _lines(part: Mapping[str, Any] | None) -> Iterator[str]:
    if part is None:
        yield "*Not run yet.*"
        return
    figures = part["figures"]
    outcome = "Right" if part["right"] else "**Not right**"
    yield (
        f"{outcome}: commit {part['commit'][:7]}, {part['started'][:10]}, {part['machine']}, "
        f"{part['seconds'] / 60:.0f} minutes."
    )
    if "wrong" in figures:
        yield from ("", _escape(figures["wrong"]))
    if "passed" in figures:
        yield from _tests(figures)
    if "answers" in figures:
        yield from _processors(figures)
    if "sha256" in figures:
        yield from _table(("file", "sha256"), [(f"`{name}`", f"`{told}`") for name, told in figures["sha256"].items()])


def _tests(figures: Mapping[str, Any]) -> Iterator[str]:
    told = {"tests passed": figures["passed"], "tests failed": len(figures["failed"]), **figures["figures"]}
    yield from _table(("what", "how many"), [(name.replace("_", " "), f"{count:,.0f}") for name, count in told.items()])
    yield from ("", *(f"- failed: `{name}`" for name in figures["failed"]))
    yield from (f"- skipped: {_escape(reason)}" for reason in figures["skipped"])


def _processors(figures: Mapping[str, Any]) -> Iterator[str]:
    size, seconds = figures["installer_bytes"] / 2**20, figures["install_seconds"]
    yield f"\nThe file of {size:.0f} MiB was installed in {seconds:.0f} s ({figures['installed_as']})."
    yield from _table(
        ("processor", "engines", "golden sample", "label", "probabilities within"),
        [
            (a["processor"], f"{a['engines']['image']}, {a['engines']['text']}", str(a["sample"]), a["label"],
             f"{a['worst_difference']:.1g}")
            for a in figures["answers"]
        ],
    )  # fmt: skip
    rows = [
        (processor, run["file"], run["engine"], f"{run['cosine']:.5f}", f"{run['shift']:.1g}", str(run["flipped"]))
        if run["used"]
        else (processor, run["file"], run["engine"], f"not used: {_escape(run['reason'])}", "", "")
        for processor, verified in figures["verified"].items()
        for run in verified["replayed"]
    ]
    heads = ("processor", "file", "engine", "least centred cosine", "probabilities within", "other labels")
    yield from _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield from ("", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}")
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _escape(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;").replace("\n", " ")
