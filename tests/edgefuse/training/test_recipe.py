"""From a table to a head: what is learnt, from which rows, and which tables are refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss

from edgefuse.embeddings.table import Table, open_table
from edgefuse.evaluation.cost import cost_of
from edgefuse.heads import Fusion, open_head, write_head
from edgefuse.training import align
from edgefuse.training.aligned import aligned_rows, rows_to_learn, training_rows
from edgefuse.training.recipe import train_head
from edgefuse.training.temperature import HIGHEST, LOWEST
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.alignment import apply, matched, shifted
from edgefuse_runtimes.errors import BadInput

MakeTable = Callable[..., Table]


@pytest.mark.parametrize("fusion", ["early", "late"])
@pytest.mark.parametrize("classes", [("no", "yes"), ("akiec", "bcc", "nv")])
def test_the_fused_head_beats_chance_and_its_figures_are_those_of_the_head(
    make_table: MakeTable, fusion: Fusion, classes: tuple[str, ...]
) -> None:
    table = make_table(classes=classes)
    head = train_head(table, fusion=fusion)
    chosen = table.splits == "validation"
    found = head.probabilities(table.text[chosen], table.image[chosen])
    assert found.shape == (chosen.sum(), len(classes))
    accuracy = np.mean(found.argmax(axis=1) == table.labels[chosen])
    assert head.validation["fused"]["accuracy"] == pytest.approx(accuracy)
    assert accuracy > head.validation["majority"]["accuracy"] + 0.2
    assert len(head.fused.bias) == (1 if len(classes) == 2 else 3)


def test_a_multilabel_class_that_all_training_rows_have_is_refused(make_table: MakeTable) -> None:
    table = make_table()
    holds = np.stack([table.labels == 1, table.splits == "train", table.labels == 2], axis=1).astype(np.int64)
    with pytest.raises(BadInput, match="no training rows without the class bcc"):
        train_head(replace(table, labels=holds, multilabel=True), fusion="early")


def test_a_multilabel_head_finds_classes_that_hold_together(make_table: MakeTable) -> None:
    table = make_table()
    holds = np.stack([table.labels == 0, table.labels > 0, table.labels == 2], axis=1).astype(np.int64)
    head = train_head(replace(table, labels=holds, multilabel=True), fusion="late")
    rows = table.splits == "validation"
    said = head.probabilities(table.text[rows], table.image[rows]) >= 0.5
    assert head.task == "multilabel"
    assert head.validation["fused"]["accuracy"] == pytest.approx((said == holds[rows]).all(axis=1).mean())
    assert head.validation["fused"]["macro_f1"] > head.validation["majority"]["macro_f1"] + 0.2


def test_test_rows_are_never_read(make_table: MakeTable) -> None:
    table = make_table()
    test = table.splits == "test"
    spoilt = replace(table, text=table.text.copy(), image=table.image.copy(), labels=table.labels.copy())
    spoilt.text[test], spoilt.image[test], spoilt.labels[test] = 1e6, -1e6, 0
    heads = [train_head(each, fusion="early", settings=Settings(epochs=2)) for each in (table, spoilt)]
    for name, array in heads[0].arrays().items():
        np.testing.assert_array_equal(array, heads[1].arrays()[name], err_msg=name)
    assert heads[0].temperature == heads[1].temperature


def test_every_head_has_a_temperature_of_its_own_that_the_validation_rows_want(make_table: MakeTable) -> None:
    table = make_table()
    wrong = np.random.default_rng(0).random(len(table.labels)) < 0.2  # so that a head is too sure, not too unsure
    table = replace(table, labels=np.where(wrong, (table.labels + 1) % 3, table.labels))
    head = train_head(table, fusion="early")
    rows = table.splits == "validation"
    temperatures = {"fused": head.temperature, **head.temperatures_alone}
    assert list(temperatures) == ["fused", "image_only", "text_only"]
    assert len(set(temperatures.values())) == 3
    for part, temperature in temperatures.items():
        logits = head.logits(part, table.text[rows], table.image[rows])
        best = minimize_scalar(
            lambda t, logits=logits: log_loss(table.labels[rows], softmax(logits.astype(np.float64) / t, axis=1)),
            bounds=(LOWEST, HIGHEST),
            method="bounded",
        )
        assert temperature == pytest.approx(best.x, rel=0.01)
    alone = {"text": (table.text[rows], None), "image": (None, table.image[rows])}
    for name, vectors in alone.items():
        logits = head.logits(f"{name}_only", *vectors)
        wanted = softmax(logits / head.temperatures_alone[f"{name}_only"], axis=1)
        np.testing.assert_allclose(head.probabilities(*vectors), wanted, atol=1e-6)


def test_validation_rows_choose_but_do_not_fit(make_table: MakeTable) -> None:
    table = make_table()
    other = replace(table, text=table.text.copy())
    other.text[table.splits == "validation"] *= -1
    fits = [train_head(each, fusion="early", settings=Settings(epochs=1), shifts=(0.5,)) for each in (table, other)]
    np.testing.assert_array_equal(fits[0].alignment.gap, fits[1].alignment.gap)
    np.testing.assert_array_equal(fits[0].fused.weight, fits[1].fused.weight)


def test_a_given_shift_is_kept_and_the_seed_decides_the_rest(make_table: MakeTable) -> None:
    table = make_table()
    one, same, other = (
        train_head(table, fusion="late", seed=seed, settings=Settings(epochs=2), shifts=(-0.5,)) for seed in (1, 1, 2)
    )
    assert one.alignment.shift == -0.5
    np.testing.assert_array_equal(one.fused.weight, same.fused.weight)
    assert not np.array_equal(one.fused.weight, other.fused.weight)


def test_of_several_seeds_the_best_on_validation_is_kept_and_mean_and_spread_are_stored(make_table: MakeTable) -> None:
    table, settings = make_table(), Settings(epochs=2)
    given = {"fusion": "late", "settings": settings, "shifts": (0.5,)}
    alone = [train_head(table, seed=seed, **given) for seed in (3, 4, 5)]
    together = train_head(table, seed=3, seeds=3, **given)
    assert (together.training["seed"], together.training["seeds"]) == (3, 3)
    for part in ("fused", "image_only", "text_only"):
        figures = [head.validation[part]["macro_f1"] for head in alone]
        kept = together.training["seeds_kept"][part] - 3
        assert figures[kept] == max(figures) == together.validation[part]["macro_f1"]
        np.testing.assert_array_equal(getattr(together, part).weight, getattr(alone[kept], part).weight)
        spread = together.validation["spread"][part]["macro_f1"]
        assert spread == pytest.approx({"mean": np.mean(figures), "sd": np.std(figures, ddof=1)})
    assert "spread" not in alone[0].validation


def test_the_shift_is_the_best_in_the_mean_over_the_seeds(make_table: MakeTable) -> None:
    table, settings, shifts = make_table(), Settings(epochs=2), (-1.0, 0.0, 1.0)
    given = {"fusion": "early", "settings": settings, "seeds": 2}
    means = {
        shift: train_head(table, shifts=(shift,), **given).validation["spread"]["fused"]["macro_f1"]["mean"]
        for shift in shifts
    }
    assert means[train_head(table, shifts=shifts, **given).alignment.shift] == max(means.values())


def test_width_depth_and_dropout_are_those_of_all_three_heads(make_table: MakeTable) -> None:
    table = make_table()
    head = train_head(table, fusion="late", settings=Settings(epochs=1, hidden=6, depth=2, dropout=0.2))
    for part in (head.fused, head.image_only, head.text_only):
        assert all([len(layer.bias) for layer in branch.layers] == [6, 6] for branch in part.branches)
    assert (head.training["hidden"], head.training["depth"], head.training["dropout"]) == (6, 2, 0.2)
    assert head.training["parameters"] == 2 * ((16 + 3) * 6 + (6 + 3) * 6) + (12 + 1) * 3


def test_noise_is_added_to_the_vectors_of_length_1_before_the_last_step(make_table: MakeTable) -> None:
    table = make_table()
    text, image = training_rows(table)
    alignment = align.fit(text, image, align.match(text, image), 0.5)
    rows = aligned_rows(table, alignment, text.numbers)
    theta = np.random.default_rng(0).normal(0, 0.01, (len(text), alignment.widths["image"])).astype(np.float32)
    unit = shifted(matched(image[:], None), np.float32(-0.25) * alignment.gap)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    noisy = (unit + theta - alignment.image.centre) / alignment.image.scale
    np.testing.assert_allclose(rows.vectors()["image"] + rows.units[1] * theta, noisy, atol=1e-4)


def test_a_head_learns_from_views_of_training_rows_with_their_note_and_label(make_table: MakeTable) -> None:
    table = make_table(views=2)
    views = np.asarray(table.views).reshape(300, 2, 16)
    views[table.splits != "train"] = np.nan  # nobody may read them
    text, own = training_rows(table)
    alignment = align.fit(text, own, align.match(text, own), 0.5)
    rows, plain = rows_to_learn(table, alignment), aligned_rows(table, alignment, text.numbers)
    count = len(text)
    assert len(rows.joined) == len(rows.labels) == 3 * count
    np.testing.assert_array_equal(rows.joined[:count], plain.joined)
    for k, row in enumerate(text.numbers):
        for view in range(2):
            t, i = apply(alignment, table.text[row], views[row, view])
            at = count + 2 * k + view
            np.testing.assert_allclose(rows.vectors()["text"][at], t, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(rows.vectors()["image"][at], i, rtol=1e-5, atol=1e-6)
            assert rows.labels[at] == table.labels[row]
    settings = Settings(epochs=2)
    without = replace(table, views=None)
    head, other = (train_head(each, fusion="late", settings=settings, shifts=[0.5]) for each in (table, without))
    assert (head.training["views"], "views" in other.training) == (2, False)
    assert head.training["rows"] == other.training["rows"] == count
    assert np.isfinite(head.fused.weight).all()
    assert not np.array_equal(head.fused.weight, other.fused.weight)
    np.testing.assert_array_equal(head.alignment.image.centre, other.alignment.image.centre)
    cost, less = (cost_of(head, each)["methods"]["image_only"] for each in (table, without))
    assert cost["embeddings_mb_per_epoch"] == pytest.approx(3 * less["embeddings_mb_per_epoch"])


@pytest.mark.parametrize(("match", "views"), [("project", 0), ("none", 0), ("none", 2)])
def test_beside_a_mapped_table_training_needs_little_more_than_the_rows_it_trains_on(
    make_table: MakeTable, match: align.Method, views: int
) -> None:
    table = open_table(make_table(count=12_000 // (1 + views), widths=(320, 256), views=views).folder)
    size = 4 * len(table.labels) * (1 + views) * (320 + 256)
    tracemalloc.start()
    train_head(table, fusion="late", settings=Settings(epochs=1, batch=400), match=match)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.2 * size


def test_an_alignment_loss_is_nothing_to_the_baselines(make_table: MakeTable) -> None:
    table = make_table()
    plain, pulled = (
        train_head(table, fusion="late", settings=Settings(epochs=2, alignment_loss=beta), shifts=(0.0,))
        for beta in (0.0, 1.0)
    )
    np.testing.assert_array_equal(plain.text_only.weight, pulled.text_only.weight)
    assert not np.array_equal(plain.fused.weight, pulled.fused.weight)


def test_an_alignment_loss_needs_two_branches(make_table: MakeTable) -> None:
    with pytest.raises(BadInput, match="only late fusion has"):
        train_head(make_table(), fusion="early", settings=Settings(alignment_loss=0.1))


def test_equal_notes_everywhere_still_train(make_table: MakeTable) -> None:
    table = make_table()
    head = train_head(replace(table, text=np.ones_like(table.text)), fusion="early", settings=Settings(epochs=3))
    assert np.isfinite(head.probabilities(table.text[:1], table.image[:1])).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ("nv",)}, "one class only"),
        ({"splits": ("train", "test")}, "no validation rows"),
        ({"labels": lambda k, _: int(k // 2 % 5 == 4)}, "no training rows of the class bcc, nv"),
    ],
)
def test_tables_that_cannot_be_learnt_from_are_refused(
    make_table: MakeTable, change: dict[str, object], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        train_head(make_table(**change), fusion="early")


def test_a_head_of_members_is_the_mean_of_heads(make_table: Callable[..., Table]) -> None:
    table = make_table()
    settings = Settings(epochs=2)
    head = train_head(table, fusion="late", settings=replace(settings, members=3), shifts=(0,))
    alone = train_head(table, fusion="late", settings=settings, shifts=(0,))
    assert len(head.fused.branches) == 3 * len(alone.fused.branches)
    assert head.training["parameters"] == 3 * alone.training["parameters"]
    for ours, theirs in zip(head.fused.branches, alone.fused.branches, strict=False):  # the first member is that head
        np.testing.assert_array_equal(ours.layers[0].weight, theirs.layers[0].weight)
    weights = np.split(head.fused.weight, 3, axis=1)
    np.testing.assert_allclose(3 * weights[0], alone.fused.weight, rtol=1e-6)
    assert not np.allclose(weights[0], weights[1])


@pytest.mark.parametrize("fusion", ["early", "late"])
@pytest.mark.parametrize("classes", [("no", "yes"), ("akiec", "bcc", "nv")])
def test_the_image_only_head_has_half_a_say_where_it_is_averaged(
    make_table: MakeTable, tmp_path: Path, fusion: Fusion, classes: tuple[str, ...]
) -> None:
    table = make_table(classes=classes)
    settings, vectors = Settings(epochs=2, members=2), (table.text[:9], table.image[:9])
    plain = train_head(table, fusion=fusion, settings=settings, seeds=2, shifts=(0,))
    write_head(
        tmp_path / "H",
        train_head(table, fusion=fusion, settings=settings, seeds=2, shifts=(0,), average_image=True),
    )
    head = open_head(tmp_path / "H")
    assert head.training["average_image"] is True
    assert "average_image" not in plain.training
    for part in ("image_only", "text_only"):
        np.testing.assert_array_equal(head.logits(part, *vectors), plain.logits(part, *vectors))
    seed = head.training["seeds_kept"]["fused"]
    own = train_head(table, fusion=fusion, settings=settings, seed=seed, shifts=(0,))
    both = (own.logits("fused", *vectors) + own.logits("image_only", *vectors)) / 2
    np.testing.assert_allclose(head.logits("fused", *vectors), both, rtol=1e-4, atol=1e-6)
    rows = table.splits == "validation"
    said = head.probabilities(table.text[rows], table.image[rows]).argmax(axis=1)
    assert head.validation["fused"]["accuracy"] == pytest.approx((said == table.labels[rows]).mean())
    found = cost_of(head, table)["methods"]
    assert found["fused"]["parameters"] == head.training["parameters"]
    assert head.training["parameters"] == plain.training["parameters"] + found["image_only"]["parameters"]


def test_components_of_notes_are_a_part_of_the_head(make_table: Callable[..., Table], tmp_path: Path) -> None:
    table = make_table()
    head = train_head(table, fusion="early", settings=Settings(epochs=2), shifts=(0.5,), text_components=5)
    assert head.alignment.widths["text"] == head.training["text_components"] == 5
    write_head(tmp_path / "H", head)
    again = open_head(tmp_path / "H")
    wanted = head.probabilities(table.text[:9], table.image[:9])
    np.testing.assert_array_equal(again.probabilities(table.text[:9], table.image[:9]), wanted)
    one = again.probabilities(table.text[3], table.image[3])
    np.testing.assert_allclose(one, wanted[3], rtol=1e-5)
    with pytest.raises(BadInput, match="not to components"):
        train_head(table, fusion="early", settings=Settings(noise=0.01), text_components=5)
