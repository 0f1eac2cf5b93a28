"""What the paper printed for the data set that a study is like, as a report shows it beside the study's own."""

from __future__ import annotations

from edgefuse.pages.sheets import Column, Row, Sheet, number, share
from edgefuse.study import paper
from edgefuse.study.config import Study


def paper_sheet(study: Study) -> Sheet | None:
    """What the paper prints for the data set that this one is like; None: for none."""
    if study.like is None:
        return None
    rows: list[Row] = []
    for method in paper.METHODS:
        for fusion in ("early", "late"):
            score, size = paper.score(study.like, method, fusion), paper.megabytes(study.like, method, fusion)
            time, epochs = paper.seconds(study.like, method, fusion), paper.best_epochs(study.like, method, fusion)
            best = {"accuracy_epoch": epochs.accuracy, "macro_f1_epoch": epochs.macro_f1}
            rows.append(
                {"method": f"{method}, {fusion}", **score._asdict(), **best, **size._asdict(), **time._asdict()}
            )
    rows.append({"method": "majority class", "accuracy": paper.MAJORITY[study.like]})
    columns = (
        Column("method", ("method",)),
        Column("accuracy", ("accuracy",), share),
        Column("macro-F1", ("macro_f1",), share),
        Column("best epochs", ("accuracy_epoch", "macro_f1_epoch"), _epochs),
        Column("head, MB", ("head",), number(2)),
        Column("read per epoch, MB", ("read_per_epoch",), number(2)),
        Column("training, s per epoch", ("training",), number(2)),
        Column("inference, s per epoch", ("inference",), number(2)),
    )
    remark = (
        f"Restrepo et al. (medRxiv 2024.06.03.24308401), Tables 1 to 3, {study.like}: best epoch on its test rows, "
        "one run, on other rows and, but where said, other encoders than here; two processor cores. Best "
        "epochs: of accuracy / of macro-F1, of 30. The encoders' own time counts there for raw data only."
    )
    return Sheet("paper", f"The paper's numbers for {study.like}", columns, tuple(rows), (remark,))


def paper_sweep(study: Study) -> str | None:
    """What the paper's own sweep shows for the data set that this one is like, and what to make of it."""
    if study.like is None:
        return None
    gain = paper.SWEEPS[study.like]
    where = "" if gain.shift is None else f", at shift {gain.shift:g}"
    return (
        f"The paper's sweep over {study.like} goes from macro-F1 {share(gain.unshifted)} to {share(gain.best)} "
        f"({gain.method}, {gain.fusion} fusion, one run, on test rows{where}). Two runs of one such sweep differ by "
        f"about {share(paper.RERUN_DIFFERENCE)}, and then the best of 21 shifts gains about "
        f"{share(paper.GAIN_OF_CHANCE)} by chance alone."
    )


def _epochs(accuracy: int | None, macro_f1: int | None) -> str:
    return "" if accuracy is None or macro_f1 is None else f"{accuracy} / {macro_f1}"
