"""The list of parts of an installer, in CycloneDX's form: each wheel, and the kit with its encoders."""

from __future__ import annotations

import json
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefuse.extras import importable
from edgefuse.kits.kit import Kit
from edgefuse_packaging.wheelhouse import identity
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.spec import EncoderSpec

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

EXTRA = "installer"


def bill_of_materials(wheels: Sequence[Path], kit: Kit) -> bytes:
    """CycloneDX 1.6 JSON of what an installer carries; the same parts give the same bytes.

    Raises:
        BadInput: the library that writes it is not installed.
    """
    importable("cyclonedx", EXTRA)
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    whole = Component(
        name="edgefuse-installer", type=ComponentType.APPLICATION, version=kit.digest[:12], bom_ref="installer"
    )
    parts = [_wheel(wheel) for wheel in wheels]
    model = Component(
        name=kit.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        version=kit.version,
        bom_ref="kit",
        hashes=_hash(kit.digest),
        components=[_encoder(spec) for spec in (*kit.encoders(), *kit.alternatives)],
    )
    bom = Bom(components=[*parts, model])
    bom.metadata.component = whole
    bom.register_dependency(whole, [*parts, model])
    content: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    content["metadata"].pop("timestamp")  # when it was made says nothing about the parts
    named = json.dumps(content["components"], sort_keys=True)
    content["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, named)}"
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def _wheel(path: Path) -> Component:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    name, version = identity(path)
    return Component(
        name=name,
        type=ComponentType.LIBRARY,
        version=version,
        bom_ref=path.name,
        purl=PackageURL("pypi", None, name, version),
        hashes=_hash(sha256(path)),
        licenses=_licences(_licence_of(path)),
    )


def _encoder(spec: EncoderSpec) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=spec.file,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        description=str(spec.source.get("name", "")) or None,
        bom_ref=f"encoder-{spec.file}",
        hashes=_hash(spec.sha256),
        licenses=_licences(spec.licence),
    )


def _hash(value: str) -> Iterable[Any]:
    from cyclonedx.model import HashAlgorithm, HashType

    return [HashType(alg=HashAlgorithm.SHA_256, content=value)]


def _licences(said: str) -> Iterable[Any]:
    from cyclonedx.model.license import DisjunctiveLicense

    return [DisjunctiveLicense(name=said)] if said else []


def _licence_of(wheel: Path) -> str:
    """What a wheel's metadata call its licence: an expression, a name, or a classifier; "" if they do not."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = BytesHeaderParser().parsebytes(archive.read(name))
    short = [said for key in ("License-Expression", "License") if (said := metadata[key]) and "\n" not in said]
    classifiers = [line for line in metadata.get_all("Classifier", []) if line.startswith("License ::")]
    return (short or [line.rpartition(" :: ")[2] for line in classifiers] or [""])[0]
