import numpy as np
import pytest

from edgefuse.heads import Fusion
from edgefuse.training import losses
from edgefuse_export.raw import heads
from edgefuse_export.raw.baseline import _loss

torch = pytest.importorskip("torch", reason="torch is not installed (extra raw)")


@pytest.mark.parametrize(
    ("widths", "outputs", "early", "late"),
    [((4096, 768), 1, 623_105, 311_809), ((4096, 768), 7, 623_879, 312_583), ((512, 512), 2, 131_714, 66_178)],
)
def test_they_have_the_papers_parameters(widths: tuple[int, int], outputs: int, early: int, late: int) -> None:
    counts: dict[Fusion, int] = {"early": early, "late": late}
    for fusion, count in counts.items():
        assert heads.parameter_count(heads.make_head(fusion, widths, outputs)) == count


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_text_comes_first_and_each_branch_reads_its_own(fusion: Fusion) -> None:
    head = heads.make_head(fusion, (5, 3), 4).eval()
    text, image = torch.randn(2, 5), torch.randn(2, 3)
    found = heads.logits(head, text, image)
    first = head["joined" if fusion == "early" else "text"][0]
    assert first.in_features == (8 if fusion == "early" else 5)
    with torch.no_grad():
        first.weight[:, :5] = 0
    changed = heads.logits(head, torch.randn(2, 5), image)
    assert not torch.allclose(found, changed)
    assert torch.allclose(changed, heads.logits(head, text, image))


@pytest.mark.parametrize("classes", [2, 7])
def test_the_loss_is_the_one_of_the_numpy_heads(classes: int) -> None:
    rng = np.random.default_rng(0)
    found = rng.normal(size=(40, 1 if classes == 2 else classes)).astype(np.float32)
    labels = rng.integers(0, classes, 40)
    weights = losses.class_weights(labels, classes)
    expected, _ = losses.loss(found, labels, weights)
    mine = _loss(torch.from_numpy(found), torch.from_numpy(labels), torch.from_numpy(weights))
    assert float(mine) == pytest.approx(expected, rel=1e-5)
