"""The vectors that an exported file gives, by the very engines that run it later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extraction.encoding import Portion, vectors
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import probe_sample
from edgefuse.progress import Progress, silent
from edgefuse_export.parity.samples import Samples
from edgefuse_export.parity.source import token_ids
from edgefuse_export.resources import resources
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.spec import EncoderSpec

Floats = NDArray[np.float32]


def exported_vectors(
    encoders: Encoders,
    spec: EncoderSpec,
    samples: Samples,
    progress: Progress = silent,
    notify: Callable[[str], None] = lambda sentence: None,
) -> tuple[Floats, dict[str, Any]]:
    """Vectors of the samples' pictures (n, d) or of their m different notes (m, d), and what the engine says of itself.

    Raises:
        BadInput: a picture cannot be read, or the file cannot be run.
    """
    with open_encoder(
        spec,
        encoders.folder,
        threads=resources().threads,
        memory=resources().memory,
        side_by_side=True,
        probe_sample=probe_sample(encoders.file, spec),
        notify=notify,
    ) as encoder:
        given: Portion = samples.pictures
        if spec.modality == "text":
            given = token_ids(spec, encoders.file(spec.file), samples)
        rows = progress(f"encoding with {spec.file}", vectors(encoder, given), len(given))
        found = np.stack(list(rows))  # (n, d) or (m, d)
        return found, encoder.info()
