"""A study from its file to its report."""

from __future__ import annotations

import csv
import html.parser
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from edgefuse.embeddings.table import Table, open_table
from edgefuse.study.cells import read_cell, write_cell
from edgefuse.study.choosing import chosen_anew
from edgefuse.study.config import read_study
from edgefuse.study.found import gather, headline
from edgefuse.study.pooling import pool
from edgefuse.study.running import cells_of, run, work_of
from edgefuse_runtimes.errors import BadInput
from tests.edgefuse.study.conftest import Reported

pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra report)")


def test_every_row_is_answered_once_a_seed_by_a_head_that_saw_none_of_its_group(
    config: Path, finished: Path, tmp_path: Path
) -> None:
    study = read_study(config)
    works = {name: work_of(study, finished, name) for name in study.names}
    pooled = pool(study, works, ("one pair", "late"))
    table = open_table(tmp_path / "V1")
    assert Counter(pooled.predictions.ids.tolist()) == dict.fromkeys(table.ids.tolist(), 2)
    by_seed = np.split(np.arange(600), 2)
    wanted = [
        f1_score(
            pooled.predictions.labels[rows],
            pooled.predictions.probabilities["fused"][rows].argmax(axis=1),
            average="macro",
        )
        for rows in by_seed
    ]
    assert pooled.spread("fused", "macro_f1") == pytest.approx((np.mean(wanted), np.std(wanted, ddof=1)))
    assert pooled.judged["samples"] == 300
    assert pooled.judged["groups"] == 150


def test_it_goes_on_where_it_stopped_and_computes_nothing_twice(config: Path, finished: Path) -> None:
    study = read_study(config)
    files = sorted(finished.rglob("*.npz"))
    assert len(files) == 2 * len(cells_of(study)) == 24
    before = {path: path.stat().st_mtime_ns for path in files}
    files[3].unlink()
    run(study, finished, jobs=2)
    changed = [path for path in files if path.stat().st_mtime_ns != before[path]]
    assert changed == [files[3]]


def test_a_study_of_other_settings_is_refused(config: Path, finished: Path) -> None:
    config.write_text(config.read_text().replace("epochs = 3", "epochs = 4"))
    with pytest.raises(BadInput, match=r"was computed from other inputs \(settings differ\)"):
        run(read_study(config), finished, jobs=2)


def test_a_report_trains_no_head_that_a_sweep_lacks(config: Path, finished: Path) -> None:
    cells = finished / "sweeps" / "one-pair" / "cells.jsonl"
    lines = cells.read_text().splitlines(keepends=True)
    cells.write_text("".join(lines[:-1]))
    with pytest.raises(BadInput, match="heads of the sweep of one pair are missing"):
        gather(read_study(config), finished, jobs=1)
    assert cells.read_text() == "".join(lines[:-1])


def test_an_unfinished_study_gives_no_report(config: Path, finished: Path) -> None:
    study = read_study(config)
    shutil.rmtree(finished / "cells" / "another-pair")
    with pytest.raises(BadInput, match="The study is unfinished: 6 of 6 heads of another pair"):
        gather(study, finished, jobs=1)


def test_a_class_that_some_fold_cannot_train_on_is_named_before_any_head(
    tmp_path: Path, make_table: Callable[..., Table]
) -> None:
    make_table(tmp_path / "V1", labels=lambda row, classes: 2 if row < 2 else row % 2)  # one group has the third class
    path = tmp_path / "rare.toml"
    path.write_text('[tables]\na = "V1"\n[training]\nfolds = 3\nseeds = 1')
    with pytest.raises(BadInput, match=r"In fold \d of 3, drawn with seed 0: .* no training rows of the class nv"):
        run(read_study(path), tmp_path / "S", jobs=1)
    assert not (tmp_path / "S").exists()


def test_a_sweep_that_cannot_be_run_is_refused_before_any_head(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace("[sweep]", 'match = "none"\n[sweep]'))
    with pytest.raises(BadInput, match="unequal widths, and nothing can be shifted"):
        run(read_study(config), tmp_path / "S", jobs=1)
    assert not (tmp_path / "S").exists()


class Loads(html.parser.HTMLParser):
    """Collects all that a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href") and tag != "a"]


def test_the_report_tells_everything_and_loads_nothing(reported: Reported) -> None:
    folder = reported.folder
    text = (folder / "report.html").read_text()
    loads = Loads()
    loads.feed(text)
    assert loads.found
    assert all(each.startswith("data:image/png;base64,") for each in loads.found)
    for title in (
        "Table 1",
        "Table 2",
        "Table 3",
        "What fusing gains",
        "Calibration",
        "Referring",
        "The shift: one pair",
    ):
        assert title in text
    rows = list(csv.DictReader((folder / "table-1-accuracy.csv").read_text().splitlines()))
    assert [row["method"] for row in rows[:2]] == ["fused, early", "fused, late"]
    assert all(0 < float(row["macro_f1_validation"]) <= 1 for row in rows)
    fused = [tuple(float(row[f"macro_f1{end}"]) for end in ("_low", "", "_high")) for row in rows[:4]]
    assert all(0 < low <= value <= high < 1 for low, value, high in fused)
    paper = list(csv.DictReader((folder / "paper.csv").read_text().splitlines()))
    gap = list(csv.DictReader((folder / "gap.csv").read_text().splitlines()))
    assert [row["encoders"] for row in gap[:5:2]] == ["one pair", "another pair", "the paper: CLIP, BRSET"]
    assert paper[0]["macro_f1"] == "0.713"
    assert (paper[0]["accuracy_epoch"], paper[0]["macro_f1_epoch"]) == ("28", "26")
    assert "<td>28 / 26</td>" in re.sub(r" class=\"[^\"]*\"", "", text)
    markdown = (folder / "report.md").read_text()
    assert "The paper's sweep over HAM10000 goes from macro-F1 .715 to .745 (CLIP, early fusion" in markdown
    assert "differ by about .012, and then the best of 21 shifts gains about .022 by chance alone" in markdown
    assert all((folder / name).is_file() for name in ("gap-2d.png", "sweep-one-pair.svg", "reliability.png"))
    assert "fused, early" in markdown


def test_validation_rows_choose_the_head_that_is_shown(config: Path, finished: Path) -> None:
    """Test answers have no part in it: the best one by them is another here."""
    study = read_study(config)
    found = gather(study, finished, jobs=1)
    for one in found.pooled:
        work = work_of(study, finished, one.name)
        done = [read_cell(work.folder / c.file, work.facts(), c) for c in cells_of(study) if c.fusion == one.fusion]
        figures = [each.validation["fused"]["macro_f1"] for each in done]
        assert len(figures) == 6
        assert one.validation["fused"] == pytest.approx(np.mean(figures))
    scores = [one.validation["fused"] for one in found.pooled]
    assert found.best is found.pooled[int(np.argmax(scores))]
    worst = min(found.pooled, key=lambda one: one.spread("fused", "macro_f1")[0])
    chosen = replace(worst, validation={**worst.validation, "fused": 1.0})
    other = replace(found, pooled=tuple(chosen if one is worst else one for one in found.pooled))
    assert other.best is chosen
    assert headline(other)[:2] == [
        headline(replace(found, pooled=(chosen,)))[0].replace("head:", "head by validation rows:"),
        "Of 4 it has the highest mean macro-F1 on validation rows, 1.000; no test answer had a part in that choice.",
    ]


def test_heads_chosen_anew_in_each_fold_answer_for_it(config: Path, finished: Path) -> None:
    """Against scikit-learn, where in each fold the head that answers is made the best one on its validation rows."""
    study = read_study(config)
    works = {name: work_of(study, finished, name) for name in study.names}
    pooled = [pool(study, works, ("one pair", fusion)) for fusion in study.training.fusion]
    turn = [0, 1, 1, 0, 1, 0]  # which kind answers, by seed and fold
    changed = []
    for number, one in enumerate(pooled):
        scores = [{"fused": {"macro_f1": float(number == chosen)}} for chosen in turn]
        cells = [replace(cell, validation=score) for cell, score in zip(one.cells, scores, strict=True)]
        changed.append(replace(one, cells=tuple(cells)))
    wanted = []
    for seed in range(2):
        answers = [pooled[turn[k]].cells[k].predictions for k in range(3 * seed, 3 * seed + 3)]
        labels = np.concatenate([each.labels for each in answers])
        predicted = np.concatenate([each.probabilities["fused"].argmax(axis=1) for each in answers])
        wanted.append(f1_score(labels, predicted, average="macro"))
    found = chosen_anew(changed)
    assert found == pytest.approx((np.mean(wanted), np.std(wanted, ddof=1)))
    other_rows = replace(changed[0], cells=changed[0].cells[1:] + changed[0].cells[:1])
    assert chosen_anew([other_rows, changed[1]]) is None


def test_files_of_an_older_edgefuse_have_the_answers_choose_and_the_report_says_so(
    config: Path, finished: Path
) -> None:
    study = read_study(config)
    work = work_of(study, finished, "one pair")
    cell = next(cell for cell in cells_of(study) if cell.fusion == "late")
    done = read_cell(work.folder / cell.file, work.facts(), cell)
    write_cell(work.folder / cell.file, work.facts(), replace(done, validation={}))
    found = gather(study, finished, jobs=1)
    assert found.best is max(found.pooled, key=lambda one: one.spread("fused", "macro_f1")[0])
    assert "best of 4 by these very answers, so its figures flatter a little" in headline(found)[1]


def test_the_verb_runs_and_reports(config: Path, cli: Callable[..., Any], finished: Path, reported: Reported) -> None:
    shutil.rmtree(finished / "cells" / "another-pair")
    ran = cli("study", "run", config, "--output", finished, "--jobs", "2")
    assert ran.code == 0, ran.err
    assert len(list(finished.rglob("*.npz"))) == 24
    assert "Best fused head by validation rows:" in reported.out
    assert (reported.folder / "report.html").is_file()
