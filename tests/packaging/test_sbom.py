"""The list of parts names every encoder file of a kit, and is valid CycloneDX."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgefuse.kits.kit import Kit
from edgefuse_packaging.sbom import bill_of_materials

validation = pytest.importorskip("cyclonedx.validation.json", reason="the schema comes with cyclonedx-python-lib")


def test_files_of_every_precision_are_parts(kit_of_both: Path) -> None:
    from cyclonedx.schema import SchemaVersion

    text = bill_of_materials([], Kit.open(kit_of_both)).decode()

    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    (kit,) = json.loads(text)["components"]
    assert [part["name"] for part in kit["components"]] == ["image-fp32.onnx", "image.onnx", "text.gguf"]
    assert len({part["bom-ref"] for part in kit["components"]}) == 3
