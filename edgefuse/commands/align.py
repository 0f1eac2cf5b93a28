"""`edgefuse align`: the fit of the alignment alone, as `train` makes it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgefuse.commands.options import FOLDER, FiniteRange
from edgefuse.commands.training_options import match_option, text_components_option
from edgefuse.embeddings.table import open_table
from edgefuse.modality_gap import Fit, cone, cosine, fit, gap, kept_cosines, kept_length
from edgefuse.training import align
from edgefuse_runtimes.alignment import to_arrays
from edgefuse_runtimes.files import write_bytes, write_json
from edgefuse_runtimes.folders import new_folder, require_new


@click.command("align", epilog="Example: edgefuse align V --shift 0.5")
@click.argument("table_folder", metavar="V", type=FOLDER)
@match_option
@text_components_option
@click.option(
    "--shift",
    type=FiniteRange(-1, 1),
    help="How far the gap between text and image is closed (1) or widened (-1).  [default: 1]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the page.")
@click.option("--output", type=FOLDER, help="Store it too: a new folder with alignment.json and alignment.npz.")
def command(
    table_folder: Path,
    match: align.Method,
    text_components: int | None,
    shift: float | None,
    as_json: bool,
    output: Path | None,
) -> None:
    """Fit the alignment on the training rows of the embedding table V, and tell what it does.

    This is what 'edgefuse train' fits before it trains a head: how both modalities come to one width, the gap between
    them, and the shift along it. The gap is also told for validation rows, which nothing is fitted on.
    """
    if output is not None:
        require_new(output)
    fitted = fit(open_table(table_folder), match, shift, text_components)
    told = description(fitted)
    if output is not None:
        data = io.BytesIO()
        np.savez(data, **to_arrays(fitted.alignment))  # type: ignore[arg-type]  # its stub lets no name pass
        with new_folder(output) as part:
            write_bytes(part / "alignment.npz", data.getvalue())
            write_json(part / "alignment.json", told)
    for line in [json.dumps(told)] if as_json else summary(told):
        click.echo(line)


def description(fitted: Fit) -> dict[str, Any]:
    """What was fitted and what it does, as plain JSON types."""
    table, before = fitted.table, fitted.before()
    rows = table.splits == "train"
    encoded = {"text": table.text[rows], "image": table.image[rows]}  # (n, d) each
    ways = {"text": fitted.matching.text, "image": fitted.matching.image}
    aligned = {"text": fitted.alignment.text.width, "image": fitted.alignment.image.width}
    has_gap = fitted.alignment.gap is not None
    parts = {part: fitted.before(part) for part in ("train", "validation") if np.any(table.splits == part)}
    return {
        "table": str(table.folder),
        "dataset": table.dataset["name"],
        "rows": {part: len(pair.text) for part, pair in parts.items()},
        "matching": fitted.matching.method,
        "shift": fitted.alignment.shift,
        "modalities": {
            name: {
                "width": encoded[name].shape[1],
                "aligned_width": aligned[name],
                "mean_resultant_length": cone(common),
                "length_kept": kept_length(encoded[name], ways[name]),
                "cosines_kept": kept_cosines(encoded[name], common),
            }
            for name, common in before._asdict().items()
        },
        "cosine_of_means": cosine(before) if has_gap else None,
        "gap": {part: {"before": gap(pair), "after": gap(fitted.after(pair))} for part, pair in parts.items()}
        if has_gap
        else None,
    }


def summary(told: dict[str, Any]) -> list[str]:
    """The fit as lines."""
    text, image = told["modalities"]["text"], told["modalities"]["image"]

    def line(name: str, key: str, form: str) -> str:
        values = ["-" if side[key] is None else format(side[key], form) for side in (text, image)]
        return f"{name:<28}{values[0]:>10}{values[1]:>12}"

    lines = [
        f"{told['dataset']}: fitted on {told['rows']['train']} training rows, widths matched by {told['matching']}",
        f"{'':<28}{'text':>10}{'image':>12}",
        line("width of the encoder", "width", "d"),
        line("width that a head reads", "aligned_width", "d"),
        line("squared length kept", "length_kept", ".4f"),
        line("cosines kept (correlation)", "cosines_kept", ".4f"),
        line("mean resultant length R", "mean_resultant_length", ".4f"),
    ]
    if told["gap"] is None:
        return [*lines, "The widths stay unequal, so there is no gap and nothing to shift."]
    lines += [
        f"{'cosine of the two means':<28}{told['cosine_of_means']:>10.4f}",
        f"{'length of the gap':<28}{'before':>10}{'shift ' + format(told['shift'], 'g'):>12}",
    ]
    for part, rows in (("train", "training"), ("validation", "validation")):
        if part in told["gap"]:
            found = told["gap"][part]
            count = f"{told['rows'][part]} {rows} rows"
            lines.append(f"  {count:<26}{found['before']:>10.4f}{found['after']:>12.4f}")
    return lines
