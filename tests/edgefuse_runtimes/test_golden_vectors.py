"""The numpy engines of a kit, on whatever machine this is, give the vectors that its workshop stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgefuse.kits.golden import probe_sample
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.probe import MIN_COSINE, centred_cosine
from edgefuse_runtimes.spec import Modality

pytestmark = pytest.mark.field


@pytest.mark.parametrize("memory", ["normal", "low"])
@pytest.mark.parametrize("modality", ["image", "text"])
def test_numpy_gives_the_stored_vector(tiny_kit: Path, modality: Modality, memory: Memory) -> None:
    kit = Kit.open(tiny_kit)
    spec = {"image": kit.image, "text": kit.text}[modality]
    golden = probe_sample(kit.file, spec)()

    with open_encoder(spec, kit.folder, engine="numpy", threads=1, memory=memory) as encoder:
        first, again = encoder.encode(golden.batch)[0], encoder.encode(golden.batch)[0]  # (d,) each

    assert centred_cosine(first, golden.expected, golden.centre) >= MIN_COSINE[spec.precision]
    np.testing.assert_allclose(again, first, rtol=1e-4, atol=1e-6)
