"""How far text and image vectors lie apart in the tables of a study: as figures, and as numbers beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from edgefuse.embeddings.table import Table
from edgefuse.figures import gap
from edgefuse.figures.canvas import Figure
from edgefuse.modality_gap import Fit, Measures, fit, measure
from edgefuse.pages.sheets import Column, Sheet, Value, number, scientific
from edgefuse.study import paper
from edgefuse.training import align


class Gaps(NamedTuple):
    """What a report tells of the gap."""

    plane: Figure
    space: Figure
    sheet: Sheet


def gaps_of(tables: Mapping[str, Table], match: align.Method, *, with_paper: bool) -> Gaps | None:
    """Training rows of every table before and after the shift; None where widths stay unequal."""
    fitted = {
        name: one for name, table in tables.items() for one in [fit(table, match)] if one.alignment.gap is not None
    }
    if not fitted:
        return None
    clouds = [gap.cloud(name, one) for name, one in fitted.items()]
    return Gaps(gap.plane(clouds), gap.space(clouds), _sheet(fitted, with_paper))


def _sheet(fitted: Mapping[str, Fit], with_paper: bool) -> Sheet:
    rows: list[Mapping[str, Value]] = []
    for name, one in fitted.items():
        before = one.before()
        rows.append({"encoders": name, "state": "before", **_flat(measure(before))})
        after = measure(one.after(before))
        rows.append({"encoders": name, "state": f"shift {one.alignment.shift:g}", **_flat(after)})
    remarks = [
        "Training rows at length 1. R is the mean resultant length: 1 where all vectors are one. Variances: the mean "
        "over the first two principal components of both modalities together, as the paper has it, and over all "
        "coordinates."
    ]
    if with_paper:
        for dataset, (text, image) in paper.VARIANCES.items():
            found = {"variance_joint_text": text, "variance_joint_image": image}
            rows.append({"encoders": f"the paper: CLIP, {dataset}", "state": "before", **found})
        remarks.append(
            "The paper's variances are those of the authors' notebooks; some are printed ten times too large or too "
            "small in its text. Medical ones are not lower in every case."
        )
    columns = (
        Column("encoders", ("encoders",)),
        Column("", ("state",)),
        Column("gap", ("gap",), number(3)),
        Column("R text", ("cone_text",), number(3)),
        Column("R image", ("cone_image",), number(3)),
        Column("variance text, joint PCA", ("variance_joint_text",), scientific),
        Column("variance image, joint PCA", ("variance_joint_image",), scientific),
        Column("variance text, all", ("variance_text",), scientific),
        Column("variance image, all", ("variance_image",), scientific),
    )
    return Sheet("gap", "The gap between text and image", columns, tuple(rows), tuple(remarks))


def _flat(measures: Measures) -> dict[str, Value]:
    sides = {name: getattr(measures, name) for name in ("cone", "variance_joint", "variance")}
    return {"gap": measures.gap} | {f"{name}_{side}": v for name, both in sides.items() for side, v in both.items()}
