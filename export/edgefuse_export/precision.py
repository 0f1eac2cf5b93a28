"""Precisions of ONNX files: which ones a choice stands for, and how the files are called."""

from __future__ import annotations

from typing import Literal

from edgefuse_runtimes.spec import Modality

Precision = Literal["int8", "fp32"]
Choice = Literal["int8", "fp32", "both"]


def precisions(choice: Choice) -> tuple[Precision, ...]:
    """Those of the files to write, the main one first; fp32 comes last, for it takes the graph that int8 is made of."""
    return ("int8", "fp32") if choice == "both" else (choice,)


def file_name(modality: Modality, precision: Precision, choice: Choice) -> str:
    """Of the main file "image.onnx", of another one "image-fp32.onnx"."""
    is_main = precision == precisions(choice)[0]
    return f"{modality}.onnx" if is_main else f"{modality}-{precision}.onnx"
