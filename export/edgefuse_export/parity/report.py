"""The parity report: `parity.json`, and a page for each encoder file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefuse import __version__
from edgefuse_export.parity.compare import compare
from edgefuse_export.parity.gates import Gates
from edgefuse_export.parity.labels import Pair
from edgefuse_export.parity.page import page
from edgefuse_export.parity.samples import DRAWN, Samples, distinct
from edgefuse_runtimes.files import write_bytes, write_json
from edgefuse_runtimes.spec import EncoderSpec

SCHEMA = 1
FILE = "parity.json"
MEASURE = "1 - cosine between the exported file's vectors and its source's"


MAIN = ""
"""Stands for the main files where figures are kept by precision."""


def page_name(name: str) -> str:
    """Of an encoder file's page in the encoders folder; `name` is that of its golden vectors."""
    return f"parity-{name}.html"


def encoder_figures(spec: EncoderSpec, samples: Samples, pair: Pair, engine: dict[str, Any]) -> dict[str, Any]:
    """What `parity.json` says of one encoder; for a text encoder each different note counts once."""
    is_image = spec.modality == "image"
    ids = samples.ids if is_image else [samples.ids[index] for index in distinct(samples.notes)[0]]
    origin = samples.pictures_from if is_image else samples.notes_from
    return {
        "file": spec.file,
        "sha256": spec.sha256,
        "precision": spec.precision,
        "bytes": spec.total_bytes,
        "width": spec.width,
        "source": str(spec.source.get("name", "unknown")),
        "engines": {
            "source": "numpy, float32" if spec.format == "gguf" else "onnxruntime, float32",
            "exported": f"{engine['engine']} {engine['version']}",
        },
        "measure": MEASURE,
        "on": origin,
        "drawn": origin == DRAWN,
        "available": samples.available,
        **compare(ids, pair.source, pair.exported),
    }


def summary(figures: dict[str, Any]) -> dict[str, Any]:
    """The part of an encoder's figures that its description carries into the kit: no sample is named."""
    return {
        "measure": figures["measure"],
        "on": figures["on"],
        "samples": figures["count"],
        **figures["plain"],
        "centred": figures["centred"],
        "neighbours": figures["neighbours"],
        "mean_length": figures["mean_length"],
    }


def parity_report(
    figures: dict[str, dict[str, Any]], labels: dict[str, dict[str, Any]], gates: Gates
) -> dict[str, Any]:
    """The content of `parity.json`.

    Args:
        figures: of each file, by the name of its golden vectors.
        labels: what a head answers with the `MAIN` files, and with those of each other precision; empty without a head.
        gates: what was asked for.
    """
    others = {precision: found for precision, found in labels.items() if precision != MAIN}
    return {
        "schema": SCHEMA,
        "edgefuse": __version__,
        "gates": {"max_error": gates.max_error, "min_agreement": gates.min_agreement},
        "encoders": figures,
        "labels": labels.get(MAIN),
    } | ({"labels_by_precision": others} if others else {})


def write_report(folder: Path, report: dict[str, Any], pictured: Samples | None = None) -> None:
    """Write `parity.json` and the pages; with `pictured`, the worst pictures are on those of the image encoder."""
    write_json(folder / FILE, report)
    for name in report["encoders"]:
        html = page(report, name, pictured if name.startswith("image") else None)
        write_bytes(folder / page_name(name), html.encode())


def closing_lines(report: dict[str, Any]) -> list[str]:
    """What `export` says of each encoder at its end."""
    lines = []
    for name, found in report["encoders"].items():
        plain, top_1 = found["plain"], found["neighbours"]["top_1"]
        kept = f", {top_1['mean']:.0%} keep their nearest neighbour" if top_1 else ""
        lines.append(
            f"{name}: mean 1 - cosine to its source {plain['mean']:.1e} ± {plain['standard_error']:.0e}, centred "
            f"{found['centred']['mean']:.1e}{kept} ({found['count']} samples of {found['on']})"
        )
    answers = {"labels": report["labels"]} if report["labels"] is not None else {}
    answers |= {f"labels, {name}": found for name, found in report.get("labels_by_precision", {}).items()}
    for title, found in answers.items():
        both, judge = found["comparisons"]["both"], found["head"]["name"]
        lines.append(f"{title}: {both['agreement']['mean']:.1%} stay the same with {judge}; {len(both['flips'])} flip")
    return lines
