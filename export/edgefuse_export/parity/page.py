"""One encoder's parity report as a page: one HTML file that loads nothing."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

from edgefuse.pages.template import fill
from edgefuse_export.parity.samples import Samples
from edgefuse_runtimes.image import Picture, load_image

SAME, CLOSE = 1e-3, 1e-2
"""Mean centred 1 - cosine up to which the headline says "practically the same", and "close"."""

ONE_WAY = 0.98
"""Mean length from which on all of a source's vectors point nearly the same way."""

THUMBNAIL = 240
"""Longest side of a picture on the page, in pixels."""

ROWS = {
    "mean": "mean",
    "median": "median",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "p99": "99th percentile",
    "worst": "worst",
}
FIGURES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def page(report: dict[str, Any], name: str, pictured: Samples | None = None) -> str:
    """The page of one encoder file.

    Args:
        report: the content of `parity.json`.
        name: which of the encoders in it: "image", "text", "image-fp32", ...
        pictured: where the worst samples' pictures are taken from; None: no picture is shown.

    Raises:
        BadInput: jinja2 is not installed.
    """
    found, modality = report["encoders"][name], name.partition("-")[0]
    others = report.get("labels_by_precision", {})
    labels = report["labels"] if name == modality else others.get(found["precision"])
    return fill(
        __package__,
        extra="export",
        filters={"small": small, "percent": percent, "signed": signed},
        modality=modality,
        found=found,
        headline=headline(found),
        rows={name: title for name, title in ROWS.items() if name in found["plain"]},
        limit=report["gates"]["max_error"],
        least=report["gates"]["min_agreement"],
        one_way=found["mean_length"] >= ONE_WAY,
        charts=[
            (title, chart(found["histogram"]["edges"], found["histogram"][measure]))
            for measure, title in (("plain", "As they are"), ("centred", "Centred"))
        ],
        pictures=_thumbnails(found["worst"], pictured),
        labels=labels,
        comparisons=[] if labels is None else [(one, labels["comparisons"][one]) for one in (modality, "both")],
        figures=FIGURES,
        same=SAME,
        close=CLOSE,
        edgefuse=report["edgefuse"],
    )


def headline(found: dict[str, Any]) -> str:
    """The verdict in one sentence: how far from its source, seen from the centre."""
    error = found["centred"]["mean"]
    how = "practically the same as" if error <= SAME else "close to" if error <= CLOSE else "clearly different from"
    return f"The vectors of {found['file']} are {how} those of its source"


def chart(edges: Sequence[float], counts: Sequence[int]) -> dict[str, Any]:
    """Where the bars and ticks of a histogram over bins of equal width stand, in a drawing of 360 x 190."""
    left, right, top, bottom = 34, 352, 14, 160
    width, most = (right - left) / len(counts), max(counts)
    bars = [
        {
            "x": round(left + width * k + 0.75, 2),
            "y": round(bottom - (bottom - top) * count / most, 2),
            "width": round(width - 1.5, 2),
            "height": round((bottom - top) * count / most, 2),
            "title": f"{count} between {small(edges[k])} and {small(edges[k + 1])}",
        }
        for k, count in enumerate(counts)
        if count
    ]
    powers = [(k, math.log10(edge)) for k, edge in enumerate(edges)]
    ticks = [
        {"x": round(left + width * k, 2), "text": "10" + str(round(power)).translate(_SUPERSCRIPTS)}
        for k, power in powers
        if math.isclose(power, round(power), abs_tol=1e-6)
    ]
    every = 1 + len(ticks) // 8
    return {"bars": bars, "ticks": ticks[::every], "most": most, "left": left, "right": right, "bottom": bottom}


def small(value: float) -> str:
    """A number near 0 for people: 3.0 × 10⁻⁴."""
    if value == 0:
        return "0"
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits} × 10{str(int(power)).translate(_SUPERSCRIPTS)}"


def percent(value: float) -> str:
    """A share for people: 97.3 %."""
    return f"{value * 100:.1f} %"


def signed(value: float) -> str:
    """A difference with its sign: +0.004, −0.004."""
    return f"{value:+.3f}".replace("-", "−")


def _thumbnails(worst: Sequence[dict[str, Any]], samples: Samples | None) -> dict[str, str]:
    """Data URIs of the worst samples' pictures by id."""
    if samples is None:
        return {}
    by_id = dict(zip(samples.ids, samples.pictures, strict=True))
    return {item["id"]: _thumbnail(by_id[item["id"]]) for item in worst}


def _thumbnail(picture: Picture) -> str:
    image = load_image(picture).copy()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    data = io.BytesIO()
    image.save(data, format="JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
