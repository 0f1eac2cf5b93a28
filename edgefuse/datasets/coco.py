"""MS COCO's captions: everyday photographs, each described in a sentence. For comparing gaps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgefuse.datasets.adapter import Adapter
from edgefuse.datasets.csv_file import read_rows
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template

LABEL = "photograph"


def read(root: Path, template: Template) -> list[Sample]:
    """The samples of a folder with `captions.csv`, a row a caption, and `images/<image_id>.jpg`.

    Raises:
        BadInput: the captions are missing, no UTF-8 CSV, or lack a column.
    """
    seen = Counter[str]()
    samples = []
    for row in read_rows(root / "captions.csv", required=("image_id", "caption")):
        image = row["image_id"].zfill(12)
        seen[image] += 1
        samples.append(
            Sample(
                id=f"{image}-{seen[image]}",
                image=root / "images" / f"{image}.jpg",
                text=template.fill({"caption": row["caption"]}),
                label=LABEL,
                group=image,
            )
        )
    return samples


ADAPTER = Adapter(
    title="everyday photographs with captions, for comparing gaps",
    layout=(
        "captions.csv       image_id, caption; a row a caption",
        "images/*.jpg       one <image_id>.jpg of twelve digits a picture",
    ),
    fields={"caption": "a sentence that describes the picture"},
    template="{caption}",
    missing="",
    label="photograph for every row: there are no classes, so no head can be trained",
    group="the picture: it may have several captions",
    licence="captions CC BY 4.0; photographs under their own licences",
    citation="T.-Y. Lin and others: Microsoft COCO: Common Objects in Context. ECCV 2014, arXiv:1405.0312; captions: "
    "X. Chen and others, arXiv:1504.00325",
    comparison=True,
    splits=("grouped",),
    read=read,
)
