"""What tests of answers share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def picture(tiny_kit: Path) -> Path:
    """A golden sample's."""
    return tiny_kit / "golden" / "1.png"
