"""Image + text classification with frozen foundation models, on a small device with no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgefuse.answering.classifier import Classifier
    from edgefuse.answering.prediction import Prediction

__all__ = ["Classifier", "Prediction", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the classifier when it is asked for, so that `edgefuse --help` does not wait for numpy."""
    if name not in ("Classifier", "Prediction"):
        raise AttributeError(f"module 'edgefuse' has no attribute {name!r}")
    from edgefuse.platforms import require_supported

    require_supported()
    if name == "Prediction":
        from edgefuse.answering.prediction import Prediction

        return Prediction
    from edgefuse.answering.classifier import Classifier

    return Classifier
