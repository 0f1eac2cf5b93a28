"""What was run: results of one configuration are repeats of each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from edgefuse_bench.result import Result

WORDS = {
    "scenario": "scenario",
    "image_engine": "image engine",
    "text_engine": "text engine",
    "image_precision": "image precision",
    "text_precision": "text precision",
    "threads": "threads",
    "kit": "kit",
    "digest": "kit's content",
}
"""How each part of a configuration is called."""


class Configuration(NamedTuple):
    """All that is chosen, apart from the machine."""

    scenario: str
    image_engine: str
    text_engine: str
    image_precision: str
    text_precision: str
    threads: int
    kit: str
    digest: str

    def __str__(self) -> str:
        """In one line: "SingleStream, starter, onnxruntime int8 + llama.cpp q8_0, 2 threads"."""
        image, text = f"{self.image_engine} {self.image_precision}", f"{self.text_engine} {self.text_precision}"
        threads = f"{self.threads} thread" + ("" if self.threads == 1 else "s")
        return f"{self.scenario}, {self.kit}, {image} + {text}, {threads}"


def configuration(result: Result) -> Configuration:
    """What one result was measured with."""
    return Configuration(
        scenario=result.scenario,
        image_engine=str(result.engines.get("image") or "none"),
        text_engine=str(result.engines.get("text") or "none"),
        image_precision=str(result.precisions.get("image") or "none"),
        text_precision=str(result.precisions.get("text") or "none"),
        threads=result.threads,
        kit=f"{result.kit.get('name', '?')} {result.kit.get('version', '?')}",
        digest=str(result.kit.get("digest", "?")),
    )


def by_configuration(results: Iterable[Result]) -> dict[Configuration, list[Result]]:
    """The results of each configuration, in the order of their first."""
    found: dict[Configuration, list[Result]] = {}
    for result in results:
        found.setdefault(configuration(result), []).append(result)
    return found
