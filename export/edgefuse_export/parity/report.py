"""The parity report: `parity.json`, and a page for each encoder."""

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


def page_name(modality: str) -> str:
    """Of an encoder's page in the encoders folder."""
    return f"parity-{modality}.html"


def encoder_figures(spec: EncoderSpec, samples: Samples, pair: Pair, engine: dict[str, Any]) -> dict[str, Any]:
    """What `parity.json` says of one encoder; for a text encoder each different note counts once."""
    is_image = spec.modality == "image"
    ids = samples.ids if is_image else [samples.ids[index] for index in distinct(samples.notes)[0]]
    origin = samples.pictures_from if is_image else samples.notes_from
    return {
        "file": spec.file,
        "sha256": spec.sha256,
        "precision": spec.precision,
        "bytes": spec.bytes,
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


def parity_report(figures: dict[str, dict[str, Any]], labels: dict[str, Any] | None, gates: Gates) -> dict[str, Any]:
    """The content of `parity.json`."""
    return {
        "schema": SCHEMA,
        "edgefuse": __version__,
        "gates": {"max_error": gates.max_error, "min_agreement": gates.min_agreement},
        "encoders": figures,
        "labels": labels,
    }


def write_report(folder: Path, report: dict[str, Any], pictured: Samples | None = None) -> None:
    """Write `parity.json` and both pages; with `pictured`, the worst pictures are on the image encoder's page."""
    write_json(folder / FILE, report)
    for modality in report["encoders"]:
        html = page(report, modality, pictured if modality == "image" else None)
        write_bytes(folder / page_name(modality), html.encode())


def closing_lines(report: dict[str, Any]) -> list[str]:
    """What `export` says of each encoder at its end."""
    lines = []
    for modality, found in report["encoders"].items():
        plain, top_1 = found["plain"], found["neighbours"]["top_1"]
        kept = f", {top_1['mean']:.0%} keep their nearest neighbour" if top_1 else ""
        lines.append(
            f"{modality}: mean 1 - cosine to its source {plain['mean']:.1e} ± {plain['standard_error']:.0e}, centred "
            f"{found['centred']['mean']:.1e}{kept} ({found['count']} samples of {found['on']})"
        )
    if report["labels"] is not None:
        both, judge = report["labels"]["comparisons"]["both"], report["labels"]["head"]["name"]
        lines.append(f"labels: {both['agreement']['mean']:.1%} stay the same with {judge}; {len(both['flips'])} flip")
    return lines
