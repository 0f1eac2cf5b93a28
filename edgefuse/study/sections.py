"""The sections of a study's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgefuse.evaluation.pictures import figures_of
from edgefuse.figures.canvas import Figure
from edgefuse.figures.sweep import curves
from edgefuse.pages.sections import Picture, Section
from edgefuse.pages.sheets import Sheet
from edgefuse.study import contents, costs, published
from edgefuse.study.config import slug
from edgefuse.study.found import Found
from edgefuse.study.gap import gaps_of
from edgefuse.sweep.report import lines, summary


def sections_of(found: Found) -> Iterator[Section]:
    """Everything that the report tells, in its order.

    Raises:
        BadInput: matplotlib is not installed.
    """
    study, pooled, best = found.study, found.pooled, found.best
    drawn = figures_of(best.judged)
    yield _shown("accuracy", contents.accuracy_sheet(study, pooled, found.raw))
    yield _shown("differences", contents.difference_sheet(pooled))
    yield _shown(
        "classes",
        contents.class_sheet(best),
        *_pictures(drawn, "confusion", f"Answers by true class, of all seeds: {best.title}"),
    )
    papers_own = published.paper_sweep(study)
    for name, sweep in found.sweeps.items():
        own = [" ".join(line.split()) for line in summary(sweep.swept)]
        yield Section(
            f"sweep-{slug(name)}",
            f"The shift: {name}",
            paragraphs=tuple(own if papers_own is None else [*own, papers_own]),
            pictures=(
                Picture(
                    f"sweep-{slug(name)}",
                    f"Accuracy and macro-F1 on {sweep.validation_rows} validation rows of the table's own split, over "
                    "the shift (the paper's Figures 4 to 6). The band is the spread over seeds; the lines are what the "
                    "best of as many draws of noise would give.",
                    curves(lines(sweep.swept)),
                ),
            ),
        )
    gaps = gaps_of(found.tables, study.training.match, with_paper=study.like is not None)
    if gaps is not None:
        yield _shown(
            "gap",
            gaps.sheet,
            Picture(
                "gap-2d",
                "Training rows, first two principal components of both modalities together, before and after the "
                "shift (the paper's Figure 2)",
                gaps.plane,
            ),
            Picture("gap-3d", "The same in three components (the paper's Figure 3)", gaps.space),
        )
    yield _shown(
        "calibration",
        contents.calibration_sheet(pooled),
        *_pictures(drawn, "reliability", f"How often answers are right, by how sure they are: {best.title}"),
    )
    referral = contents.referral_sheet(pooled)
    if referral is not None:
        yield _shown(
            "referral",
            referral,
            *_pictures(
                drawn, "risk-coverage", f"How often answers are right when only the surest are given: {best.title}"
            ),
        )
    if best.judged["subgroups"]:
        yield _shown("subgroups", contents.subgroup_sheet(best))
    yield _shown("memory", costs.memory_sheet(pooled, found.tables, found.raw))
    yield _shown("time", costs.time_sheet(pooled, found.tables, found.raw))
    paper = published.paper_sheet(study)
    if paper is not None:
        yield _shown("paper", paper)


def _shown(name: str, sheet: Sheet, *pictures: Picture) -> Section:
    return Section(name, sheet.title, sheet=sheet, pictures=pictures)


def _pictures(drawn: Mapping[str, Figure], name: str, caption: str) -> tuple[Picture, ...]:
    return (Picture(name, caption, drawn[name]),) if name in drawn else ()
